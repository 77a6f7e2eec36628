"""Annotations and best detections of videos, coloured by tIoU (Fig. 8 of the MMA-52 paper)."""

from collections.abc import Sequence

from matplotlib import colormaps
from matplotlib.cm import ScalarMappable

from mmad.evaluation.best_detections import BestDetections
from mmad.labels import LabelMap
from mmad.report.axes import COLUMN_INCHES, SMALL, TINY, shortened
from mmad.report.blocks import Bar, Block, Blocks, FilmStrip, draw_blocks
from mmad.report.figures import Cell, Drawn
from mmad.wording import rounded

_SCALE_INCHES = 0.32
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
    blocks = [
        Block(
            title=one.record.video_id,
            duration_seconds=one.record.duration_seconds,
            strip=strip,
            bars=_bars(one, labels, longest),
            rule_after=len(one.annotations) if len(one.detections) else 0,
        )
        for one, strip in zip(videos, strips, strict=True)
    ]
    drawn = draw_blocks(blocks, width_inches=width_inches, below_inches=_SCALE_INCHES)
    _draw_scale(drawn)
    table = [cells for one in videos for cells in _table(one, labels)]
    header = ("video", "row", "label", "start_seconds", "end_seconds", "score", "tiou")
    return Drawn(drawn.figure, header, table)


def _bars(one: BestDetections, labels: LabelMap, longest: int) -> list[Bar]:
    """Rows gt-1, gt-2, ..., pred-1, pred-2, ..."""
    truth = zip(one.annotations.segments_seconds, one.annotations.labels.tolist(), strict=True)
    bars = [
        Bar(f"{shortened(labels.title(label), longest)}  gt-{place}", start, end, _TRUTH)
        for place, ((start, end), label) in enumerate(truth, start=1)
    ]
    found = zip(
        one.detections.segments_seconds,
        one.detections.labels.tolist(),
        one.detections.scores.tolist(),
        one.tiou.tolist(),
        strict=True,
    )
    for place, ((start, end), label, score, overlap) in enumerate(found, start=1):
        name = f"{shortened(labels.title(label), longest)} {rounded(score)}  pred-{place}"
        bars.append(Bar(name, start, end, _COLOURS(overlap)))
    return bars


def _draw_scale(blocks: Blocks) -> None:
    figure, left = blocks.figure, blocks.left_inches
    width, height = figure.get_size_inches()
    axis = figure.add_axes((left / width, 0.2 / height, blocks.free_inches / width, 0.06 / height))
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
