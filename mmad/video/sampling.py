"""Choosing frames by time, for videos whose rate is not the one a model was trained at."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mmad.errors import VideoError
from mmad.video.index import VideoIndex


def frames_at(index: VideoIndex, times_seconds: ArrayLike) -> NDArray[np.int64]:
    """Frame whose presentation time is nearest to each time; the earlier of two as near."""
    wanted = np.asarray(times_seconds, dtype=np.float64)
    times = index.times_seconds
    after = np.clip(np.searchsorted(times, wanted), 0, len(times) - 1)
    before = np.maximum(after - 1, 0)
    nearer = wanted - times[before] <= times[after] - wanted
    return np.where(nearer, before, after)


def resample_times(index: VideoIndex, *, fps: float) -> NDArray[np.float64]:
    """Times 0, 1 / fps, 2 / fps, ... in seconds that cover the video; at least one.

    Raises: VideoError if ``fps`` is not positive.
    """
    if not 0 < fps < float("inf"):
        raise VideoError(f"frame rate: expected a positive number, found {fps}")
    return np.arange(max(1, round(index.duration_seconds * fps))) / fps


def resample(
    index: VideoIndex, *, fps: float, tolerance: float = 0.05
) -> tuple[NDArray[np.int64], float, str | None]:
    """Frames to read, their rate, and a notice for the user if it is not the video's own.

    A video of constant rate within ``tolerance`` (a share) of ``fps`` is taken frame by frame, so
    that 29 and 30 frames/s, 3.4 % apart, go together by default; another is sampled at ``fps`` by
    presentation time.
    """
    times = resample_times(index, fps=fps)
    if not index.is_variable_rate and abs(index.fps - fps) <= tolerance * fps:
        return np.arange(index.num_frames), index.fps, None
    kind = "variable" if index.is_variable_rate else f"{index.fps:.2f}"
    notice = f"{index.path.name}: {kind} frames/s, resampled by time to {fps:.2f}"
    return frames_at(index, times), fps, notice
