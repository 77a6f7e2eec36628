"""Probabilities of all labels for a few clips, of one recogniser or two side by side."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from mmad.evaluation.clips.judged import JudgedRecogniser
from mmad.labels import LabelMap
from mmad.report.axes import (
    LARGE,
    PAGE_INCHES,
    POINTS_PER_INCH,
    SMALL,
    TINY,
    groups_of,
    labels_of,
    short_name,
    shown_order,
)
from mmad.report.colours import RECOGNISER_COLOURS
from mmad.report.figures import Cell, Drawn
from mmad.structures import ClipRecord, Floats
from mmad.wording import rounded

_SHADE = "#dddddd"
_BARS_INCHES = 0.62
_TITLE_INCHES = 0.2
_LEGEND_INCHES = 0.22
# Left of the bars, between the two levels, and right of them.
_LEFT_INCHES, _GAP_INCHES, _RIGHT_INCHES = 0.38, 0.22, 0.06
# A body part is given the width of so many actions, since there are few.
_WIDTH_OF_PART = 1.6
_MOST_NAMED = 75
# Probabilities at which the axis may end.
_TOPS = (0.02, 0.1, 0.2, 0.5, 1.0)
_LONGEST_NAME, _LONGEST_TITLE = 24, 38


def draw_probabilities(
    recognisers: Sequence[JudgedRecogniser],
    clips: Sequence[ClipRecord],
    *,
    labels: LabelMap,
    rows: Sequence[int],
) -> Drawn:
    """Bars of all body parts and actions for the clips ``rows``; the annotated label is shaded."""
    levels = [level for level in ("body", "action") if level in recognisers[0].scores]
    columns = _columns(labels, levels)
    below = max(
        _inches_below(labels_of(labels, level), width) for level, (_, width) in columns.items()
    )
    pitch = _TITLE_INCHES + _BARS_INCHES + below
    height = _LEGEND_INCHES + len(rows) * pitch + 0.05
    figure = Figure(figsize=(PAGE_INCHES, height))
    # One scale for all bars, so that they can be compared.
    highest = max(
        float(one.scores[level][list(rows)].max()) for one in recognisers for level in levels
    )
    top = next(top for top in _TOPS if top >= min(highest, 1.0))
    for place, row in enumerate(rows):
        label = clips[row].label
        assert label is not None
        bottom = height - _LEGEND_INCHES - place * pitch - _TITLE_INCHES - _BARS_INCHES
        for level, (left, width) in columns.items():
            axis = figure.add_axes(
                (left / PAGE_INCHES, bottom / height, width / PAGE_INCHES, _BARS_INCHES / height)
            )
            truth = label if level == "action" else labels.parents[label]
            tables = [one.scores[level][row] for one in recognisers]
            _draw_bars(axis, tables, labels=labels, level=level, truth=truth, width_inches=width)
            axis.set(ylim=(0, top), yticks=(0, top / 2, top))
            if level == levels[0]:
                axis.set_ylabel("probability", fontsize=SMALL, labelpad=2)
            else:
                axis.tick_params(labelleft=False)
        _write_title(
            figure,
            (bottom + _BARS_INCHES + 0.05) / height,
            f"({chr(ord('a') + place % 26)})  {_title_of(labels, label)}",
            clips[row].clip_id,
            [_guess(one, row, label, labels) for one in recognisers],
        )
    _draw_legend(figure, [one.name for one in recognisers])
    return Drawn(figure, _HEADER, _table(recognisers, clips, labels=labels, rows=rows))


_HEADER = ("clip", "annotated", "recogniser", "level", "label", "probability")


def _table(
    recognisers: Sequence[JudgedRecogniser],
    clips: Sequence[ClipRecord],
    *,
    labels: LabelMap,
    rows: Sequence[int],
) -> list[tuple[Cell, ...]]:
    """A row for each bar."""
    return [
        (
            clips[row].clip_id,
            labels.title(clips[row].label or 0),
            one.name,
            level,
            labels_of(labels, level).title(label),
            float(score),
        )
        for row in rows
        for one in recognisers
        for level, scores in one.scores.items()
        for label, score in enumerate(scores[row])
    ]


def _guess(one: JudgedRecogniser, row: int, truth: int, labels: LabelMap) -> str:
    scores = one.scores["action"][row]
    best = int(scores.argmax())
    sign = "✓" if best == truth else "✗"
    return f"{sign} {_title_of(labels, best)} {rounded(scores[best])}"


def _title_of(labels: LabelMap, label: int) -> str:
    title = labels.title(label)
    return title if len(title) <= _LONGEST_TITLE else title[: _LONGEST_TITLE - 1] + "…"


def _write_title(
    figure: Figure, y: float, title: str, clip_id: str, guesses: Sequence[str]
) -> None:
    """The annotated label on the left, and on the right each guess behind a square of its
    recogniser's colour; between them, if there is room, the name of the clip.
    """
    right = 1 - _RIGHT_INCHES / PAGE_INCHES
    for guess, colour in reversed(list(zip(guesses, RECOGNISER_COLOURS, strict=False))):
        for text, ink in ((f"{guess}", "black"), ("■ ", colour)):
            written = figure.text(
                right, y, text, fontsize=LARGE, color=ink, ha="right", parse_math=False
            )
            right = written.get_window_extent().x0 / figure.bbox.width
        right -= 0.015
    left = _LEFT_INCHES / PAGE_INCHES
    for text, weight, ink in ((title, "bold", "black"), (clip_id, "normal", "#666666")):
        written = figure.text(
            left, y, text, fontsize=LARGE, fontweight=weight, color=ink, parse_math=False
        )
        end = written.get_window_extent().x1 / figure.bbox.width
        if text == clip_id and end > right:
            written.remove()
        left = end + 0.015


def _longest_inches(labels: LabelMap) -> float:
    longest = max(len(_name(labels, label)) for label in range(len(labels)))
    return 0.62 * TINY * longest / POINTS_PER_INCH


def _name(labels: LabelMap, label: int) -> str:
    return short_name(labels, label)[:_LONGEST_NAME]


def _are_upright(labels: LabelMap, width_inches: float) -> bool:
    """Whether names below bars of this width in all have to stand upright."""
    return _longest_inches(labels) > 0.9 * width_inches / len(labels)


def _inches_below(labels: LabelMap, width_inches: float) -> float:
    """Height of the names below the bars."""
    if _are_upright(labels, width_inches):
        return 0.06 + _longest_inches(labels)
    return 0.06 + 1.4 * TINY / POINTS_PER_INCH


def _columns(labels: LabelMap, levels: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Left edge and width in inches of the bars of each level."""
    sizes = {
        level: len(labels_of(labels, level)) * (_WIDTH_OF_PART if level == "body" else 1)
        for level in levels
    }
    free = PAGE_INCHES - _LEFT_INCHES - _RIGHT_INCHES - _GAP_INCHES * (len(levels) - 1)
    found, left = {}, _LEFT_INCHES
    for level, size in sizes.items():
        width = free * size / sum(sizes.values())
        found[level] = left, width
        left += width + _GAP_INCHES
    return found


def _draw_bars(
    axis: Axes,
    tables: Sequence[Floats],
    *,
    labels: LabelMap,
    level: str,
    truth: int,
    width_inches: float,
) -> None:
    shown = labels_of(labels, level)
    order = shown_order(shown)
    if level == "action":
        order = shown_order(labels)
        for _, first, _ in groups_of(labels, order)[1:]:
            axis.axvline(first - 0.5, color="#bbbbbb", lw=0.5, zorder=0)
    places = np.arange(len(order))
    width = 0.84 / len(tables)
    middle = order.index(truth)
    axis.axvspan(middle - 0.5, middle + 0.5, color=_SHADE, lw=0, zorder=0)
    for number, (table, colour) in enumerate(zip(tables, RECOGNISER_COLOURS, strict=False)):
        offset = (number - (len(tables) - 1) / 2) * width
        axis.bar(places + offset, table[order], width, color=colour, lw=0)
    axis.set_xlim(-0.6, len(order) - 0.4)
    axis.tick_params(axis="y", labelsize=SMALL, length=2, pad=1)
    axis.tick_params(axis="x", length=0, pad=1)
    axis.spines[["top", "right"]].set_visible(False)
    # Where names would overlap, those that matter remain.
    likely = {truth, *(int(table.argmax()) for table in tables)}
    named = [n for n, label in enumerate(order) if len(order) <= _MOST_NAMED or label in likely]
    names = [_name(shown, order[place]) for place in named]
    turned = 90 if _are_upright(shown, width_inches) else 0
    axis.set_xticks(named, names, rotation=turned, fontsize=TINY, parse_math=False)
    for text, place in zip(axis.get_xticklabels(), named, strict=True):
        if order[place] == truth:
            text.set_fontweight("bold")


def _draw_legend(figure: Figure, names: Sequence[str]) -> None:
    handles = [
        Patch(color=colour, label=name)
        for colour, name in zip(RECOGNISER_COLOURS, names, strict=False)
    ]
    handles.append(Patch(color=_SHADE, label="annotated"))
    legend = figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(_LEFT_INCHES / PAGE_INCHES - 0.005, 1.0),
        borderaxespad=0.4,
        borderpad=0,
        ncols=3,
        fontsize=LARGE,
        frameon=False,
        handlelength=1.2,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
