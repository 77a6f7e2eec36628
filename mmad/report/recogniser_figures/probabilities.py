"""Probabilities of all labels for a few clips, of one recogniser or two side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmad.evaluation.clips.judged import JudgedRecogniser
from mmad.labels import LabelMap
from mmad.report.axes import (
    COLUMN_INCHES,
    LARGE,
    LEAST_NAMED_INCHES,
    POINTS_PER_INCH,
    SMALL,
    TINY,
    draw_legend,
    fitted,
    groups_of,
    labels_of,
    legend_inches,
    short_name,
    shortened,
    shown_order,
    text_inches,
)
from mmad.report.colours import RECOGNISER_COLOURS
from mmad.report.figures import Cell, Drawn
from mmad.structures import ClipRecord, Floats
from mmad.wording import rounded

_SHADE = "#dddddd"
_BARS_INCHES = 0.62
_TITLE_INCHES, _LINE_INCHES = 0.2, 0.13
# Left of the bars, between the two levels, and right of them.
_LEFT_INCHES, _GAP_INCHES, _RIGHT_INCHES = 0.38, 0.22, 0.06
# A body part is given the width of so many actions, since there are few.
_WIDTH_OF_PART = 1.6
# Probabilities at which the axis may end.
_TOPS = (0.02, 0.1, 0.2, 0.5, 1.0)
_LONGEST_NAME, _LONGEST_ON_COLUMN, _LONGEST_TITLE = 24, 16, 38


def draw_probabilities(
    recognisers: Sequence[JudgedRecogniser],
    clips: Sequence[ClipRecord],
    *,
    labels: LabelMap,
    rows: Sequence[int],
    width_inches: float,
) -> Drawn:
    """Bars of all body parts and actions for the clips ``rows``; the annotated label is shaded."""
    levels = [level for level in ("body", "action") if level in recognisers[0].scores]
    layout = _Layout(width_inches, _columns(labels, levels, width_inches))
    below = max(
        _inches_below(labels_of(labels, level), width)
        for level, (_, width) in layout.columns.items()
    )
    pitch = layout.title_inches + _BARS_INCHES + below
    named = zip([one.name for one in recognisers], RECOGNISER_COLOURS, strict=False)
    colours = dict(named) | {"annotated": _SHADE}
    top = legend_inches(list(colours), inches=width_inches - _LEFT_INCHES)
    figure = Figure(figsize=(width_inches, top + len(rows) * pitch + 0.05))
    draw_legend(figure, colours, left_inches=_LEFT_INCHES)
    height = float(figure.get_figheight())
    # One scale for all bars, so that they can be compared.
    highest = max(
        float(one.scores[level][list(rows)].max()) for one in recognisers for level in levels
    )
    highest = next(one for one in _TOPS if one >= min(highest, 1.0))
    for place, row in enumerate(rows):
        label = clips[row].label
        assert label is not None
        bottom = height - top - place * pitch - layout.title_inches - _BARS_INCHES
        for level, (left, width) in layout.columns.items():
            axis = figure.add_axes(
                (left / width_inches, bottom / height, width / width_inches, _BARS_INCHES / height)
            )
            truth = label if level == "action" else labels.parents[label]
            tables = [one.scores[level][row] for one in recognisers]
            _draw_bars(axis, tables, labels=labels, level=level, truth=truth, width_inches=width)
            axis.set(ylim=(0, highest), yticks=(0, highest / 2, highest))
            if level == levels[0]:
                axis.set_ylabel("probability", fontsize=SMALL, labelpad=2)
            else:
                axis.tick_params(labelleft=False)
        _write_title(
            figure,
            bottom + _BARS_INCHES + 0.05,
            f"({chr(ord('a') + place % 26)})  {_title_of(labels, label)}",
            clips[row].clip_id,
            [_Guess.of(one, row, label, labels) for one in recognisers],
            layout=layout,
        )
    return Drawn(figure, _HEADER, _table(recognisers, clips, labels=labels, rows=rows))


@dataclass(frozen=True)
class _Layout:
    """Widths in inches.

    Attributes:
        width: Of the figure.
        columns: Left edge and width of the bars of each level.
    """

    width: float
    columns: dict[str, tuple[float, float]]

    @property
    def guesses_are_below(self) -> bool:
        """Whether guesses have a line of their own below the annotated label."""
        return self.width <= COLUMN_INCHES

    @property
    def title_inches(self) -> float:
        return _TITLE_INCHES + (_LINE_INCHES if self.guesses_are_below else 0.0)


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


@dataclass(frozen=True)
class _Guess:
    """What a recogniser takes a clip for."""

    sign: str
    title: str
    score: str

    @classmethod
    def of(cls, one: JudgedRecogniser, row: int, truth: int, labels: LabelMap) -> "_Guess":
        scores = one.scores["action"][row]
        best = int(scores.argmax())
        sign = "✓" if best == truth else "✗"
        return cls(sign, _title_of(labels, best), rounded(scores[best]))

    def within(self, inches: float) -> str:
        """The text, with as much of the title as fits."""
        around = text_inches(f"{self.sign}  {self.score}", points=LARGE)
        title = fitted(self.title, inches=inches - around, points=LARGE)
        return f"{self.sign} {title} {self.score}"


def _title_of(labels: LabelMap, label: int) -> str:
    return shortened(labels.title(label), _LONGEST_TITLE)


def _write_title(
    figure: Figure,
    bottom: float,
    title: str,
    clip_id: str,
    guesses: Sequence[_Guess],
    *,
    layout: _Layout,
) -> None:
    """The annotated label on the left, and on the right, or below it, each guess behind a square of
    its recogniser's colour; after the label, if there is room, the name of the clip.
    """
    height = figure.get_figheight()
    end = layout.width - _RIGHT_INCHES
    square = text_inches("■ ", points=LARGE)
    share = len(guesses) if layout.guesses_are_below else len(guesses) + 1
    room = (end - _LEFT_INCHES) / share - square - 0.1
    texts = [one.within(room) for one in guesses]
    widths = [square + text_inches(text, points=LARGE) + 0.1 for text in texts]
    left = _LEFT_INCHES if layout.guesses_are_below else end - sum(widths) + 0.1
    free = end if layout.guesses_are_below else left - 0.1
    for text, width, colour in zip(texts, widths, RECOGNISER_COLOURS, strict=False):
        for x, piece, ink in ((left, "■", colour), (left + square, text, "black")):
            figure.text(x / layout.width, bottom / height, piece, fontsize=LARGE, color=ink,
                        parse_math=False)  # fmt: skip
        left += width
    y = (bottom + (_LINE_INCHES if layout.guesses_are_below else 0.0)) / height
    x = _LEFT_INCHES / layout.width
    shown = fitted(title, inches=free - _LEFT_INCHES, points=LARGE, bold=True)
    figure.text(x, y, shown, fontsize=LARGE, fontweight="bold", parse_math=False)
    left = _LEFT_INCHES + text_inches(shown, points=LARGE, bold=True) + 0.1
    if left + text_inches(clip_id, points=LARGE) <= free:
        figure.text(left / layout.width, y, clip_id, fontsize=LARGE, color="#666666",
                    parse_math=False)  # fmt: skip


def _names_below(labels: LabelMap, width_inches: float) -> tuple[list[str], bool]:
    """Names of all labels below bars of this width, and whether they have to stand upright."""
    longest = _LONGEST_ON_COLUMN if width_inches <= COLUMN_INCHES else _LONGEST_NAME
    names = [shortened(short_name(labels, label), longest) for label in range(len(labels))]
    widest = max(text_inches(name, points=TINY) for name in names)
    return names, widest > 0.9 * width_inches / len(names)


def _inches_below(labels: LabelMap, width_inches: float) -> float:
    """Height of the names below the bars."""
    names, are_upright = _names_below(labels, width_inches)
    if are_upright:
        return 0.06 + max(text_inches(name, points=TINY, bold=True) for name in names)
    return 0.06 + 1.4 * TINY / POINTS_PER_INCH


def _columns(
    labels: LabelMap, levels: Sequence[str], width_inches: float
) -> dict[str, tuple[float, float]]:
    """Left edge and width in inches of the bars of each level."""
    sizes = {
        level: len(labels_of(labels, level)) * (_WIDTH_OF_PART if level == "body" else 1)
        for level in levels
    }
    free = width_inches - _LEFT_INCHES - _RIGHT_INCHES - _GAP_INCHES * (len(levels) - 1)
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
    all_names, are_upright = _names_below(shown, width_inches)
    named = list(range(len(order)))
    if are_upright and width_inches / len(order) < LEAST_NAMED_INCHES:
        likely = [order.index(label) for label in (truth, *(int(t.argmax()) for t in tables))]
        named = _apart(likely, least=LEAST_NAMED_INCHES * len(order) / width_inches)
    names = [all_names[order[place]] for place in named]
    turned = 90 if are_upright else 0
    axis.set_xticks(named, names, rotation=turned, fontsize=TINY, parse_math=False)
    for text, place in zip(axis.get_xticklabels(), named, strict=True):
        if order[place] == truth:
            text.set_fontweight("bold")


def _apart(places: Sequence[int], *, least: float) -> list[int]:
    """Those of the places that are at least so far from each earlier one.

    >>> _apart([5, 6, 9, 5], least=2)
    [5, 9]
    """
    kept: list[int] = []
    for place in places:
        if all(abs(place - other) >= least for other in kept):
            kept.append(place)
    return kept
