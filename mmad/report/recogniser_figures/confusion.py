"""Confusion matrices: of a recogniser, and of a model of emotions and actions of videos."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmad.evaluation.clips.judged import JudgedRecogniser
from mmad.evaluation.emotions.metrics import PredictedVideo, co_occurrence
from mmad.labels import EMOTIONS, LabelMap
from mmad.report.axes import (
    COLUMN_INCHES,
    LARGE,
    PAGE_INCHES,
    POINTS_PER_INCH,
    SMALL,
    TINY,
    fitted,
    groups_of,
    labels_of,
    settle,
    short_name,
    shortened,
    shown_order,
    text_inches,
)
from mmad.report.figures import Cell, Drawn
from mmad.structures import Floats, Ints
from mmad.wording import rounded

# Up to so many labels, the share is written into each cell, and a column is wide enough.
_FEW = 12
_LONGEST_NAME, _LONGEST_ON_COLUMN = 40, 22
_TITLE_INCHES = 0.2
_NO_CLIPS = "#eeeeee"
_TITLES = {"body": "body parts", "action": "actions"}
_LIGHTEST = 0.1
_SMALLEST = 3.5


def draw_confusion(
    one: JudgedRecogniser, *, labels: LabelMap, level: str, width_inches: float | None = None
) -> Drawn:
    """Share of the clips of each label (rows) that are recognised as each (columns).

    Args:
        one: The recogniser.
        labels: Its labels.
        level: "action" or "body".
        width_inches: Width of the figure; None for a column if there are few labels, else a page.
    """
    shown = labels_of(labels, level)
    counts = one.report.levels[level].confusion
    top1 = rounded(100 * one.report.levels[level].top1)
    return _draw_matrix(
        counts,
        counts.sum(axis=1),
        shown=shown,
        name=one.name,
        told=f": {_TITLES[level]}, top-1 {top1} %",
        what="clips",
        width_inches=width_inches,
    )


def draw_video_confusion(
    name: str,
    found: Sequence[PredictedVideo],
    *,
    labels: LabelMap,
    level: str,
    width_inches: float | None = None,
) -> Drawn:
    """Share of the videos of each annotated emotion, action or body part (rows) in which each is
    predicted (columns). A video has several actions, so that rows of these do not add up to 1.

    Args:
        name: Name of the model.
        found: Its predictions.
        labels: Label set of the actions.
        level: "emotion", "action" or "body".
        width_inches: As of `draw_confusion`.
    """
    if level == "emotion":
        shown = EMOTIONS
        counts = np.zeros((len(shown), len(shown)), dtype=np.int64)
        for one in found:
            counts[one.video.emotion, one.emotion] += 1
        totals = counts.sum(axis=1)
        told = f": emotions, accuracy {rounded(100 * np.trace(counts) / len(found))} %"
    else:
        shown = labels_of(labels, level)
        counts, totals = co_occurrence(found, labels=labels, level=level)
        told = f": {_TITLES[level]} in the same videos"
    return _draw_matrix(
        counts, totals, shown=shown, name=name, told=told, what="videos", width_inches=width_inches
    )


def _draw_matrix(
    counts: Ints,
    totals: Ints,
    *,
    shown: LabelMap,
    name: str,
    told: str,
    what: str,
    width_inches: float | None,
) -> Drawn:
    """Counts as shares of the ``totals`` of their rows."""
    order = shown_order(shown)
    counts, totals = counts[np.ix_(order, order)], totals[order]
    shares = _shares(counts, totals)
    is_small = len(order) <= _FEW
    width = width_inches or (COLUMN_INCHES if is_small else PAGE_INCHES)
    figure = Figure(figsize=(width, width), layout="constrained")
    axis = figure.subplots()
    axis.set_facecolor(_NO_CLIPS)
    # White only where there is none: a single one of many is still seen.
    axis.imshow(np.where(np.isnan(shares), np.nan, 0), cmap="Greys", vmin=0, vmax=1)
    filled = np.where(shares > 0, shares, np.nan)
    drawn = axis.imshow(filled, vmin=-_LIGHTEST, vmax=1, cmap="Blues", interpolation="nearest")
    _name_axes(axis, width, shown, order, totals, what=what)
    if is_small:
        _write_shares(axis, shares)
    else:
        bar = figure.colorbar(drawn, ax=axis, shrink=0.5, aspect=30, pad=0.01)
        bar.ax.tick_params(labelsize=SMALL, length=2)
        bar.set_ticks([0, 0.25, 0.5, 0.75, 1], labels=["0", "25", "50", "75", "100 %"])
        bar.outline.set_linewidth(0.5)
        bar.ax.set_ylim(0, 1)
    for _, first, _ in groups_of(shown, order)[1:]:
        axis.axhline(first - 0.5, color="#555555", lw=0.4)
        axis.axvline(first - 0.5, color="#555555", lw=0.4)
    axis.spines[:].set(linewidth=0.5)
    shortest = fitted(name, inches=width - 0.1 - text_inches(told, points=LARGE), points=LARGE)
    figure.suptitle(shortest + told, fontsize=LARGE, parse_math=False)
    # The matrix is square, so its width decides how high the figure has to be.
    figure.draw_without_rendering()
    around = axis.get_tightbbox()
    assert around is not None
    figure.set_figheight(around.height / figure.dpi + _TITLE_INCHES + 0.05)
    settle(figure)
    rows: list[tuple[Cell, ...]] = [
        (
            shown.title(order[row]),
            shown.title(order[column]),
            int(number),
            "" if np.isnan(shares[row, column]) else float(shares[row, column]),
        )
        for (row, column), number in np.ndenumerate(counts)
    ]
    return Drawn(figure, ("annotated", "recognised_as", what, "share"), rows)


def _shares(counts: Ints, totals: Ints) -> Floats:
    """Each count as a fraction of the total of its row; NaN in rows without any.

    >>> _shares(np.array([[3, 1], [0, 0]]), np.array([4, 0])).tolist()
    [[0.75, 0.25], [nan, nan]]
    """
    whole = totals[:, None]
    return np.divide(counts, whole, where=whole > 0, out=np.full(counts.shape, np.nan))


def _name_axes(
    axis: Axes, width: float, shown: LabelMap, order: list[int], totals: Ints, *, what: str
) -> None:
    """Rows with names and numbers, columns with codes where there are some; body parts alone where
    these would be too small.
    """
    side_points = 0.72 * width * POINTS_PER_INCH
    size = min(LARGE if len(order) <= _FEW else TINY, 0.92 * side_points / len(order))
    axis.set_ylabel(f"annotated ({what})", fontsize=LARGE)
    axis.set_xlabel("recognised as", fontsize=LARGE)
    axis.tick_params(length=0, pad=2)
    longest = _LONGEST_ON_COLUMN if width <= COLUMN_INCHES else _LONGEST_NAME
    if size < _SMALLEST:
        groups = groups_of(shown, order)
        middles = [first + (number - 1) / 2 for _, first, number in groups]
        names = [shortened(short_name(shown.parent_map, part), longest) for part, _, _ in groups]
        turned = 90 if max(map(len, names), default=0) > 2 else 0
        axis.set_yticks(middles, names, fontsize=LARGE, parse_math=False)
        axis.set_xticks(middles, names, fontsize=LARGE, parse_math=False, rotation=turned)
        return
    places = range(len(order))
    rows = [
        f"{shortened(shown.title(label), longest)} ({total})"
        for label, total in zip(order, totals.tolist(), strict=True)
    ]
    axis.set_yticks(places, rows, fontsize=size, parse_math=False)
    columns = [shortened(short_name(shown, label), longest) for label in order]
    turned = 90 if max(map(len, columns)) > 2 or len(order) > _FEW else 0
    axis.set_xticks(places, columns, fontsize=size, parse_math=False, rotation=turned)


def _write_shares(axis: Axes, shares: Floats) -> None:
    """Percent of the row in each cell that is not empty."""
    for (row, column), share in np.ndenumerate(shares):
        if share > 0:
            axis.text(
                column,
                row,
                rounded(100 * share, 0) if share >= 0.005 else "<1",
                fontsize=SMALL,
                ha="center",
                va="center",
                color="white" if share > 0.55 else "black",
            )
