from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from mmad.errors import OutputError, VideoError
from mmad.video.index import index_video
from mmad.video.open import open_video
from mmad.video.writer import VideoWriter, exact_fps
from support.clips import HEIGHT, WIDTH, numbered_frame, numbers_of


def write(path: Path, *, fps: float | Fraction = 30, num_frames: int = 40, **how) -> Path:
    with VideoWriter(path, fps=fps, width=WIDTH, height=HEIGHT, **how) as writer:
        for number in range(num_frames):
            writer.write(numbered_frame(number))
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", fps=29.97, gop_frames=15)
    index = index_video(path)
    assert (index.num_frames, index.width, index.height, index.codec) == (40, 160, 48, "h264")
    assert index.fps == pytest.approx(30000 / 1001, abs=1e-9)
    assert index.keyframes.tolist() == [0, 15, 30]
    assert not index.is_variable_rate
    np.testing.assert_allclose(index.times_seconds, np.arange(40) * 1001 / 30000, atol=1e-9)
    assert index.duration_seconds == pytest.approx(40 * 1001 / 30000)
    with open_video(path) as video:
        assert numbers_of(video.read(range(40))) == list(range(40))


def test_every_group_of_pictures_can_be_decoded_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", gop_frames=10)
    with av.open(str(path)) as container:
        times, keys = zip(
            *[(p.pts, p.is_keyframe) for p in container.demux(video=0) if p.size], strict=True
        )
    for place, (time, is_key) in enumerate(zip(times, keys, strict=True)):
        if is_key:
            # Nothing stored behind a keyframe is shown before it.
            assert min(times[place:]) == time


def test_same_frames_same_bytes_and_index_in_front(tmp_path: Path) -> None:
    first = write(tmp_path / "a.mp4").read_bytes()
    assert write(tmp_path / "b.mp4").read_bytes() == first
    assert first.index(b"moov") < first.index(b"mdat")


def test_own_times(tmp_path: Path) -> None:
    times = [0, 100, 300, 350, 1000]
    with VideoWriter(
        tmp_path / "a.mp4", fps=5, width=160, height=48, time_base=Fraction(1, 1000)
    ) as writer:
        for number, time in enumerate(times):
            writer.write(numbered_frame(number), time=time)
    index = index_video(tmp_path / "a.mp4")
    np.testing.assert_allclose(index.times_seconds, np.array(times) / 1000, atol=1e-9)
    assert index.is_variable_rate


def test_nothing_is_left_after_an_exception(tmp_path: Path) -> None:
    def write_and_fail() -> None:
        with VideoWriter(tmp_path / "a.mp4", fps=30, width=160, height=48) as writer:
            writer.write(numbered_frame(0))
            assert not (tmp_path / "a.mp4").exists()
            raise KeyError("stop")

    with pytest.raises(KeyError, match="stop"):
        write_and_fail()
    assert list(tmp_path.iterdir()) == []


def test_bad_input(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with pytest.raises(VideoError, match="even width and height, found 161 x 48"):
        VideoWriter(path, fps=30, width=161, height=48)
    with pytest.raises(VideoError, match="frame rate: expected a positive number, found 0"):
        VideoWriter(path, fps=0, width=160, height=48)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"file: cannot be written \(File exists\)"):
        VideoWriter(tmp_path / "file" / "a.mp4", fps=30, width=160, height=48)
    (tmp_path / "file").unlink()
    with (
        pytest.raises(VideoError, match=r"frame 0: expected uint8 of shape \(48, 160, 3\)"),
        VideoWriter(path, fps=30, width=160, height=48) as writer,
    ):
        writer.write(np.zeros((160, 48, 3), dtype=np.uint8))
    with (
        pytest.raises(VideoError, match="no frame was written"),
        VideoWriter(path, fps=30, width=160, height=48),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_exact_rates() -> None:
    assert exact_fps(59.94) == Fraction(60000, 1001)
    assert exact_fps(30) == 30
    assert exact_fps(28.0) == 28
    assert exact_fps(Fraction(30000, 1001)) == Fraction(30000, 1001)
