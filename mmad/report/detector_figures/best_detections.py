"""Annotations and best detections of videos, coloured by tIoU (Fig. 8 of the MMA-52 paper)."""

from collections.abc import Sequence

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mmad.evaluation.best_detections import BestDetections
from mmad.labels import LabelMap
from mmad.report.axes import COLUMN_INCHES, LARGE, SMALL, TINY, shortened, text_inches
from mmad.report.figures import Cell, Drawn
from mmad.report.film import FilmStrip, draw_strip, strip_inches
from mmad.wording import rounded

_ROW_INCHES, _GAP_INCHES = 0.105, 0.05
_TITLE_INCHES, _AXIS_INCHES = 0.15, 0.24
_SCALE_INCHES = 0.32
_RIGHT_INCHES = 0.08
_COLOURS = colormaps["viridis"]
_TRUTH = "#666666"


def draw_best_detections(
    videos: Sequence[BestDetections],
    strips: Sequence[FilmStrip],
    *,
    labels: LabelMap,
    width_inches: float,
) -> Drawn:
    """A block for each video: its frames, annotations, and best detections by score.

    Args:
        videos: The videos.
        strips: Frames of each with their times, or none.
        labels: Names of the labels.
        width_inches: Width of the figure.
    """
    longest = 22 if width_inches <= COLUMN_INCHES else 36
    names = [_names(one, labels, longest) for one in videos]
    left = 0.1 + max(text_inches(name, points=TINY) for block in names for name in block)
    free = width_inches - left - _RIGHT_INCHES
    heights = [
        strip_inches(strip, width_inches=free) + _ROW_INCHES * len(rows) + _GAP_INCHES
        for strip, rows in zip(strips, names, strict=True)
    ]
    height = sum(heights) + (_TITLE_INCHES + _AXIS_INCHES) * len(videos) + _SCALE_INCHES
    figure = Figure(figsize=(width_inches, height))

    def axes_at(bottom: float, inches: float) -> Axes:
        return figure.add_axes(
            (left / width_inches, bottom / height, free / width_inches, inches / height)
        )

    top = height
    for one, strip, rows in zip(videos, strips, names, strict=True):
        top -= _TITLE_INCHES
        figure.text(
            0.04 / width_inches,
            (top + 0.03) / height,
            one.record.video_id,
            fontsize=LARGE,
            fontweight="bold",
            parse_math=False,
        )
        strip_height = strip_inches(strip, width_inches=free)
        if strip_height:
            top -= strip_height
            draw_strip(axes_at(top, strip_height), strip)
        top -= _GAP_INCHES + _ROW_INCHES * len(rows)
        _draw_rows(axes_at(top, _ROW_INCHES * len(rows)), one, rows)
        top -= _AXIS_INCHES
    _draw_scale(figure, left, free, height)
    table = [cells for one in videos for cells in _table(one, labels)]
    header = ("video", "row", "label", "start_seconds", "end_seconds", "score", "tiou")
    return Drawn(figure, header, table)


def _names(one: BestDetections, labels: LabelMap, longest: int) -> list[str]:
    """The names of the rows: gt-1, gt-2, ..., pred-1, pred-2, ..."""
    truth = [
        f"{shortened(labels.title(label), longest)}  gt-{place}"
        for place, label in enumerate(one.annotations.labels.tolist(), start=1)
    ]
    found = zip(one.detections.labels.tolist(), one.detections.scores.tolist(), strict=True)
    return truth + [
        f"{shortened(labels.title(label), longest)} {rounded(score)}  pred-{place}"
        for place, (label, score) in enumerate(found, start=1)
    ]


def _draw_rows(axis: Axes, one: BestDetections, names: Sequence[str]) -> None:
    last = max([one.record.duration_seconds, *one.detections.segments_seconds[:, 1].tolist()])
    num_truth = len(one.annotations)
    colours = [_TRUTH] * num_truth + [_COLOURS(value) for value in one.tiou.tolist()]
    segments = [*one.annotations.segments_seconds.tolist(), *one.detections.segments_seconds]
    for row, ((start, end), colour) in enumerate(zip(segments, colours, strict=True)):
        axis.axhline(row + 0.5, color="#dddddd", lw=0.3, zorder=0)
        # A line around it keeps a short bar visible.
        axis.add_patch(
            Rectangle((start, row + 0.14), end - start, 0.72, facecolor=colour, ec=colour, lw=0.4)
        )
    if num_truth and len(names) > num_truth:
        axis.axhline(num_truth, color="black", lw=0.5)
    axis.set(xlim=(0, last), ylim=(max(len(names), 1), 0))
    axis.set_yticks([row + 0.5 for row in range(len(names))], names, fontsize=TINY,
                    parse_math=False)  # fmt: skip
    axis.tick_params(axis="y", length=0, pad=2)
    axis.tick_params(axis="x", labelsize=TINY, length=2, width=0.5, pad=1)
    axis.set_xlabel("time (s)", fontsize=SMALL, labelpad=0)
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[:].set_linewidth(0.5)


def _draw_scale(figure: Figure, left: float, free: float, height: float) -> None:
    width = figure.get_figwidth()
    axis = figure.add_axes((left / width, 0.2 / height, free / width, 0.06 / height))
    bar = figure.colorbar(ScalarMappable(cmap=_COLOURS), cax=axis, orientation="horizontal")
    bar.set_ticks([0, 0.25, 0.5, 0.75, 1], labels=["0", "0.25", "0.5", "0.75", "1"])
    bar.ax.tick_params(labelsize=TINY, length=2, width=0.5, pad=1)
    bar.outline.set_linewidth(0.5)
    figure.text(
        (left - 0.05) / width, 0.23 / height, "tIoU", fontsize=SMALL, ha="right", va="center"
    )


def _table(one: BestDetections, labels: LabelMap) -> list[tuple[Cell, ...]]:
    video = one.record.video_id
    truth = zip(one.annotations.segments_seconds, one.annotations.labels.tolist(), strict=True)
    rows: list[tuple[Cell, ...]] = [
        (video, f"gt-{place}", labels.title(label), float(start), float(end), "", "")
        for place, ((start, end), label) in enumerate(truth, start=1)
    ]
    found = zip(
        one.detections.segments_seconds,
        one.detections.labels.tolist(),
        one.detections.scores.tolist(),
        one.tiou.tolist(),
        strict=True,
    )
    return rows + [
        (video, f"pred-{place}", labels.title(label), float(start), float(end), score, overlap)
        for place, ((start, end), label, score, overlap) in enumerate(found, start=1)
    ]
