"""A film strip of what a network with moving tokens computes, and its share over time."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mmad.report.axes import LARGE, SMALL, fitted
from mmad.report.figures import ShownFigure

_WIDTH_INCHES = 11.0
_LEFT_INCHES, _RIGHT_INCHES, _GAP_INCHES = 0.55, 0.15, 0.06
_TITLE_INCHES, _CURVE_INCHES, _AXIS_INCHES, _TIME_INCHES = 0.32, 1.1, 0.42, 0.16
_LEGEND_INCHES = 0.26
_COLUMNS = 8
# What is not computed keeps so much of its brightness, and no colour.
_DIMMED = 0.35
_LINE, _CLIPS, _MEAN, _GRID = "#1d5b9c", "#86b9e0", "#d1495b", "#dddddd"


def motion_figure(
    title: str,
    frames: Sequence[tuple[float, NDArray[np.uint8], NDArray[np.bool_]]],
    shares_T: NDArray[np.float64],
    *,
    seconds_per_step: float,
    steps_per_clip: int,
) -> Figure:
    """Frames in rows, bright where tokens are computed, and the share of tokens below.

    Args:
        title: Title.
        frames: Seconds, uint8 RGB image and computed places (rows, columns) of each frame.
        shares_T: Share of the tokens of each step that are computed.
        seconds_per_step: Duration of a step.
        steps_per_clip: Steps of a clip.
    """
    columns = min(_COLUMNS, max(1, len(frames)))
    rows = math.ceil(len(frames) / columns)
    inner = _WIDTH_INCHES - _LEFT_INCHES - _RIGHT_INCHES
    cell = (inner - (columns - 1) * _GAP_INCHES) / columns
    tall = cell * frames[0][1].shape[0] / frames[0][1].shape[1] if frames else 0.0
    row_inches = tall + _TIME_INCHES + _GAP_INCHES
    height = _TITLE_INCHES + rows * row_inches + _LEGEND_INCHES + _CURVE_INCHES + _AXIS_INCHES
    figure = ShownFigure(figsize=(_WIDTH_INCHES, height), facecolor="white")

    def axes_at(left: float, top: float, width: float, tall: float) -> Axes:
        place = (
            *(left / _WIDTH_INCHES, 1 - (top + tall) / height),
            *(width / _WIDTH_INCHES, tall / height),
        )
        return figure.add_axes(place)

    text = fitted(title, inches=inner, points=LARGE + 1, bold=True)
    figure.text(
        _LEFT_INCHES / _WIDTH_INCHES,
        1 - 0.08 / height,
        text,
        va="top",
        fontsize=LARGE + 1,
        weight="bold",
        parse_math=False,
    )
    for number, (seconds, image, kept_hw) in enumerate(frames):
        row, column = divmod(number, columns)
        left = _LEFT_INCHES + column * (cell + _GAP_INCHES)
        axes = axes_at(left, _TITLE_INCHES + row * row_inches, cell, tall)
        axes.imshow(dimmed(image, kept_hw), interpolation="nearest", aspect="auto")
        axes.set_axis_off()
        share = f"{seconds:.2f} s, {100 * kept_hw.mean():.0f} %"
        axes.set_title(share, fontsize=SMALL, pad=2, loc="left", y=-_TIME_INCHES / tall)
    top = _TITLE_INCHES + rows * row_inches + _LEGEND_INCHES
    _draw_shares(
        axes_at(_LEFT_INCHES, top, inner, _CURVE_INCHES), shares_T, seconds_per_step, steps_per_clip
    )
    return figure


def dimmed(image: NDArray[np.uint8], kept_hw: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The image, dark and grey where tokens are not computed; uint8 of the same shape."""
    rows, columns = (
        side // cells for side, cells in zip(image.shape[:2], kept_hw.shape, strict=True)
    )
    bright_HW1 = np.kron(kept_hw, np.ones((rows, columns), dtype=bool))[..., None]
    grey_HW1 = image.mean(axis=-1, keepdims=True) * _DIMMED
    return np.where(bright_HW1, image, grey_HW1).astype(np.uint8)


def _draw_shares(
    axes: Axes, shares_T: NDArray[np.float64], seconds_per_step: float, steps_per_clip: int
) -> None:
    """The share of each step but the first of a clip, and the mean of each clip."""
    starts = np.arange(len(shares_T)) * seconds_per_step
    clips = [
        shares_T[first : first + steps_per_clip].mean()
        for first in range(0, len(shares_T), steps_per_clip)
    ]
    edges = np.append(starts[::steps_per_clip], len(shares_T) * seconds_per_step)
    axes.stairs(100 * np.array(clips), edges, fill=True, color=_CLIPS, label="of each clip")
    later = np.arange(len(shares_T)) % steps_per_clip != 0
    axes.plot(
        starts[later] + seconds_per_step / 2,
        100 * shares_T[later],
        color=_LINE,
        linewidth=0.9,
        label="of each step but the first of a clip, which is whole",
    )
    axes.axhline(
        100 * shares_T.mean(), color="#d1495b", linewidth=0.9, linestyle="--", label="of the video"
    )
    axes.set_xlim(0, edges[-1])
    axes.set_ylim(0, 100)
    axes.set_ylabel("computed, %", fontsize=LARGE)
    axes.set_xlabel("seconds", fontsize=LARGE)
    axes.tick_params(labelsize=SMALL)
    axes.grid(axis="y", color=_GRID, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(
        **{"fontsize": SMALL, "frameon": False, "ncols": 3, "borderpad": 0, "borderaxespad": 0.3},
        loc="lower right",
        bbox_to_anchor=(1, 1),
    )
