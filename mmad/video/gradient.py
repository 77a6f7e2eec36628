"""Temporal gradients of a video: how much each pixel changes from a frame to a later one.

Source: Fig. 1 of the MMA-52 paper, which shows them to make subtle movements visible.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmad.errors import VideoError
from mmad.structures import Floats, Ints
from mmad.video.index import index_video
from mmad.video.open import open_video
from mmad.video.reader import Frame
from mmad.video.sampling import frames_at

_SHORT_SIDE = 240


@dataclass(frozen=True, eq=False)
class TemporalGradients:
    """Frames and their temporal gradients.

    Attributes:
        path: Video file.
        positions: Position of each frame in the video, (N,).
        seconds: Time of each frame, (N,).
        frames: The frames, uint8 (N, H, W, 3).
        gradients: Absolute difference to the later frame, mean over colours, (N, H, W), 0 to 255.
    """

    path: Path
    positions: Ints
    seconds: Floats
    frames: Frame
    gradients: NDArray[np.float32]


def temporal_gradients(
    path: Path,
    *,
    num_frames: int,
    gap: int = 1,
    start_seconds: float = 0.0,
    end_seconds: float | None = None,
) -> TemporalGradients:
    """Temporal gradients at evenly spaced times, with ``gap`` frames between the two frames.

    Raises: VideoError if the video cannot be read, or is not as long as asked for.
    """
    index = index_video(path)
    duration = index.duration_seconds
    end = duration if end_seconds is None else end_seconds
    if not 0 <= start_seconds < end <= duration + 1e-6:
        raise VideoError(
            f"{path}: expected 0 <= --from < --to <= {duration:.2f} s, the end of the video; found "
            f"{start_seconds:g} and {end:g}"
        )
    if index.num_frames <= gap:
        raise VideoError(f"{path}: has {index.num_frames} frames; --gap {gap} needs more")
    times = start_seconds + (np.arange(num_frames) + 0.5) * (end - start_seconds) / num_frames
    positions = np.minimum(frames_at(index, times), index.num_frames - 1 - gap)
    short_side = min(_SHORT_SIDE, index.width, index.height)
    with open_video(path, short_side=short_side) as video:
        images = video.read(np.concatenate((positions, positions + gap)))
    before, after = images[:num_frames], images[num_frames:]
    gradients = np.abs(after.astype(np.float32) - before.astype(np.float32)).mean(axis=3)
    return TemporalGradients(path, positions, index.times_seconds[positions], before, gradients)
