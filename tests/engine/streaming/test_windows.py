"""Frames and windows of a stream are those of the whole video."""

import numpy as np
import pytest

from mmad.config.data import DataSettings
from mmad.data.windows import sliding_windows
from mmad.engine.streaming.windows import StreamSampler, WindowCutter
from mmad.errors import VideoError
from mmad.video.sampling import sample_frames
from mmad.video.sources.memory import hold_frames


def image(number: int) -> np.ndarray:
    return np.full((1, 1, 3), number, dtype=np.uint8)


def sampled(sampler: StreamSampler, times: np.ndarray) -> list[int]:
    frames = [
        frame
        for number, seconds in enumerate(times.tolist())
        for frame in sampler.push(seconds, image(number))
    ]
    return [int(frame[0, 0, 0]) for frame in [*frames, *sampler.finish()]]


@pytest.mark.parametrize("fps", [5.0, 7.3, 14.0, 15.0, 29.97, 60.0])
@pytest.mark.parametrize("count", [1, 2, 61])
def test_a_stated_rate_is_sampled_as_in_a_file(fps: float, count: int) -> None:
    held = hold_frames([image(n) for n in range(count)], fps=fps)
    wanted = sample_frames(held.index, fps=15.0, tolerance=0.08)
    sampler = StreamSampler(fps=fps, wanted=15.0, tolerance=0.08, name="camera")
    assert sampled(sampler, np.arange(count) / fps) == wanted.positions.tolist()
    assert (sampler.fps, sampler.is_resampled) == (wanted.fps, wanted.is_resampled)
    assert sampler.seen_seconds == pytest.approx(held.index.duration_seconds)


@pytest.mark.parametrize("seed", range(20))
def test_times_are_sampled_as_in_a_file_of_variable_rate(seed: int) -> None:
    rng = np.random.default_rng(seed)
    times = 100 + np.cumsum(rng.exponential(1 / rng.uniform(5, 40), rng.integers(2, 90)))
    held = hold_frames([image(n) for n in range(len(times))], times=times)
    wanted = sample_frames(held.index, fps=15.0, tolerance=0.0)
    sampler = StreamSampler(fps=None, wanted=15.0, tolerance=0.0, name="camera")
    assert sampled(sampler, times) == wanted.positions.tolist()


def test_gaps_and_jumps_are_told() -> None:
    times = np.arange(40) / 10
    times[20:] += 0.5
    sampler = StreamSampler(fps=None, wanted=10.0, tolerance=0.0, name="camera")
    assert len(sampled(sampler, times)) == 45
    assert (sampler.num_missing, sampler.first_gap_seconds) == (5, pytest.approx(1.9))
    times[30:] += 3600
    sampler = StreamSampler(fps=None, wanted=10.0, tolerance=0.0, name="camera")
    assert len(sampled(sampler, times)) == 45
    (told,) = sampler.notices
    assert told.startswith("camera: the time stamp after 3.40 s jumps by 3600 s; taken as one")


def test_a_stream_with_times_needs_a_rate() -> None:
    with pytest.raises(VideoError, match=r"data\.fps=own.* pass fps"):
        StreamSampler(fps=None, wanted=None, tolerance=0.1, name="camera")
    sampler = StreamSampler(fps=None, wanted=10.0, tolerance=0.1, name="camera")
    with pytest.raises(VideoError, match="camera: ended without a frame"):
        list(sampler.finish())


@pytest.mark.parametrize("keep_tail", [True, False])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.8])
@pytest.mark.parametrize("stride", [1, 3])
def test_windows_are_those_of_the_whole_video(stride: int, overlap: float, keep_tail: bool) -> None:
    settings = DataSettings(
        annotations="none",
        videos="none",
        window_frames=16,
        window_overlap=overlap,
        frame_stride=stride,
        keep_tail=keep_tail,
    )
    for count in (1, 15, 16, 17, 24, 32, 33, 101):
        frames = np.arange(count)[::stride]
        if 1 < count <= stride:
            continue
        cutter = WindowCutter(settings, name="camera")
        found = [cut for n in range(count) if (cut := cutter.push(image(n))) is not None]
        found += cutter.finish()
        assert [window for window, _ in found] == sliding_windows(
            len(frames), window_frames=16, overlap=overlap, keep_tail=keep_tail
        )
        for window, images in found:
            expected = frames[window.start : window.stop]
            assert images[:, 0, 0, 0].tolist() == expected.tolist()


def test_a_stride_as_long_as_the_stream_is_an_error() -> None:
    settings = DataSettings(annotations="none", videos="none", frame_stride=4)
    cutter = WindowCutter(settings, name="camera")
    for number in range(3):
        cutter.push(image(number))
    with pytest.raises(VideoError, match=r"camera: data\.frame_stride 4 .* its 3 frames"):
        list(cutter.finish())
