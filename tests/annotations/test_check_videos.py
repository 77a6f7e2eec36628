"""`data check` on real files: made small, then broken."""

import json
from fractions import Fraction
from pathlib import Path
from unicodedata import normalize

import av
import numpy as np
import pytest
from typer.testing import CliRunner

from mmad.annotations.check import check_data
from mmad.annotations.check_videos import measure_videos
from mmad.annotations.formats import attach_videos, read_annotations
from mmad.cli.data import app
from mmad.errors import VideoError
from mmad.structures import VideoRecord
from support.clips import write_clip

pytest.importorskip("mmad.video.index")

HEADER = "id,video_id,start_frame,end_frame,class,total_frames,fps\n"


def make_video(path: Path, *, times: list[int], fps: int = 30) -> Path:
    """A video with frames at these multiples of 1 / ``fps``; its index is at the front."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, fps)
        for time in times:
            picture = rng.integers(0, 255, size=(48, 64, 3), dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos good and bad, in sub-folders, with the annotations of most of them."""
    root = tmp_path_factory.mktemp("set")
    (root / "videos" / "val").mkdir(parents=True)
    videos = root / "videos" / "val"
    make_video(videos / "good.mp4", times=list(range(60)))
    make_video(videos / "slow.mp4", times=list(range(60)), fps=25)
    make_video(videos / "short.mp4", times=list(range(40)))
    make_video(videos / "extra.mp4", times=list(range(5)))
    uneven = list(range(30)) + list(range(30, 90, 2))
    make_video(videos / "uneven.mp4", times=uneven)
    whole = (videos / "good.mp4").read_bytes()
    (videos / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (videos / "headless.mp4").write_bytes(whole[: len(whole) // 50])
    (videos / "empty.mp4").write_bytes(b"")
    names = ["good", "slow", "short", "uneven", "cut", "headless", "empty", "absent"]
    rows = "".join(f"{i},{name},0,30,9,60,30\n" for i, name in enumerate(names))
    (root / "val.csv").write_text(HEADER + rows)
    return root


def test_every_kind_of_bad_video_is_found(folder: Path) -> None:
    report = check_data(
        read_annotations(folder / "val.csv"), videos=folder / "videos", num_workers=2
    )
    found = {
        (finding.kind, name)
        for finding in report.findings
        for name in (
            "good",
            "slow",
            "short",
            "uneven",
            "cut",
            "headless",
            "empty",
            "absent",
            "extra",
        )
        if f"{name}.mp4" in finding.message or f"video {name} " in finding.message
    }
    assert ("missing video", "absent") in found
    assert ("unreadable video", "empty") in found
    assert ("frame rate disagrees", "slow") in found
    assert ("truncated video", "short") in found
    assert ("variable frame rate", "uneven") in found
    assert ("truncated video", "cut") in found
    assert ("unreadable video", "headless") in found
    assert ("video without annotations", "extra") in found
    assert not [kind for kind, name in found if name == "good"]


def test_command_check_opens_the_videos(folder: Path) -> None:
    arguments = ["check", str(folder / "val.csv"), "--videos", str(folder / "videos")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert "error: missing video (1)" in result.output
    assert "notice: video without annotations (1)" in result.output


def test_missing_videos_are_listed_together(folder: Path) -> None:
    records = [VideoRecord(name, duration_seconds=2.0, subset="val") for name in ("good", "x", "y")]
    with pytest.raises(VideoError, match=r"2 of 3 annotated videos are missing(.|\n)*x(.|\n)*y"):
        attach_videos(records, folder / "videos")
    attached = attach_videos(records, folder / "videos", allow_missing=True)
    assert [record.path and record.path.name for record in attached] == ["good.mp4", None, None]


def test_frame_rates_come_from_the_files_where_unknown(folder: Path) -> None:
    records = [
        VideoRecord("slow", duration_seconds=2.4, subset="val"),
        VideoRecord("good", duration_seconds=2.0, subset="val", fps=29.0, num_frames=58),
    ]
    attached = attach_videos(records, folder / "videos")
    found = measure_videos(attached, (), all_rates=True)
    assert [(record.fps, record.num_frames) for record in found] == [(25.0, 60), (29.0, 58)]
    assert [record.duration_seconds for record in found] == [2.4, 2.0]


def test_an_assumed_length_gives_way_to_that_of_the_file(folder: Path) -> None:
    records = [VideoRecord(name, duration_seconds=1.5, subset="val") for name in ("slow", "good")]
    slow, good = measure_videos(attach_videos(records, folder / "videos"), {"slow"})
    assert (slow.duration_seconds, slow.fps) == (60 / 25, 25.0)
    assert (good.duration_seconds, good.fps) == (1.5, None)


def test_clip_lists_and_their_clips(folder: Path, tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    for name in ("good", "cut", "headless", "extra"):
        (clips / f"{name}.mp4").symlink_to(folder / "videos" / "val" / f"{name}.mp4")
    (tmp_path / "train.txt").write_text("good.mp4 9\ncut.mp4 9\nabsent.mp4 99\n")
    (tmp_path / "val.txt").write_text("good.mp4 8\nheadless.mp4 8\n")
    (tmp_path / "subjects.csv").write_text(
        "video_id,subject\ngood,ada\ncut.mp4,ada\nheadless,ada\n"
    )
    lists = [str(tmp_path / "train.txt"), str(tmp_path / "val.txt")]
    more = ["--videos", str(clips), "--subjects", str(tmp_path / "subjects.csv")]
    arguments = ["check", *lists, *more, "--json", str(tmp_path / "found.json")]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 2
    found = {
        (finding["kind"], finding["message"].split(":")[0], finding["is_error"])
        for finding in json.loads((tmp_path / "found.json").read_text())["findings"]
    }
    assert found == {
        ("unknown label", "train.txt", True),
        ("video listed twice", "clip good.mp4 is in train.txt and val.txt; keep one", True),
        ("missing video", "clip absent.mp4", True),
        ("truncated video", str(clips / "cut.mp4"), True),
        ("unreadable video", str(clips / "headless.mp4"), True),
        ("video without annotations", f"{clips / 'extra.mp4'} is in no list", False),
        ("class without clips", "50 of 52", False),
        ("video without a subject", "video absent.mp4 is not in the file of subjects", False),
        *[one for one in found if one[0] == "subject in two subsets"],
    }
    assert sum(kind == "subject in two subsets" for kind, _, _ in found) == 1
    assert "5 clips, 4 labels, 2 files opened: 6 errors" in result.output
    (tmp_path / "test.txt").write_text("good.mp4\n")
    alone = CliRunner().invoke(app, ["check", str(tmp_path / "test.txt")], catch_exceptions=False)
    assert (alone.exit_code, "its 1 clip has no label" in alone.output) == (0, True)


def test_accents_match_in_any_form(tmp_path: Path) -> None:
    path = write_clip(tmp_path / f"{normalize('NFD', 'Müller')}.mp4")
    records = (VideoRecord(normalize("NFC", "Müller"), 1.0, "val"),)
    assert attach_videos(records, tmp_path)[0].path == path
