"""What the figures share: sizes, and the order, groups and short names of labels on axes."""

import re
import warnings
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import groupby

from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, fontManager
from matplotlib.patches import Patch
from matplotlib.text import Text

from mmad.labels import LabelMap

# Widths in inches of a column and of a page of a paper, and sizes of text in points.
COLUMN_INCHES, PAGE_INCHES = 3.5, 7.0
LARGE, SMALL, TINY = 7.0, 6.0, 5.5
POINTS_PER_INCH = 72
# Fonts of Linux, Windows and macOS with the letters that matplotlib's own lacks.
_OTHER_SCRIPTS = (
    *("Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans CJK KR", "Noto Sans CJK TC"),
    *("WenQuanYi Zen Hei", "Droid Sans Fallback", "Microsoft YaHei", "Yu Gothic"),
    *("Malgun Gothic", "PingFang SC", "Hiragino Sans", "Apple SD Gothic Neo"),
    *("Arial Unicode MS", "Noto Sans", "Segoe UI", "Nirmala UI"),
)
# Upright names of size TINY side by side need so much each.
LEAST_NAMED_INCHES = 0.088


def labels_of(labels: LabelMap, level: str) -> LabelMap:
    """The labels of level "action" or "body"."""
    return labels if level == "action" else labels.parent_map


def short_name(labels: LabelMap, label: int) -> str:
    """The code of a label, or its name if there are no codes."""
    return labels.codes[label] if labels.codes else labels.names[label]


def shown_order(labels: LabelMap) -> list[int]:
    """Labels by body part, then by the number of their code; those without in their own order.

    >>> from mmad.labels import MA52
    >>> [MA52.codes[label] for label in shown_order(MA52)[:6]]
    ['A1', 'A2', 'A3', 'A4', 'A5', 'B1']
    """

    def place(label: int) -> tuple[int, int]:
        number = re.search(r"\d+$", labels.codes[label]) if labels.codes else None
        parent = labels.parents[label] if labels.has_parents else 0
        return parent, int(number[0]) if number else label

    return sorted(range(len(labels)), key=place)


def groups_of(labels: LabelMap, order: Sequence[int]) -> list[tuple[int, int, int]]:
    """Body part, first place and number of labels of each group in ``order``; none without body
    parts.
    """
    if not labels.has_parents:
        return []
    found, first = [], 0
    for parent, group in groupby(order, key=lambda label: labels.parents[label]):
        size = len(list(group))
        found.append((parent, first, size))
        first += size
    return found


@contextmanager
def any_script(figure: Figure | None = None) -> Iterator[None]:
    """Draw texts in all scripts that this computer has fonts for; other letters become boxes."""
    for text in figure.findobj(Text) if figure is not None else ():
        if not text.get_text().isascii():
            text.set_fontfamily(_fonts())
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


@lru_cache(maxsize=1)
def _fonts() -> list[str]:
    """Matplotlib's own font, then those here that have other letters."""
    installed = {font.name for font in fontManager.ttflist}
    return ["DejaVu Sans", *(name for name in _OTHER_SCRIPTS if name in installed)]


def settle(figure: Figure) -> None:
    """Lay out the figure once for all formats; each drawing would move it a little."""
    with any_script(figure):
        figure.draw_without_rendering()
    figure.set_layout_engine("none")


@lru_cache(maxsize=1)
def _renderer() -> RendererAgg:
    return FigureCanvasAgg(Figure(dpi=300)).get_renderer()


def text_inches(text: str, *, points: float, bold: bool = False) -> float:
    """Width of a text of this size."""
    font = FontProperties(family=_fonts(), size=points, weight="bold" if bold else "normal")
    with any_script():
        width, _, _ = _renderer().get_text_width_height_descent(text, font, ismath=False)
    return float(width) / 300


def shortened(text: str, most: int) -> str:
    """``text`` in at most so many letters.

    >>> shortened("scratching", 5), shortened("wave", 5)
    ('scra…', 'wave')
    """
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def fitted(text: str, *, inches: float, points: float, bold: bool = False) -> str:
    """As much of ``text`` as fits into this width."""

    def fits(most: int) -> bool:
        return text_inches(shortened(text, most), points=points, bold=bold) <= inches

    if fits(len(text)):
        return text
    fitting = bisect_left(range(2, len(text)), True, key=lambda most: not fits(most)) + 1
    return shortened(text, fitting) if fitting > 1 else text[:1]


_LEGEND_LINE_INCHES, _AROUND_HANDLE_INCHES = 0.14, 0.35


def legend_inches(names: Sequence[str], *, inches: float) -> float:
    """Height of the legend that `draw_legend` makes within this width."""
    lines = 1 if _fit_in_a_line(names, inches) else len(names)
    return 0.06 + _LEGEND_LINE_INCHES * lines


def draw_legend(figure: Figure, colours: Mapping[str, str], *, left_inches: float) -> None:
    """Name colours at the top of the figure: in one line, or below each other if that is too wide.

    Args:
        figure: Figure with `legend_inches` free at its top.
        colours: The colour of each name.
        left_inches: Where it starts.
    """
    width = figure.get_figwidth()
    free = width - left_inches
    room = free - _AROUND_HANDLE_INCHES
    legend = figure.legend(
        handles=[
            Patch(color=colour, label=fitted(name, inches=room, points=LARGE))
            for name, colour in colours.items()
        ],
        loc="upper left",
        bbox_to_anchor=(left_inches / width, 1.0),
        borderaxespad=0.3,
        borderpad=0,
        ncols=len(colours) if _fit_in_a_line(list(colours), free) else 1,
        fontsize=LARGE,
        frameon=False,
        handlelength=1.2,
        labelspacing=0.3,
        columnspacing=1.2,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def _fit_in_a_line(names: Sequence[str], inches: float) -> bool:
    return sum(text_inches(name, points=LARGE) + _AROUND_HANDLE_INCHES for name in names) <= inches
