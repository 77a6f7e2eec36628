"""Choosing frames by time, for videos whose rate is not the one a model was trained at."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mmad.video.index import VideoIndex


def frames_at(index: VideoIndex, times_seconds: ArrayLike) -> NDArray[np.int64]:
    """Frame whose presentation time is nearest to each time; the earlier of two as near."""
    wanted = np.asarray(times_seconds, dtype=np.float64)
    times = index.times_seconds
    after = np.clip(np.searchsorted(times, wanted), 0, len(times) - 1)
    before = np.maximum(after - 1, 0)
    nearer = wanted - times[before] <= times[after] - wanted
    return np.where(nearer, before, after)


def resample(
    index: VideoIndex, *, fps: float, tolerance: float
) -> tuple[NDArray[np.int64], float, str | None]:
    """Frames to read, their rate, and a notice for the user if it is not the video's own.

    A video of constant rate within ``tolerance`` (a share) of ``fps`` is taken frame by frame; another is sampled at
    ``fps`` by presentation time.
    """
    if not index.is_variable_rate and abs(index.fps - fps) <= tolerance * fps:
        return np.arange(index.num_frames), index.fps, None
    count = max(1, round(index.duration_seconds * fps))
    kind = "variable" if index.is_variable_rate else f"{index.fps:.2f}"
    notice = f"{index.path.name}: {kind} frames/s, resampled by time to {fps:.2f}"
    return frames_at(index, np.arange(count) / fps), fps, notice
