"""Features of clips in a plane, by body part and by action, of one recogniser or two."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from mmad.evaluation.clips.judged import JudgedRecogniser
from mmad.evaluation.page_figures import places_in_a_square
from mmad.labels import LabelMap
from mmad.report.axes import (
    COLUMN_INCHES,
    LARGE,
    PAGE_INCHES,
    SMALL,
    TINY,
    fitted,
    labels_of,
    settle,
    short_name,
    shortened,
    shown_order,
    text_inches,
)
from mmad.report.colours import PART_COLOURS
from mmad.report.figures import Cell, Drawn
from mmad.structures import ClipRecord, Floats, Ints

# Shapes too tell body parts apart, for readers without colour.
_MARKERS = "osD^vPX*"
_NUM_COLOURS = len(PART_COLOURS)
_MOST_NAMED = 60
# Names of clips nearer to the edge start or end there.
_MARGIN = 0.1
_LONGEST_NAME = 24


def draw_features(
    recognisers: Sequence[JudgedRecogniser],
    clips: Sequence[ClipRecord],
    *,
    labels: LabelMap,
    seed: int,
    width_inches: float | None = None,
) -> Drawn:
    """A dot for each clip: above by body part, below by action, a column for each recogniser.

    Args:
        recognisers: One recogniser or two, with features.
        clips: The annotated clips.
        labels: Their labels.
        seed: Seed of the t-SNE.
        width_inches: Width of the figure; None for a column of one panel, else a page.
    """
    truth = np.array([clip.label for clip in clips], dtype=np.int64)
    levels = [level for level in ("body", "action") if level in recognisers[0].scores]
    num_panels = len(recognisers) * len(levels)
    side = width_inches or (COLUMN_INCHES if num_panels == 1 else PAGE_INCHES)
    is_stacked = side <= COLUMN_INCHES and len(recognisers) == 1
    columns = len(recognisers) if len(recognisers) > 1 or is_stacked else len(levels)
    rows = num_panels // columns
    legend_columns = 7 if side > COLUMN_INCHES else 4
    legend_rows = -(-len(labels.parent_names) // legend_columns)
    height = rows * (side / columns * 0.8 + 0.2) + 0.25 + 0.15 * legend_rows
    figure = Figure(figsize=(side, height), layout="constrained")
    axes = np.array(figure.subplots(rows, columns, squeeze=False)).reshape(len(levels), -1)
    told = ""
    rows_of_table: list[tuple[Cell, ...]] = []
    for column, one in enumerate(recognisers):
        assert one.features is not None
        places, told = places_in_a_square(one.features, seed=seed)
        rows_of_table += [
            (one.name, clip.clip_id, labels.title(clip.label or 0), float(x), float(y))
            for clip, (x, y) in zip(clips, places, strict=True)
        ]
        for level, axis in zip(levels, axes[:, column], strict=True):
            _draw_dots(axis, places, truth, labels=labels, level=level)
            what = {"body": "body parts", "action": "actions"}[level]
            room = side / columns - text_inches(f": {what}", points=LARGE) - 0.1
            name = fitted(one.name, inches=room, points=LARGE)
            axis.set_title(f"{name}: {what}", fontsize=LARGE, parse_math=False, pad=3)
    if "body" in levels:
        _draw_legend(figure, labels, columns=legend_columns)
    figure.supxlabel(told, fontsize=TINY, x=0.01, ha="left")
    settle(figure)
    return Drawn(figure, ("recogniser", "clip", "annotated", "x", "y"), rows_of_table)


def _draw_dots(axis: Axes, places: Floats, truth: Ints, *, labels: LabelMap, level: str) -> None:
    size = float(np.clip(2500 / len(places), 2, 14))
    for label in shown_order(labels):
        of_label = places[truth == label]
        group = labels.parents[label] if labels.has_parents else label
        is_shade = level == "action" and labels.has_parents
        colour = _shade(labels, label) if is_shade else PART_COLOURS[group % _NUM_COLOURS]
        marker = _MARKERS[group % len(_MARKERS)]
        axis.scatter(
            of_label[:, 0], of_label[:, 1], s=size, color=[colour], marker=marker, lw=0, alpha=0.85
        )
    axis.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), xticks=(), yticks=())
    axis.spines[:].set(color="#888888", linewidth=0.5)
    if level == "action" and len(labels) <= _MOST_NAMED:
        _write_names(axis, places, truth, labels)


def _shade(labels: LabelMap, label: int) -> tuple[float, float, float]:
    """A shade of the colour of the label's body part, from dark to light."""
    group = labels.parents[label]
    kin = [other for other in shown_order(labels) if labels.parents[other] == group]
    place = kin.index(label) / max(len(kin) - 1, 1)
    target, amount = (0.0, 0.5 - place) if place < 0.5 else (1.0, place - 0.5)
    red, green, blue = (
        value + (target - value) * amount for value in to_rgb(PART_COLOURS[group % _NUM_COLOURS])
    )
    return red, green, blue


def _write_names(axis: Axes, places: Floats, truth: Ints, labels: LabelMap) -> None:
    """The name of each action at the clip that is nearest to all others of it."""
    for label in np.unique(truth).tolist():
        of_label = places[truth == label]
        distances = np.linalg.norm(of_label[:, None] - of_label[None], axis=2).sum(axis=1)
        x, y = of_label[distances.argmin()].tolist()
        text = axis.annotate(
            shortened(short_name(labels, label), _LONGEST_NAME),
            (x, y),
            # Above the clip, which stays visible, or below it where the panel ends.
            xytext=(0, 2 if y <= 1 - _MARGIN / 2 else -2),
            textcoords="offset points",
            fontsize=TINY,
            ha="left" if x < _MARGIN else "right" if x > 1 - _MARGIN else "center",
            va="bottom" if y <= 1 - _MARGIN / 2 else "top",
            parse_math=False,
        )
        text.set_path_effects([withStroke(linewidth=1.5, foreground="white")])


def _draw_legend(figure: Figure, labels: LabelMap, *, columns: int) -> None:
    parts = labels_of(labels, "body")
    handles = [
        Line2D(
            [],
            [],
            ls="",
            marker=_MARKERS[part % len(_MARKERS)],
            color=PART_COLOURS[part % _NUM_COLOURS],
            markersize=4,
            mew=0,
            label=parts.title(part),
        )
        for part in range(len(parts))
    ]
    legend = figure.legend(
        handles=handles,
        loc="outside upper center",
        ncols=columns,
        fontsize=SMALL,
        frameon=False,
        handletextpad=0.1,
        columnspacing=1.0,
        borderpad=0,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
