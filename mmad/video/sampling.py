"""Choosing frames: by time, for videos whose rate differs from that of a model, or evenly."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mmad.errors import VideoError
from mmad.video.index import VideoIndex

# A resampled video may repeat each of its frames at most this often on average.
_MOST_REPEATS = 100


def frames_at(index: VideoIndex, times_seconds: ArrayLike) -> NDArray[np.int64]:
    """Frame whose presentation time is nearest to each time; on a tie the earlier one."""
    wanted = np.asarray(times_seconds, dtype=np.float64)
    times = index.times_seconds
    after = np.clip(np.searchsorted(times, wanted), 0, len(times) - 1)
    before = np.maximum(after - 1, 0)
    nearer = wanted - times[before] <= times[after] - wanted
    return np.where(nearer, before, after)


def resample_times(index: VideoIndex, *, fps: float) -> NDArray[np.float64]:
    """Times 0, 1 / fps, 2 / fps, ... in seconds that cover the video; at least one.

    Raises: VideoError if ``fps`` is not positive, or the frames are so far apart that the video
        would be mostly repeats.
    """
    if not 0 < fps < float("inf"):
        raise VideoError(f"frame rate: expected a positive number, found {fps}")
    num_times = max(1, round(index.duration_seconds * fps))
    if num_times > _MOST_REPEATS * max(index.num_frames, _MOST_REPEATS):
        raise VideoError(
            f"{index.path}: has {index.num_frames} frames in {index.duration_seconds:.0f} s; at "
            f"{fps:g} frames/s almost all would be repeats. If it is a time lapse or its time "
            "stamps are wrong, export it at a constant rate"
        )
    return np.arange(num_times) / fps


def evenly_spread(count: int, most: int) -> NDArray[np.int64]:
    """Places of at most ``most`` of ``count`` items, ascending, the first and the last included.

    >>> evenly_spread(10, 4), evenly_spread(2, 4)
    (array([0, 3, 6, 9]), array([0, 1]))
    """
    return np.linspace(0, count - 1, min(most, count)).round().astype(np.int64)


@dataclass(frozen=True, eq=False)
class SampledFrames:
    """The frames of a video at a rate.

    Attributes:
        positions: int64 (F,), ascending; a position may be repeated.
        fps: Rate of these frames.
        is_resampled: Whether they were sampled by time; otherwise every frame was taken.
    """

    positions: NDArray[np.int64]
    fps: float
    is_resampled: bool

    @property
    def resampled_fps(self) -> float | None:
        """Their rate if they were sampled by time, else None."""
        return self.fps if self.is_resampled else None


def sample_frames(index: VideoIndex, *, fps: float | None, tolerance: float) -> SampledFrames:
    """The frames of a video for a model that works at ``fps`` frames per second.

    Of a video of constant rate within ``tolerance`` (a share) of ``fps``, every frame is taken: by
    default 29 and 30 frames/s are treated alike, as are 14 and 15. Any other is sampled at ``fps``
    by presentation time. Without ``fps`` the video's own mean rate is used.

    Raises: VideoError as in `resample_times`.
    """
    if has_rate(index.fps, fps=fps, tolerance=tolerance) and not index.is_variable_rate:
        return SampledFrames(np.arange(index.num_frames), index.fps, is_resampled=False)
    wanted = index.fps if fps is None else fps
    times = resample_times(index, fps=wanted)
    return SampledFrames(frames_at(index, times), wanted, is_resampled=True)


def usual_rate(rates: Sequence[float]) -> float:
    """The most common rate, to a tenth; the highest if several are equally common.

    >>> usual_rate([25.0, 30.0, 25.0, 30.0]), usual_rate([29.97, 24.0])
    (30.0, 29.97)
    """
    counts = Counter(round(rate, 1) for rate in rates)
    most = max(counts, key=lambda rate: (counts[rate], rate))
    return float(np.median([rate for rate in rates if round(rate, 1) == most]))


def has_rate(found: float, *, fps: float | None, tolerance: float) -> bool:
    """Whether ``found`` frames per second are close enough to ``fps``; True if that is None.

    >>> has_rate(29.0, fps=30.0, tolerance=0.05), has_rate(25.0, fps=30.0, tolerance=0.05)
    (True, False)
    """
    return fps is None or abs(found - fps) <= tolerance * fps
