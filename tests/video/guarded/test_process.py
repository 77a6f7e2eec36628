"""Videos decoded in another process: the same frames, and what kills it costs one video."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mmad.errors import ConfigError, VideoError
from mmad.video.film_strip import film_strip
from mmad.video.guarded.limits import DecoderLimits
from mmad.video.guarded.process import DecoderProcess, _death
from mmad.video.index import index_video
from mmad.video.open import open_video
from support.bad_decoders import BAD
from support.synthetic_data import files_of

LIMITS = DecoderLimits(memory_mib=300, seconds=60)


@pytest.fixture(scope="module")
def decoder() -> Iterator[DecoderProcess]:
    with DecoderProcess(LIMITS, BAD) as process:
        yield process


@pytest.fixture(scope="module")
def video(videos: Path) -> Path:
    return files_of(videos)[0][1]


def test_frames_are_those_of_this_process(decoder: DecoderProcess, video: Path) -> None:
    index = index_video(video)
    guarded = decoder.open(video)
    assert guarded.index.num_frames == index.num_frames
    assert guarded.index.times_seconds.tolist() == index.times_seconds.tolist()
    for options in ({}, {"short_side": 20}, {"size": (24, 40)}):
        with open_video(video, **options) as one, open_video(guarded, **options) as other:
            assert (np.stack(list(one.stream())) == np.stack(list(other.stream()))).all()
            wanted = [5, 0, 5, index.num_frames - 1]
            assert (one.read(wanted) == other.read(wanted)).all()
    for (time, image), (other_time, other_image) in zip(
        film_strip(video, num_frames=3), film_strip(guarded, num_frames=3), strict=True
    ):
        assert time == other_time
        assert (image == other_image).all()


def test_the_rest_of_a_stream_may_be_left(decoder: DecoderProcess, video: Path) -> None:
    guarded = decoder.open(video)
    with open_video(guarded) as reader:
        next(reader.stream())
    left = open_video(guarded).stream()
    first = next(left)
    with open_video(guarded) as reader:
        assert (next(reader.stream()) == first).all()
    assert decoder.open(video).index.num_frames == guarded.index.num_frames


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("segfault", "its decoder died (SIGSEGV)"),
        ("segfault index", "its decoder died (SIGSEGV)"),
        ("greedy", "needs more than 300 MiB of memory"),
        ("bug index", "cannot be decoded (ZeroDivisionError: by nothing)"),
    ],
)
def test_a_bad_video_is_one_error_and_the_next_is_read(
    name: str, expected: str, decoder: DecoderProcess, video: Path, tmp_path: Path
) -> None:
    bad = tmp_path / f"{name}.mp4"
    shutil.copy(video, bad)
    with pytest.raises(VideoError) as caught:
        list(open_video(decoder.open(bad)).stream())
    assert str(caught.value).startswith(f"{bad}: ")
    assert expected in str(caught.value)
    assert len(list(open_video(decoder.open(video)).stream())) == index_video(video).num_frames


def test_a_stalled_decoder_is_stopped(video: Path, tmp_path: Path) -> None:
    bad = tmp_path / "stall.mp4"
    shutil.copy(video, bad)
    with DecoderProcess(DecoderLimits(seconds=60), BAD) as decoder:
        frames = open_video(decoder.open(bad)).stream()
        decoder._limits = DecoderLimits(seconds=1)  # now that the process has started
        with pytest.raises(VideoError, match="made no progress for 1 s"):
            list(frames)
        assert decoder._process is None


def test_frames_larger_than_allowed(
    video: Path, tmp_path: Path, decoder: DecoderProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mmad.video.guarded import child

    with pytest.raises(VideoError, match=r"30000 x 40000 pixels are larger than the allowed 70 "):
        child._require_pixels(video, 30_000, 40_000, DecoderLimits())
    with pytest.raises(VideoError, match=r"video not found"):
        decoder.open(tmp_path / "none.mp4")
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(VideoError, match=r"cannot be read as a video"):
        decoder.open(tmp_path / "text.mp4")


@pytest.mark.parametrize("text", ["", "memory_mib", "memory_mib=0", "seconds=1e3", "frames=3"])
def test_limits_that_are_none(text: str) -> None:
    with pytest.raises(ConfigError, match="--decoder-limits"):
        DecoderLimits.parse(text)


def test_how_a_process_died() -> None:
    assert _death(-9) == "SIGKILL, perhaps because memory ran out"
    assert _death(0xC0000005) == "exit code 0xc0000005"
