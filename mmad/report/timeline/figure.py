"""Drawing timelines.

Rows are behaviours, grouped by body part; annotations are outlined, detections filled, darker when
surer. A long video continues in further panels below.
"""

import textwrap
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from mmad.report.axes import fitted, text_inches
from mmad.report.blocks import draw_strip, strip_inches
from mmad.report.figures import ShownFigure, save_figure
from mmad.report.timeline.contents import (
    Bar,
    Row,
    TimelineContents,
    panels_of,
    rows_of,
    ticks_of,
    time_text,
)

DPI = 130
# From light to dark, so that they differ on paper, too, and lowest score of each.
_STEPS = (
    *((0.0, "#c3dbf0"), (0.2, "#86b9e0"), (0.4, "#4189c4"), (0.6, "#1d5b9c"), (0.8, "#0a2c57")),
)
_ANNOTATION = "#d1495b"
_BAND = "#f3f3f3"
_GRID = "#dddddd"
_GREY = "#555555"
_WIDTH_INCHES = 11.0
_EDGE_INCHES = 0.12
_MOST_NAME_INCHES = 2.6
_LANE_INCHES = 0.13
_ROW_GAP_INCHES = 0.06
_AXIS_INCHES = 0.42
_STRIP_INCHES = 0.95
_TITLE_INCHES, _LEGEND_INCHES, _LINE_INCHES = 0.26, 0.24, 0.15
_MOST_INCHES = 36.0
_LEAST_BAR_INCHES = 0.015
_NAME_POINTS, _SMALL_POINTS = 7.5, 7.0
_SCORE_POINTS = 5.5
# Scores are written beside the bars of a short video that has no more than these.
_MOST_WRITTEN = 120
_LINE_LETTERS = 170


def draw_timeline(path: str | Path, contents: TimelineContents) -> None:
    """Write a `timeline_figure`; the suffix of ``path`` (.png, .svg, .pdf) decides the format.

    Raises: MmadError if the suffix is none of these, OutputError if it cannot be written.
    """
    save_figure(timeline_figure(contents), path, dpi=DPI)


def timeline_figure(contents: TimelineContents) -> Figure:
    """The timeline of a video as a figure."""
    rows = rows_of(contents)
    seconds = contents.seconds
    names = [
        fitted(contents.name(row.label), inches=_MOST_NAME_INCHES, points=_NAME_POINTS)
        for row in rows
    ]
    parts = [contents.part(row.label) for row in rows]
    left = 0.2 + max((text_inches(name, points=_NAME_POINTS) for name in names), default=0.3)
    right = 0.25 + max((text_inches(part, points=_SMALL_POINTS) for part in parts), default=0.1)
    width = _WIDTH_INCHES - left - right
    body = sum(map(_row_inches, rows)) or 0.4
    most = max(1, int(_MOST_INCHES / (body + _AXIS_INCHES)))
    panels = panels_of(seconds, most=most)
    length = panels[0][1] - panels[0][0]
    strip = strip_inches(contents.frames, width_inches=width, most_inches=_STRIP_INCHES)
    above = _TITLE_INCHES + _LINE_INCHES + _LEGEND_INCHES + (strip + 0.08 if strip else 0.0)
    note = textwrap.wrap(contents.note, _LINE_LETTERS)
    below = _LINE_INCHES * len(note)
    height = above + len(panels) * (body + _AXIS_INCHES) + below + 0.08
    figure = ShownFigure(figsize=(_WIDTH_INCHES, height), facecolor="white")
    _draw_head(figure, contents, left=left, has_rows=bool(rows))
    if strip:
        top = height - above + 0.08
        box = (left / _WIDTH_INCHES, top / height, width / _WIDTH_INCHES, strip / height)
        draw_strip(figure.add_axes(box), contents.frames)
    for number, (start, end) in enumerate(panels):
        bottom = height - above - number * (body + _AXIS_INCHES) - body
        share = (end - start) / length
        box = (
            *(left / _WIDTH_INCHES, bottom / height),
            *(width * share / _WIDTH_INCHES, body / height),
        )
        axes = figure.add_axes(box)
        scale = width / length
        _draw_panel(axes, rows, (start, end), inches_per_second=scale, writes=len(panels) == 1)
        _label_rows(axes, rows, names, parts)
        ticks = ticks_of(start, end, length=length)
        axes.set_xticks(ticks, [time_text(tick, duration=seconds) for tick in ticks])
        axes.tick_params(axis="x", labelsize=_SMALL_POINTS, length=2.5)
        axes.grid(axis="x", color=_GRID, lw=0.5)
        axes.set_axisbelow(True)
    unit = "seconds" if seconds <= 120 else "min:s" if seconds < 3600 else "h:min:s"
    axes.set_xlabel(unit, fontsize=_SMALL_POINTS, labelpad=1)
    for number, line in enumerate(reversed(note)):
        figure.text(
            _EDGE_INCHES / _WIDTH_INCHES,
            (0.06 + number * _LINE_INCHES) / height,
            line,
            fontsize=_SMALL_POINTS,
            style="italic",
            va="bottom",
            parse_math=False,
        )
    return figure


def _row_inches(row: Row) -> float:
    return row.lanes * _LANE_INCHES + _ROW_GAP_INCHES


def _draw_head(figure: Figure, contents: TimelineContents, *, left: float, has_rows: bool) -> None:
    """The title, what is drawn, and the legend."""
    height = figure.get_figheight()
    x, room = _EDGE_INCHES / _WIDTH_INCHES, _WIDTH_INCHES - 2 * _EDGE_INCHES
    title = fitted(contents.video_id, inches=room, points=10, bold=True)
    figure.text(
        *(x, 1 - 0.1 / height, title),
        fontsize=10,
        weight="bold",
        va="top",
        parse_math=False,
    )
    figure.text(
        *(x, 1 - (_TITLE_INCHES + 0.04) / height, contents.summary()),
        fontsize=_SMALL_POINTS,
        color=_GREY,
        va="top",
        parse_math=False,
    )
    if not has_rows:
        return
    handles = [
        Patch(facecolor=colour, label=_step_text(number))
        for number, (_, colour) in enumerate(_STEPS)
    ]
    if contents.annotations is not None and len(contents.annotations):
        outlined = Patch(facecolor="white", edgecolor=_ANNOTATION, lw=1.1, label="annotated")
        handles.insert(0, outlined)
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(left / _WIDTH_INCHES, 1 - (_TITLE_INCHES + _LINE_INCHES + 0.05) / height),
        ncols=len(handles),
        fontsize=_SMALL_POINTS,
        frameon=False,
        borderpad=0,
        borderaxespad=0,
        handlelength=1.6,
        columnspacing=1.4,
    )


def _step_text(number: int) -> str:
    low = _STEPS[number][0]
    if number == len(_STEPS) - 1:
        return f"{low:g} and more"
    high = _STEPS[number + 1][0]
    return f"score below {high:g}" if number == 0 else f"{low:g} to {high:g}"


def colour_of(score: float) -> str:
    """The colour of a score, one of five that eyes can tell apart.

    >>> colour_of(0.1) == colour_of(0.19), colour_of(0.1) == colour_of(0.2)
    (True, False)
    """
    return next(colour for low, colour in reversed(_STEPS) if score >= low or low == 0.0)


def _draw_panel(
    axes: Axes,
    rows: Sequence[Row],
    panel: tuple[float, float],
    *,
    inches_per_second: float,
    writes: bool,
) -> None:
    """The bars of a panel, in inches from the top."""
    start, end = panel
    axes.set_xlim(start, end)
    axes.set_ylim(sum(map(_row_inches, rows)) or 0.4, 0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    least = _LEAST_BAR_INCHES / inches_per_second
    outlined, filled, colours = [], [], []
    top = _ROW_GAP_INCHES / 2
    writes &= sum(len(row.bars) for row in rows) <= _MOST_WRITTEN
    for row in rows:
        for bar in row.bars:
            if bar.end < start or bar.start > end:
                continue
            # Of a second in an hour, too, something is seen.
            stop = max(bar.end, bar.start + least)
            low = top + bar.lane * _LANE_INCHES + 0.012
            high = low + _LANE_INCHES - 0.024
            corners = [(bar.start, low), (stop, low), (stop, high), (bar.start, high)]
            if bar.score is None:
                outlined.append(corners)
            else:
                filled.append(corners)
                colours.append(colour_of(bar.score))
                if writes:
                    _write_score(axes, bar, row, (low + high) / 2, scale=inches_per_second)
        top += _row_inches(row)
    edges = "white" if writes else "face"  # of the thin bars of long videos, white would be all
    axes.add_collection(PolyCollection(filled, facecolors=colours, edgecolors=edges, lw=0.3))
    axes.add_collection(
        PolyCollection(outlined, facecolors="white", edgecolors=_ANNOTATION, lw=1.0)
    )


def _write_score(axes: Axes, bar: Bar, row: Row, y: float, *, scale: float) -> None:
    """Write the score right of a bar, if nothing of its lane is there."""
    text = f"{bar.score:.2f}"
    needed = (text_inches(text, points=_SCORE_POINTS) + 0.05) / scale
    end = max(bar.end, bar.start + _LEAST_BAR_INCHES / scale)
    is_free = end + needed <= axes.get_xlim()[1] and not any(
        other.lane == bar.lane and bar.end <= other.start < end + needed
        for other in row.bars
        if other is not bar
    )
    if is_free:
        axes.text(
            *(end + 0.03 / scale, y, text),
            fontsize=_SCORE_POINTS,
            color=_GREY,
            va="center",
            parse_math=False,
        )


def _label_rows(
    axes: Axes, rows: Sequence[Row], names: Sequence[str], parts: Sequence[str]
) -> None:
    """Names left of the rows, body parts right of their bands."""
    middles, top = [], 0.0
    bands: list[tuple[str, float, float]] = []
    for row, part in zip(rows, parts, strict=True):
        bottom = top + _row_inches(row)
        middles.append((top + bottom) / 2)
        if bands and bands[-1][0] == part:
            bands[-1] = (part, bands[-1][1], bottom)
        else:
            bands.append((part, top, bottom))
        top = bottom
    axes.set_yticks(middles, names, fontsize=_NAME_POINTS, parse_math=False)
    axes.tick_params(axis="y", length=0)
    for number, (part, low, high) in enumerate(bands):
        if number % 2 == 0:
            axes.axhspan(low, high, color=_BAND, zorder=0, lw=0)
        axes.annotate(
            part,
            xy=(1.0, (low + high) / 2),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            fontsize=_SMALL_POINTS,
            color=_GREY,
            va="center",
            annotation_clip=False,
            parse_math=False,
        )
    if not rows:
        axes.text(
            0.5, 0.5, "no detection reaches its threshold", ha="center", transform=axes.transAxes
        )
        axes.set_yticks([])
