"""Which videos browsers play, and the copies of the others."""

from pathlib import Path

import av
import numpy as np
import pytest

from mmad.errors import VideoError
from mmad.projects.project import new_project
from mmad.review.media import COPIES, is_playable, media_of
from mmad.video.find import find_videos
from mmad.video.index import index_video
from support.clips import write_clip
from support.studies import LABELS


def write_video(path: Path, *, codec: str, pixels: str = "yuv420p", frames: int = 12) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.width = stream.height = 64
        stream.pix_fmt = pixels
        for place in range(frames):
            image = np.full((64, 64, 3), 20 * place, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pixels)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_container_codec_and_pixels_decide(videos: Path, tmp_path: Path) -> None:
    assert is_playable(next(iter(find_videos(videos / "videos").values())))
    assert not is_playable(write_video(tmp_path / "a.avi", codec="mpeg4"))
    assert not is_playable(write_video(tmp_path / "b.mp4", codec="mpeg4"))
    odd = write_video(tmp_path / "c.mp4", codec="libx264", pixels="yuv444p")
    assert not is_playable(odd)
    uneven = np.cumsum([40, 20, 20, 100] * 15).tolist()
    groups = "keyint=12:scenecut=0:bframes=3:b-adapt=0"
    assert is_playable(write_clip(tmp_path / "e.mp4", x264_params=groups))
    assert not is_playable(write_clip(tmp_path / "f.mp4", x264_params=f"{groups}:open-gop=1"))
    assert not is_playable(write_clip(tmp_path / "g.mp4", x264_params=groups, times_ms=uneven))
    in_order = "keyint=12:bframes=0"
    assert is_playable(write_clip(tmp_path / "h.mp4", x264_params=in_order, times_ms=uneven))
    broken = tmp_path / "d.mp4"
    broken.write_bytes(b"no video")
    with pytest.raises(VideoError):
        is_playable(broken)


def test_the_others_are_played_as_copies_with_the_same_frames(tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    for name in ("old.avi", "new.mp4"):
        codec = "mpeg4" if name == "old.avi" else "libx264"
        write_video(folder / name, codec=codec)
    project = new_project(tmp_path / "study", labels=LABELS)
    project.catalogue.add_videos(find_videos(folder))
    new, old = project.catalogue.videos()
    told: list[int] = []
    media, failed = media_of(project, with_copies=False, on_start=told.append)
    assert (told, failed) == ([1], [])
    assert media[new.id].path.samefile(new.path)
    assert media[old.id].path == project.folder / COPIES / "old.mp4"
    assert is_playable(media[old.id].path)
    copy, source = index_video(media[old.id].path), index_video(old.path)
    assert copy.num_frames == source.num_frames
    assert np.allclose(copy.times_seconds, source.times_seconds, atol=1e-4)
    before = media[old.id].path.stat().st_mtime_ns
    media, _ = media_of(project, with_copies=True)
    assert {one.path.parent.name for one in media.values()} == {COPIES}
    assert media[old.id].path.stat().st_mtime_ns == before, "used again"
    new.path.unlink()
    media, _ = media_of(project, with_copies=False)
    assert list(media) == [old.id]
