"""Picture of what happens when in a video: annotations and detections by body part."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from mmad.labels import LabelMap
from mmad.structures import Annotations, Detections

# One colour for each body part, distinguishable with the common colour-blindnesses.
COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#999999", "#995500")
_BAR = 0.78
_INCHES_PER_LANE = 0.24


def assign_lanes(segments_seconds: NDArray[np.float64], *, gap_seconds: float = 0.0) -> list[int]:
    """A lane for each segment so that none overlaps another in its lane; as few lanes as possible.

    >>> assign_lanes(np.array([[0.0, 2.0], [1.0, 3.0], [2.5, 4.0]]))
    [0, 1, 0]
    """
    lanes = [0] * len(segments_seconds)
    ends: list[float] = []
    for row in np.argsort(segments_seconds[:, 0], kind="stable"):
        start, end = segments_seconds[row]
        lane = next((k for k, last in enumerate(ends) if last + gap_seconds <= start), len(ends))
        if lane == len(ends):
            ends.append(0.0)
        ends[lane] = end
        lanes[row] = lane
    return lanes


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
    frames: Sequence[tuple[float, NDArray[np.uint8]]] = (),
) -> None:
    """Draw detections, and annotations if there are any, over time.

    Args:
        path: of the picture; the suffix (.png, .svg, .pdf) decides the kind.
        video_id: for the title.
        duration_seconds: of the video.
        detections: those of at least ``min_score`` are drawn, the best ``max_detections`` of them
            for each minute.
        labels: names and body parts.
        annotations: the truth, drawn outlined above the detections of its body part.
        frames: pictures of the video with their times, drawn as a strip on top.
    """
    limit = max_detections * max(1, round(duration_seconds / 60))
    shown = detections[detections.scores >= min_score].by_score()
    shown = shown[np.arange(min(limit, len(shown)))]
    rows = _layout(shown, annotations or Annotations(), labels, duration_seconds)
    num_lanes = max(sum(count for _, _, count in rows), 1)
    strip = 0.9 if len(frames) else 0.0
    height = 1.1 + strip + _INCHES_PER_LANE * num_lanes
    figure = Figure(figsize=(11, height), layout="constrained")
    if len(frames):
        top, axes = figure.subplots(
            2, 1, sharex=True, height_ratios=[strip, _INCHES_PER_LANE * num_lanes + 0.3]
        )
        _draw_strip(top, frames, duration_seconds, aspect=strip)
    else:
        axes = figure.subplots()
    _draw_rows(axes, rows, shown, annotations or Annotations(), labels, duration_seconds)
    kinds = (
        "outlined: annotated; filled: detected, paler when less sure"
        if annotations
        else (f"detected with a score of at least {min_score:g}, paler when less sure")
    )
    figure.suptitle(f"{video_id}   ({kinds})", fontsize=9, x=0.01, ha="left")
    figure.savefig(path, dpi=130)


def _part(label: int, labels: LabelMap) -> int:
    return labels.parents[label] if labels.has_parents else 0


def _layout(
    shown: Detections, truth: Annotations, labels: LabelMap, duration: float
) -> list[tuple[int, list[tuple[bool, int, int]], int]]:
    """For each body part that occurs: its number.

    (is truth, row, lane) of its bars, and its lanes.
    """
    gap = 0.012 * duration
    parts = sorted({_part(int(label), labels) for label in (*shown.labels, *truth.labels)})
    rows = []
    for part in parts:
        bars: list[tuple[bool, int, int]] = []
        used = 0
        for is_truth, item in ((True, truth), (False, shown)):
            mine = np.array(
                [k for k, label in enumerate(item.labels) if _part(int(label), labels) == part],
                dtype=np.int64,
            )
            lanes = assign_lanes(item.segments_seconds[mine], gap_seconds=gap)
            bars += [(is_truth, int(k), used + lane) for k, lane in zip(mine, lanes, strict=True)]
            used += max(lanes, default=-1) + 1
        rows.append((part, bars, used))
    return rows


def _draw_rows(
    axes: Axes,
    rows: list[tuple[int, list[tuple[bool, int, int]], int]],
    shown: Detections,
    truth: Annotations,
    labels: LabelMap,
    duration: float,
) -> None:
    top = 0.0
    ticks, names = [], []
    for index, (part, bars, count) in enumerate(rows):
        colour = COLOURS[part % len(COLOURS)]
        if index % 2 == 0:
            axes.axhspan(top, top + count, color="#f4f4f4", zorder=0, lw=0)
        for is_truth, k, lane in bars:
            item = truth if is_truth else shown
            start, end = item.segments_seconds[k]
            title = labels.title(int(item.labels[k]))
            y = top + lane + (1 - _BAR) / 2
            score = 1.0 if is_truth else float(shown.scores[k])
            style = {"facecolor": "white", "edgecolor": colour, "lw": 1.4}
            if not is_truth:
                style = {"facecolor": colour, "edgecolor": "none", "alpha": 0.25 + 0.75 * score}
                title = f"{title}  {score:.2f}"
            axes.add_patch(Rectangle((start, y), end - start, _BAR, **style))  # type: ignore[arg-type]
            if duration <= 120:
                place = min(start, 0.82 * duration) + 0.004 * duration
                axes.text(place, y + _BAR / 2, title, fontsize=6.5, va="center", clip_on=True)
        ticks.append(top + count / 2)
        names.append(labels.parent_names[part] if labels.has_parents else "actions")
        top += count
    axes.set(xlim=(0, duration), ylim=(max(top, 1.0), 0), xlabel="seconds")
    axes.set_yticks(ticks, names, fontsize=8)
    axes.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    if not rows:
        axes.text(duration / 2, 0.5, "nothing to show", ha="center", va="center", color="#777777")


def _draw_strip(
    axes: Axes,
    frames: Sequence[tuple[float, NDArray[np.uint8]]],
    duration: float,
    *,
    aspect: float,
) -> None:
    """Frames side by side, each centred on its time."""
    spacing = duration / max(len(frames), 1)
    for seconds, frame in frames:
        half = 0.48 * spacing
        axes.imshow(frame, extent=(seconds - half, seconds + half, 0, 1), aspect="auto")
    axes.set(xlim=(0, duration), ylim=(0, 1))
    axes.axis("off")
