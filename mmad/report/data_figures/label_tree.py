"""The tree of body parts and actions with the share of each (Fig. 2 of the MA-52 paper)."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mmad.annotations.description.instances import Instances
from mmad.labels import LabelMap
from mmad.report.axes import (
    COLUMN_INCHES,
    LARGE,
    SMALL,
    groups_of,
    shortened,
    shown_order,
    text_inches,
)
from mmad.report.colours import PART_COLOURS
from mmad.report.figures import Drawn
from mmad.structures import Ints
from mmad.wording import rounded

_ROW_INCHES = 0.112
_GAP_ROWS = 0.6
_MARGIN_INCHES, _BETWEEN_INCHES = 0.04, 0.15
_SPACE_INCHES, _BRANCH_INCHES = 0.04, 0.06
_LEAST_BAR_INCHES = 0.3
_LONGEST_NAME, _LONGEST_PART = 35, 16
_LINE = "#888888"

_Group = tuple[int, int, int]


@dataclass(frozen=True)
class _Columns:
    """Where the parts of a column of the tree begin, in inches from its left edge."""

    branch: float
    action: float
    bar: float
    numbers: float


class _Tree:
    """The texts of the tree, and their numbers."""

    def __init__(self, instances: Instances, labels: LabelMap) -> None:
        self.labels = labels
        self.counts: Ints = instances.counts(len(labels))
        self.total = max(int(self.counts.sum()), 1)
        self.order = shown_order(labels)
        self.groups: list[_Group] = groups_of(labels, self.order) or [(-1, 0, len(self.order))]

    def name(self, label: int) -> str:
        return shortened(self.labels.title(label), _LONGEST_NAME)

    def part_name(self, part: int) -> str:
        return shortened(self.labels.parent_map.title(part), _LONGEST_PART)

    def number(self, count: int) -> str:
        return f"{count:,} ({rounded(100 * count / self.total, 1)} %)"

    def part_number(self, part: int) -> str:
        own = [label for label in self.order if self.labels.parents[label] == part]
        return self.number(int(self.counts[own].sum()))


def draw_label_tree(instances: Instances, *, labels: LabelMap, width_inches: float) -> Drawn:
    """Body parts on the left, their actions beside them with a bar, number and share."""
    tree = _Tree(instances, labels)
    num_columns = 1 if width_inches <= COLUMN_INCHES else 2
    columns = _in_columns(tree.groups, num_columns)
    rows_high = max(_height(column) for column in columns)
    height = rows_high * _ROW_INCHES + 2 * _MARGIN_INCHES
    figure = Figure(figsize=(width_inches, height))
    width = (width_inches - 2 * _MARGIN_INCHES - (num_columns - 1) * _BETWEEN_INCHES) / num_columns
    places = _measure(tree, width)
    for number, column in enumerate(columns):
        left = _MARGIN_INCHES + number * (width + _BETWEEN_INCHES)
        axis = figure.add_axes(
            (
                left / width_inches,
                _MARGIN_INCHES / height,
                width / width_inches,
                1 - 2 * _MARGIN_INCHES / height,
            )
        )
        axis.set(xlim=(0, width), ylim=(rows_high, 0))
        axis.axis("off")
        top = 0.0
        for group in column:
            _draw_part(axis, tree, group, top=top, places=places)
            top += group[2] + _GAP_ROWS
    rows = [
        (
            labels.parent_map.title(labels.parents[label]) if labels.has_parents else "",
            labels.title(label),
            int(tree.counts[label]),
            100 * int(tree.counts[label]) / tree.total,
        )
        for label in tree.order
    ]
    return Drawn(figure, ("body_part", "action", "instances", "percent"), rows)


def _height(groups: Sequence[_Group]) -> float:
    return sum(size for _, _, size in groups) + _GAP_ROWS * (len(groups) - 1)


def _in_columns(groups: Sequence[_Group], num_columns: int) -> list[list[_Group]]:
    """The groups in their order in one column or two, cut where these are most alike in height."""
    if num_columns == 1:
        return [list(groups)]
    if len(groups) == 1:  # without body parts the list itself is cut
        ((part, first, size),) = groups
        half = (size + 1) // 2
        return [[(part, first, half)], [(part, first + half, size - half)]]
    cut = min(range(1, len(groups)), key=lambda at: max(_height(groups[:at]), _height(groups[at:])))
    return [list(groups[:cut]), list(groups[cut:])]


def _measure(tree: _Tree, width: float) -> _Columns:
    """Names and numbers get the room that they need, the bars the rest."""
    branch = 0.0
    if tree.labels.has_parents:
        parts = range(len(tree.labels.parent_names))
        branch = _SPACE_INCHES + max(
            max(text_inches(tree.part_name(part), points=LARGE, bold=True) for part in parts),
            max(text_inches(tree.part_number(part), points=SMALL) for part in parts),
        )
    action = branch + (2 * _BRANCH_INCHES + 0.02 if branch else 0.0)
    names = max(text_inches(tree.name(label), points=SMALL) for label in tree.order)
    bar = action + names + _SPACE_INCHES
    numbers = max(text_inches(tree.number(int(count)), points=SMALL) for count in tree.counts)
    return _Columns(branch, action, bar, max(width - numbers, bar + _LEAST_BAR_INCHES))


def _draw_part(axis: Axes, tree: _Tree, group: _Group, *, top: float, places: _Columns) -> None:
    """A body part, the branches to its actions, and their bars."""
    part, first, size = group
    middle = top + size / 2
    colour = PART_COLOURS[max(part, 0) % len(PART_COLOURS)]
    stem = places.branch + _BRANCH_INCHES
    if part >= 0:
        name, number = tree.part_name(part), tree.part_number(part)
        ink = _darker(colour)
        axis.text(0, middle, name, fontsize=LARGE, fontweight="bold", color=ink, va="bottom",
                  parse_math=False)  # fmt: skip
        axis.text(0, middle + 0.1, number, fontsize=SMALL, va="top")
        axis.plot([stem, stem], [top + 0.5, top + size - 0.5], color=_LINE, lw=0.5)
        axis.plot([places.branch, stem], [middle, middle], color=_LINE, lw=0.5)
    longest = places.numbers - places.bar - _SPACE_INCHES
    largest = max(int(tree.counts.max()), 1)
    for row, label in enumerate(tree.order[first : first + size]):
        y = top + row + 0.5
        if part >= 0:
            axis.plot([stem, stem + _BRANCH_INCHES], [y, y], color=_LINE, lw=0.5)
        axis.text(places.action, y, tree.name(label), fontsize=SMALL, va="center",
                  parse_math=False)  # fmt: skip
        count = int(tree.counts[label])
        length = longest * count / largest
        axis.add_patch(Rectangle((places.bar, y - 0.36), length, 0.72, color=colour, lw=0))
        end = places.bar + length + _SPACE_INCHES
        axis.text(end, y, tree.number(count), fontsize=SMALL, va="center")


def _darker(colour: str) -> str:
    """The colour, dark enough for text on white."""
    channels = [int(colour[start : start + 2], 16) * 0.75 for start in (1, 3, 5)]
    return "#" + "".join(f"{int(channel):02x}" for channel in channels)
