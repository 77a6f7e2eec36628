"""Frames of a video side by side, undistorted, above whatever shows its time."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

# Frames with their times in seconds.
FilmStrip = Sequence[tuple[float, NDArray[np.uint8]]]

_GAP_SHARE = 0.03


def strip_inches(strip: FilmStrip, *, width_inches: float) -> float:
    """Height of the frames side by side over this width; 0 without frames."""
    if not len(strip):
        return 0.0
    return (1 - _GAP_SHARE) * width_inches / sum(_aspect(frame) for _, frame in strip)


def draw_strip(axis: Axes, strip: FilmStrip) -> None:
    """Draw the frames from left to right over axes of the height of `strip_inches`."""
    axis.axis("off")
    widths = [_aspect(frame) for _, frame in strip]
    gap = _GAP_SHARE / (1 - _GAP_SHARE) * sum(widths) / max(len(strip) - 1, 1)
    left = 0.0
    for (_, frame), width in zip(strip, widths, strict=True):
        axis.imshow(frame, extent=(left, left + width, 0, 1), aspect="auto",
                    interpolation="lanczos")  # fmt: skip
        left += width + gap
    axis.set(xlim=(0, left - gap), ylim=(0, 1))


def _aspect(frame: NDArray[np.uint8]) -> float:
    return frame.shape[1] / frame.shape[0]
