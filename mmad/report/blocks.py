"""Blocks of a figure, one for each video: frames side by side, and bars of its segments below."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from mmad.report.axes import LARGE, SMALL, TINY, fitted, text_inches

# Frames with their times in seconds.
FilmStrip = Sequence[tuple[float, NDArray[np.uint8]]]

_GAP_SHARE = 0.03
_ROW_INCHES, _GAP_INCHES = 0.105, 0.05
_TITLE_INCHES, _AXIS_INCHES, _BELOW_STRIP_INCHES = 0.15, 0.24, 0.06
_EDGE_INCHES, _NAME_INCHES = 0.08, 0.1


@dataclass(frozen=True)
class Bar:
    """A row of a block: a name and a segment in seconds."""

    name: str
    start: float
    end: float
    colour: str | tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Block:
    """What is shown of a video.

    Attributes:
        title: Its name.
        duration_seconds: Its duration.
        strip: Frames of it, or none.
        bars: Its segments from top to bottom; without any there is no axis of time.
        rule_after: Number of bars above a line across; 0 for none.
    """

    title: str
    duration_seconds: float
    strip: FilmStrip
    bars: Sequence[Bar]
    rule_after: int = 0


@dataclass(frozen=True, eq=False)
class Blocks:
    """A figure of blocks.

    Attributes:
        figure: The figure.
        left_inches: Where frames and bars begin.
        free_inches: Their width.
    """

    figure: Figure
    left_inches: float
    free_inches: float


def draw_blocks(blocks: Sequence[Block], *, width_inches: float, below_inches: float) -> Blocks:
    """The blocks below each other, with ``below_inches`` left free at the bottom."""
    names = [bar.name for block in blocks for bar in block.bars]
    widest = max((text_inches(name, points=TINY) for name in names), default=0.0)
    left = widest + _NAME_INCHES if names else _EDGE_INCHES
    free = width_inches - left - _EDGE_INCHES
    height = below_inches + sum(_height(block, free) for block in blocks)
    figure = Figure(figsize=(width_inches, height))

    def axes_at(bottom: float, inches: float) -> Axes:
        return figure.add_axes(
            (left / width_inches, bottom / height, free / width_inches, inches / height)
        )

    top = height
    for block in blocks:
        bottom = top - _height(block, free)
        top -= _TITLE_INCHES
        figure.text(
            (0.04 if names else left) / width_inches,
            (top + 0.03) / height,
            fitted(block.title, inches=width_inches - 0.1, points=LARGE, bold=True),
            fontsize=LARGE,
            fontweight="bold",
            parse_math=False,
        )
        if strip_height := strip_inches(block.strip, width_inches=free):
            top -= strip_height
            draw_strip(axes_at(top, strip_height), block.strip)
        if block.bars:
            rows_inches = _ROW_INCHES * len(block.bars)
            _draw_bars(axes_at(top - _GAP_INCHES - rows_inches, rows_inches), block)
        top = bottom
    return Blocks(figure, left, free)


def _height(block: Block, free: float) -> float:
    height = _TITLE_INCHES + strip_inches(block.strip, width_inches=free)
    if not block.bars:
        return height + _BELOW_STRIP_INCHES
    return height + _GAP_INCHES + _ROW_INCHES * len(block.bars) + _AXIS_INCHES


def _draw_bars(axis: Axes, block: Block) -> None:
    for row, bar in enumerate(block.bars):
        axis.axhline(row + 0.5, color="#dddddd", lw=0.3, zorder=0)
        # A line around it keeps a short bar visible.
        axis.add_patch(
            Rectangle(
                (bar.start, row + 0.14), bar.end - bar.start, 0.72, facecolor=bar.colour,
                edgecolor=bar.colour, lw=0.4,
            )
        )  # fmt: skip
    if block.rule_after:
        axis.axhline(block.rule_after, color="black", lw=0.5)
    last = max([block.duration_seconds, *(bar.end for bar in block.bars)])
    axis.set(xlim=(0, last), ylim=(len(block.bars), 0))
    places = [row + 0.5 for row in range(len(block.bars))]
    axis.set_yticks(places, [bar.name for bar in block.bars], fontsize=TINY, parse_math=False)
    axis.tick_params(axis="y", length=0, pad=2)
    axis.tick_params(axis="x", labelsize=TINY, length=2, width=0.5, pad=1)
    axis.set_xlabel("time (s)", fontsize=SMALL, labelpad=0)
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[:].set_linewidth(0.5)


def strip_inches(strip: FilmStrip, *, width_inches: float, most_inches: float = math.inf) -> float:
    """Height of the frames side by side over this width, at most ``most_inches``; 0 without
    frames.
    """
    if not len(strip):
        return 0.0
    frame_inches = _frame_inches(width_inches, len(strip))
    return min(most_inches, max(frame_inches / _aspect(frame) for _, frame in strip))


def draw_strip(axis: Axes, strip: FilmStrip, *, outlined: bool = False) -> None:
    """Draw the frames, undistorted, from left to right, each in the middle of its share of the
    width: where its time is, if they are evenly spread over a video.

    Mostly white images are outlined, so that they are seen on a page.
    """
    axis.axis("off")
    figure = axis.get_figure(root=True)
    assert figure is not None
    width, height = (figure.get_size_inches() * axis.get_position().size).tolist()
    most = _frame_inches(width, len(strip))
    for place, (_, frame) in enumerate(strip):
        wide = min(most, height * _aspect(frame))
        high = wide / _aspect(frame)
        middle = most / 2 + place * (width - most) / max(len(strip) - 1, 1)
        left, right = middle - wide / 2, middle + wide / 2
        axis.imshow(frame, extent=(left, right, 0, high), aspect="auto", interpolation="lanczos")
        if outlined:
            axis.add_patch(Rectangle((left, 0), wide, high, fill=False, ec="#aaaaaa", lw=0.5))
    axis.set(xlim=(0, width), ylim=(0, height))


def _frame_inches(width_inches: float, num_frames: int) -> float:
    """Width of one of several frames side by side."""
    gaps = _GAP_SHARE * width_inches if num_frames > 1 else 0.0
    return (width_inches - gaps) / num_frames


def _aspect(frame: NDArray[np.uint8]) -> float:
    return frame.shape[1] / frame.shape[0]
