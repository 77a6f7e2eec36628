"""Timeline of a video: annotations and detections by body part.

Two layouts. If every bar can carry its name, bars are packed into lanes, annotations above the
detections of their body part. A figure that would grow too high for that (long videos) has one row
for each action instead: annotations in its upper half, detections in its lower half.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

from mmad.labels import LabelMap
from mmad.report.axes import text_inches
from mmad.report.blocks import FilmStrip, draw_strip, strip_inches
from mmad.report.colours import PART_COLOURS
from mmad.report.figures import ShownFigure, save_figure
from mmad.segments import assign_lanes
from mmad.structures import Annotations, Detections

_WIDTH_INCHES = 11.0
_RIGHT_INCHES = 0.3
_TITLE_INCHES = 0.35
_AXIS_INCHES = 0.5
_MAX_STRIP_INCHES = 0.95
_LANE_INCHES = 0.24
_ROW_INCHES = 0.2
_MAX_LANES = 48
_BAR_HEIGHT = 0.78
_TEXT_POINTS = 6.5
_TEXT_GAP_INCHES = 0.04
_MIN_BAR_INCHES = 0.012
DPI = 130


@dataclass(frozen=True)
class _Bar:
    """One annotation (score None) or detection."""

    start: float
    end: float
    label: int
    score: float | None
    text: str


@dataclass(frozen=True)
class _Placed:
    """A bar in its lane, with its name starting at ``text_start``."""

    bar: _Bar
    lane: int
    text_start: float
    text_is_inside: bool


def format_seconds(seconds: float, *, with_hours: bool = False) -> str:
    """A time as minutes and seconds, optionally with hours.

    >>> format_seconds(75), format_seconds(3675, with_hours=True)
    ('1:15', '1:01:15')
    """
    minutes, rest = divmod(round(seconds), 60)
    if with_hours:
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02d}:{rest:02d}"
    return f"{minutes}:{rest:02d}"


def draw_timeline(
    path: str | Path,
    *,
    video_id: str,
    duration_seconds: float,
    detections: Detections,
    labels: LabelMap,
    annotations: Annotations | None = None,
    min_score: float = 0.1,
    max_detections: int = 30,
    frames: FilmStrip = (),
) -> None:
    """Write a `timeline_figure`; the suffix of ``path`` (.png, .svg, .pdf) decides the format.

    Raises: MmadError if the suffix is none of these, OutputError if it cannot be written.
    """
    figure = timeline_figure(
        video_id=video_id,
        duration_seconds=duration_seconds,
        detections=detections,
        labels=labels,
        annotations=annotations,
        min_score=min_score,
        max_detections=max_detections,
        frames=frames,
    )
    save_figure(figure, path, dpi=DPI)


def timeline_figure(
    *,
    video_id: str,
    duration_seconds: float,
    detections: Detections,
    labels: LabelMap,
    annotations: Annotations | None = None,
    min_score: float = 0.1,
    max_detections: int = 30,
    frames: FilmStrip = (),
) -> Figure:
    """Detections, and any annotations, over time.

    Args:
        video_id: Video id, for the title.
        duration_seconds: Duration of the video.
        detections: Detections; those of at least ``min_score`` are drawn, at most
            ``max_detections`` per minute.
        labels: Names and body parts.
        annotations: Annotations (ground truth), drawn outlined above the detections of their body
            part.
        min_score: Lowest score that is drawn.
        max_detections: Most detections for each minute.
        frames: Frames (H, W, 3), evenly spread over the video, drawn as a strip on top.
    """
    # A video of unknown length still shows its bars.
    last_end = float(detections.segments_seconds[:, 1].max(initial=0))
    duration = duration_seconds if duration_seconds > 0 else max(last_end, 1.0)
    sure = detections[detections.scores >= min_score].by_score()
    limit = max_detections * max(1, round(duration / 60))
    shown = sure[np.arange(min(limit, len(sure)))]
    drawn = annotations if annotations is not None else Annotations()
    bars = _bars(shown, drawn, labels)
    title = video_id + "    " + _explain(len(shown), len(sure), min_score, bool(annotations))

    names = [labels.title(bar.label) for bar in bars]
    left_packed = 0.2 + text_inches(max(_part_names(bars, labels), key=len, default=""), points=8)
    scale = (_WIDTH_INCHES - left_packed - _RIGHT_INCHES) / duration
    groups = _pack(bars, labels, duration=duration, inches_per_second=scale)
    num_lanes = sum(count for _, _, count in groups)
    if num_lanes <= _MAX_LANES:
        figure, axes, strip = _make_figure(
            left=left_packed,
            body=_LANE_INCHES * max(num_lanes, 1),
            frames=frames,
        )
        _draw_packed(axes, groups, labels)
    else:
        left = 0.2 + text_inches(max(names, key=len), points=7)
        rows = sorted({bar.label for bar in bars}, key=lambda label: (_part(label, labels), label))
        figure, axes, strip = _make_figure(
            left=left,
            body=_ROW_INCHES * len(rows),
            frames=frames,
        )
        scale = (_WIDTH_INCHES - left - _RIGHT_INCHES) / duration
        _draw_rows(
            axes, bars, rows, labels, inches_per_second=scale, has_annotations=bool(len(drawn))
        )
    _finish_axes(axes, duration=duration)
    if len(frames):
        draw_strip(strip, frames)
    height = figure.get_size_inches()[1]
    figure.text(
        0.1 / _WIDTH_INCHES, 1 - 0.1 / height, title, fontsize=9, va="top", parse_math=False
    )
    return figure


def _explain(num_shown: int, num_sure: int, min_score: float, has_annotations: bool) -> str:
    count = f"{num_shown}" if num_shown == num_sure else f"best {num_shown} of {num_sure}"
    filled = f"{count} detections with a score of at least {min_score:g}, paler when less sure"
    return f"outlined: annotated; filled: {filled}" if has_annotations else filled


def _bars(shown: Detections, annotations: Annotations, labels: LabelMap) -> list[_Bar]:
    bars = [
        _Bar(float(start), float(end), int(label), None, labels.title(int(label)))
        for (start, end), label in zip(
            annotations.segments_seconds, annotations.labels, strict=True
        )
    ]
    for (start, end), label, score in zip(
        shown.segments_seconds, shown.labels, shown.scores, strict=True
    ):
        text = f"{labels.title(int(label))}  {score:.2f}"
        bars.append(_Bar(float(start), float(end), int(label), float(score), text))
    return bars


def _part(label: int, labels: LabelMap) -> int:
    return labels.parents[label] if labels.has_parents else 0


def _part_name(part: int, labels: LabelMap) -> str:
    return labels.parent_names[part] if labels.has_parents else "actions"


def _part_names(bars: Sequence[_Bar], labels: LabelMap) -> list[str]:
    return [_part_name(part, labels) for part in {_part(bar.label, labels) for bar in bars}]


def _colour(label: int, labels: LabelMap) -> str:
    return PART_COLOURS[_part(label, labels) % len(PART_COLOURS)]


def _pack(
    bars: Sequence[_Bar], labels: LabelMap, *, duration: float, inches_per_second: float
) -> list[tuple[int, list[_Placed], int]]:
    """For each body part that occurs: its index, its bars in lanes, and the number of lanes.

    The name of a bar is inside it, right of it, or left of it at the end of the video; the lane is
    kept free for both.
    """
    gap = _TEXT_GAP_INCHES / inches_per_second
    groups = []
    for part in sorted({_part(bar.label, labels) for bar in bars}):
        placed: list[_Placed] = []
        used = 0
        for is_annotation in (True, False):
            mine = [
                bar
                for bar in bars
                if _part(bar.label, labels) == part and (bar.score is None) == is_annotation
            ]
            places = []
            for bar in mine:
                needed = text_inches(bar.text, points=_TEXT_POINTS) / inches_per_second
                start, end = max(bar.start, 0.0), min(bar.end, duration)
                is_inside = needed + 2 * gap <= end - start
                text_start = start + gap if is_inside else end + gap
                if text_start + needed > duration and start - gap - needed >= 0:
                    text_start = start - gap - needed
                places.append((is_inside, text_start, text_start + needed))
            occupied = np.array(
                [
                    (min(bar.start, first), max(bar.end, last))
                    for bar, (_, first, last) in zip(mine, places, strict=True)
                ]
            ).reshape(-1, 2)
            lanes = assign_lanes(occupied, gap=2 * gap)
            placed += [
                _Placed(bar, used + lane, first, is_inside)
                for bar, lane, (is_inside, first, _) in zip(mine, lanes, places, strict=True)
            ]
            used += max(lanes, default=-1) + 1
        groups.append((part, placed, used))
    return groups


def _make_figure(*, left: float, body: float, frames: FilmStrip) -> tuple[Figure, Axes, Axes]:
    """A figure with margins in inches, the axes of the bars and those of the strip of frames."""
    free = _WIDTH_INCHES - left - _RIGHT_INCHES
    strip_height = strip_inches(frames, width_inches=free, most_inches=_MAX_STRIP_INCHES)
    strip_gap = 0.08 if strip_height else 0.0
    height = _TITLE_INCHES + strip_height + strip_gap + body + _AXIS_INCHES
    figure = ShownFigure(figsize=(_WIDTH_INCHES, height))
    x, width = left / _WIDTH_INCHES, free / _WIDTH_INCHES
    axes = figure.add_axes((x, _AXIS_INCHES / height, width, body / height))
    bottom = (_AXIS_INCHES + body + strip_gap) / height
    strip = figure.add_axes((x, bottom, width, strip_height / height))
    strip.axis("off")
    return figure, axes, strip


def _draw_packed(
    axes: Axes, groups: Sequence[tuple[int, list[_Placed], int]], labels: LabelMap
) -> None:
    top = 0
    ticks, names = [], []
    for index, (part, placed, count) in enumerate(groups):
        if index % 2 == 0:
            axes.axhspan(top, top + count, color="#f4f4f4", zorder=0, lw=0)
        for item in placed:
            y = top + item.lane
            _draw_bar(axes, item.bar, y + (1 - _BAR_HEIGHT) / 2, _BAR_HEIGHT, labels)
            colour = "black"
            if item.text_is_inside and item.bar.score is not None:
                colour = _readable_on(_colour(item.bar.label, labels), _opacity(item.bar.score))
            axes.text(
                item.text_start,
                y + 0.52,
                item.bar.text,
                fontsize=_TEXT_POINTS,
                va="center",
                color=colour,
                clip_on=True,
                parse_math=False,
            )
        ticks.append(top + count / 2)
        names.append(_part_name(part, labels))
        top += count
    axes.set_ylim(max(top, 1), 0)
    axes.set_yticks(ticks, names, fontsize=8, parse_math=False)
    if not groups:
        axes.text(0.5, 0.5, "nothing to show", ha="center", va="center", transform=axes.transAxes)


def _draw_rows(
    axes: Axes,
    bars: Sequence[_Bar],
    rows: Sequence[int],
    labels: LabelMap,
    *,
    inches_per_second: float,
    has_annotations: bool,
) -> None:
    """One row for each label: annotations in the upper half, detections in the lower."""
    row_of = {label: row for row, label in enumerate(rows)}
    parts = [_part(label, labels) for label in rows]
    for index, part in enumerate(dict.fromkeys(parts)):
        if index % 2 == 0:
            first = parts.index(part)
            axes.axhspan(first, first + parts.count(part), color="#f4f4f4", zorder=0, lw=0)
    half = 0.4 if has_annotations else 0.8
    # Low scores first, so that high ones are on top.
    for bar in sorted(bars, key=lambda bar: (bar.score is None, bar.score or 0.0)):
        y = row_of[bar.label] + 0.1 + (half if has_annotations and bar.score is not None else 0.0)
        # Bars of a second must stay visible in a video of an hour.
        min_width = _MIN_BAR_INCHES / inches_per_second
        _draw_bar(axes, bar, y, half, labels, min_width=min_width, line_width=0.6)
    axes.set_ylim(len(rows), 0)
    names = [labels.title(label) for label in rows]
    axes.set_yticks(np.arange(len(rows)) + 0.5, names, fontsize=7, parse_math=False)


def _opacity(score: float) -> float:
    return 0.25 + 0.75 * min(score, 1.0)


def _readable_on(colour: str, opacity: float) -> str:
    """Black or white, whichever contrasts more with ``colour`` over white."""
    red, green, blue = (opacity * part + 1 - opacity for part in to_rgb(colour))
    return "white" if 0.299 * red + 0.587 * green + 0.114 * blue < 0.5 else "black"


def _draw_bar(
    axes: Axes,
    bar: _Bar,
    y: float,
    height: float,
    labels: LabelMap,
    *,
    min_width: float = 0.0,
    line_width: float = 1.4,
) -> None:
    colour = _colour(bar.label, labels)
    width = max(bar.end - bar.start, min_width)
    if bar.score is None:
        patch = Rectangle(
            (bar.start, y), width, height, facecolor="white", edgecolor=colour, lw=line_width
        )
    else:
        patch = Rectangle(
            (bar.start, y), width, height, facecolor=colour, lw=0, alpha=_opacity(bar.score)
        )
    axes.add_patch(patch)


def _finish_axes(axes: Axes, *, duration: float) -> None:
    axes.set_xlim(0, duration)
    if duration <= 120:
        axes.set_xlabel("seconds", fontsize=8)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=12))
    else:
        steps = (15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)
        step = next((step for step in steps if duration / step <= 14), duration / 10)
        axes.xaxis.set_major_locator(MultipleLocator(step))
        long = duration >= 3600
        axes.xaxis.set_major_formatter(
            FuncFormatter(lambda value, _: format_seconds(value, with_hours=long))
        )
        axes.set_xlabel("h:min:s" if long else "min:s", fontsize=8)
    axes.tick_params(axis="x", labelsize=8)
    axes.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
