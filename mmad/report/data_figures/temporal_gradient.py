"""Frames of videos above their temporal gradients (Fig. 1 of the MMA-52 paper)."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mmad.report.axes import LARGE, SMALL, TINY, fitted, text_inches
from mmad.report.blocks import FilmStrip, draw_strip, strip_inches
from mmad.report.figures import Cell, Drawn
from mmad.video.gradient import TemporalGradients
from mmad.wording import rounded

_TITLE_INCHES, _TIMES_INCHES, _BETWEEN_INCHES = 0.15, 0.12, 0.03
_EDGE_INCHES = 0.05
# A change above that of all but this share of pixels is black.
_DARKEST_PERCENTILE = 99.8
_LEAST_DARKEST = 1.0


def draw_temporal_gradients(
    videos: Sequence[TemporalGradients], *, titles: Sequence[str], width_inches: float
) -> Drawn:
    """Two strips for each video; the darker the lower one, the larger the change there."""
    free = width_inches - 2 * _EDGE_INCHES
    heights = [strip_inches(_strip(one, one.frames), width_inches=free) for one in videos]
    around = _TITLE_INCHES + _BETWEEN_INCHES + _TIMES_INCHES
    figure = Figure(figsize=(width_inches, sum(2 * one + around for one in heights)))
    top = float(figure.get_figheight())
    for one, title, inches in zip(videos, titles, heights, strict=True):
        _draw_video(figure, one, title=title, top=top, strip_height=inches)
        top -= 2 * inches + around
    rows: list[tuple[Cell, ...]] = [
        (one.path.name, int(position), float(seconds), float(change.mean()), float(change.max()))
        for one in videos
        for position, seconds, change in zip(one.positions, one.seconds, one.gradients, strict=True)
    ]
    return Drawn(figure, ("video", "frame", "seconds", "mean_change", "largest_change"), rows)


def _strip(one: TemporalGradients, images: NDArray[np.uint8]) -> FilmStrip:
    return list(zip(one.seconds.tolist(), images, strict=True))


def _draw_video(
    figure: Figure, one: TemporalGradients, *, title: str, top: float, strip_height: float
) -> None:
    """The title, the frames, their gradients and their times from ``top`` downwards."""
    width, height = figure.get_size_inches().tolist()
    free = width - 2 * _EDGE_INCHES
    darkest = max(_LEAST_DARKEST, float(np.percentile(one.gradients, _DARKEST_PERCENTILE)))
    mean = rounded(float(one.gradients.mean()))
    told = f"mean change {mean}, black from {rounded(darkest, 0)} (of 255)"
    room = free - text_inches(told, points=SMALL) - 0.1
    top -= _TITLE_INCHES
    figure.text(
        _EDGE_INCHES / width,
        (top + 0.03) / height,
        fitted(title, inches=room, points=LARGE, bold=True),
        fontsize=LARGE,
        fontweight="bold",
        parse_math=False,
    )
    figure.text(1 - _EDGE_INCHES / width, (top + 0.03) / height, told, fontsize=SMALL, ha="right")
    shades = 255 * (1 - np.clip(one.gradients / darkest, 0, 1))
    grey = np.repeat(shades.astype(np.uint8)[..., None], 3, axis=3)
    for images in (one.frames, grey):
        top -= strip_height
        axis = figure.add_axes(
            (_EDGE_INCHES / width, top / height, free / width, strip_height / height)
        )
        draw_strip(axis, _strip(one, images), outlined=images is grey)
        top -= _BETWEEN_INCHES
    for number, seconds in enumerate(one.seconds.tolist()):
        x = (_EDGE_INCHES + (number + 0.5) * free / len(one.seconds)) / width
        y = (top + _BETWEEN_INCHES - 0.01) / height
        figure.text(x, y, f"{rounded(seconds)} s", fontsize=TINY, ha="center", va="top")
