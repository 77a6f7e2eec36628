from pathlib import Path

import numpy as np
import pytest

from mmad.errors import VideoError
from mmad.video.index import index_video
from mmad.video.sampling import frames_at, resample_times, sample_frames
from support.clips import write_clip


def test_nearest_frame_by_time(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", num_frames=5, times_ms=[0, 100, 300, 350, 1000])
    index = index_video(path)
    asked = [-1.0, 0.04, 0.06, 0.21, 0.34, 0.6, 0.7, 9.0]
    assert frames_at(index, asked).tolist() == [0, 0, 1, 2, 3, 3, 4, 4]


def test_rate_within_tolerance_is_taken_frame_by_frame(tmp_path: Path) -> None:
    index = index_video(write_clip(tmp_path / "a.mp4", num_frames=29, fps=29))
    # 29 and 30 are 1 / 30 = 3.3 % apart.
    sampled = sample_frames(index, fps=30, tolerance=0.05)
    assert (sampled.positions.tolist(), sampled.fps) == (list(range(29)), 29.0)
    assert sampled.resampled_fps is None
    sampled = sample_frames(index, fps=30, tolerance=0.02)
    assert (len(sampled.positions), sampled.resampled_fps) == (30, 30)


def test_half_rate_takes_every_second_frame(tmp_path: Path) -> None:
    index = index_video(write_clip(tmp_path / "a.mp4", num_frames=20, fps=30))
    assert sample_frames(index, fps=15, tolerance=0.05).positions.tolist() == list(range(0, 20, 2))
    np.testing.assert_allclose(resample_times(index, fps=15), np.arange(10) / 15)
    with pytest.raises(VideoError, match="frame rate: expected a positive number, found 0"):
        sample_frames(index, fps=0, tolerance=0.05)


def test_variable_rate_is_resampled_whatever_its_mean(tmp_path: Path) -> None:
    # Half a second at 20 frames/s, then half a second at 40: 30 in the mean.
    times = [50 * k for k in range(10)] + [500 + 25 * k for k in range(20)]
    index = index_video(write_clip(tmp_path / "a.mp4", num_frames=30, times_ms=times))
    sampled = sample_frames(index, fps=20, tolerance=0.5)
    assert sampled.resampled_fps == 20
    assert sampled.positions.tolist() == [*range(10), *range(10, 30, 2)]
