"""Axes of bars for every body part and action, in as many rows as the width of a figure needs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmad.labels import LabelMap
from mmad.report.axes import (
    LEAST_NAMED_INCHES,
    SMALL,
    TINY,
    groups_of,
    labels_of,
    short_name,
    shortened,
    shown_order,
    text_inches,
)

_LEFT_INCHES, _RIGHT_INCHES, _GAP_INCHES = 0.36, 0.05, 0.26
_BARS_INCHES, _ABOVE_INCHES, _BELOW_INCHES = 0.85, 0.08, 0.06
# A body part is given the width of so many actions, since there are few.
_WIDTH_OF_PART = 1.8
_LONGEST_NAME = 24


@dataclass(frozen=True, eq=False)
class BarPanel:
    """Axes whose x is the place of a label in ``order``.

    Attributes:
        axis: The axes, with names below.
        level: "body" or "action".
        order: Labels of the level from left to right.
    """

    axis: Axes
    level: str
    order: tuple[int, ...]


def make_bar_panels(
    labels: LabelMap, *, width_inches: float, top_inches: float, what: str
) -> tuple[Figure, list[BarPanel]]:
    """A figure of this width with panels for all body parts and actions.

    Args:
        labels: Label set.
        width_inches: Width of the figure; it is as high as it has to be.
        top_inches: Room for a legend above the panels.
        what: Quantity and unit of the bars.
    """
    rows = _rows_of(labels, width_inches - _LEFT_INCHES - _RIGHT_INCHES)
    below = [max(_name_inches(labels, level, order) for level, order in row) for row in rows]
    height = top_inches + sum(_ABOVE_INCHES + _BARS_INCHES + _BELOW_INCHES + one for one in below)
    figure = Figure(figsize=(width_inches, height))
    panels = []
    top = height - top_inches
    for row, names_inches in zip(rows, below, strict=True):
        bottom = top - _ABOVE_INCHES - _BARS_INCHES
        for number, (left, width) in enumerate(_columns(row, width_inches)):
            level, order = row[number]
            axis = figure.add_axes(
                (left / width_inches, bottom / height, width / width_inches, _BARS_INCHES / height)
            )
            _finish(axis, labels, level, order)
            if number == 0:
                axis.set_ylabel(what, fontsize=SMALL, labelpad=2)
            panels.append(BarPanel(axis, level, tuple(order)))
        top = bottom - _BELOW_INCHES - names_inches
    return figure, panels


_Row = list[tuple[str, list[int]]]


def _rows_of(labels: LabelMap, free_inches: float) -> list[_Row]:
    """Level and labels of each panel, by row of the figure."""
    order = shown_order(labels)
    most = max(int(free_inches / LEAST_NAMED_INCHES), 1)
    if not labels.has_parents:
        return [[("action", part)] for part in split_order(labels, order, most=most)]
    parts = list(range(len(labels.parent_names)))
    if _WIDTH_OF_PART * len(parts) + len(order) + _GAP_INCHES / LEAST_NAMED_INCHES <= most:
        return [[("body", parts), ("action", order)]]
    chunks = split_order(labels, order, most=most)
    return [[("body", parts)], *([("action", chunk)] for chunk in chunks)]


def split_order(labels: LabelMap, order: Sequence[int], *, most: int) -> list[list[int]]:
    """``order`` in rows of at most ``most`` labels, about equal, cut between body parts if any.

    >>> from mmad.labels import MA52
    >>> [len(row) for row in split_order(MA52, shown_order(MA52), most=34)]
    [24, 28]
    """
    num_rows = math.ceil(len(order) / most)
    edges = {first for _, first, _ in groups_of(labels, order)}
    rows, start = [], 0
    for number in range(num_rows, 0, -1):
        target = start + (len(order) - start) / number
        # What is left must fit into the rows that are left.
        least = len(order) - most * (number - 1)
        allowed = [edge for edge in edges if max(start + 1, least) <= edge <= start + most]
        end = min(allowed, key=lambda edge: abs(edge - target), default=math.ceil(target))
        end = len(order) if number == 1 else end
        rows.append(list(order[start:end]))
        start = end
    return rows


def _columns(row: _Row, width_inches: float) -> list[tuple[float, float]]:
    """Left edge and width in inches of each panel of a row."""
    free = width_inches - _LEFT_INCHES - _RIGHT_INCHES - _GAP_INCHES * (len(row) - 1)
    sizes = [len(order) * (_WIDTH_OF_PART if level == "body" else 1) for level, order in row]
    found, left = [], _LEFT_INCHES
    for size in sizes:
        width = free * size / sum(sizes)
        found.append((left, width))
        left += width + _GAP_INCHES
    return found


def _names(labels: LabelMap, level: str, order: Sequence[int]) -> list[str]:
    shown = labels_of(labels, level)
    if level == "body":
        return [shortened(shown.title(label), _LONGEST_NAME) for label in order]
    return [shortened(short_name(shown, label), _LONGEST_NAME) for label in order]


def _name_inches(labels: LabelMap, level: str, order: Sequence[int]) -> float:
    """Height of the upright names below the bars."""
    names = _names(labels, level, order)
    return 0.03 + max(text_inches(name, points=TINY) for name in names)


def _finish(axis: Axes, labels: LabelMap, level: str, order: Sequence[int]) -> None:
    axis.set_xticks(
        range(len(order)),
        _names(labels, level, order),
        rotation=90,
        fontsize=TINY,
        parse_math=False,
    )
    axis.set_xlim(-0.6, len(order) - 0.4)
    axis.tick_params(axis="x", length=0, pad=1)
    axis.tick_params(axis="y", labelsize=SMALL, length=2, pad=1)
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[:].set_linewidth(0.5)
    if level == "action":
        for _, first, _ in groups_of(labels, order)[1:]:
            axis.axvline(first - 0.5, color="#bbbbbb", lw=0.5, zorder=0)
