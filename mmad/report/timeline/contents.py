"""What a timeline shows, and where it goes: rows, lanes, panels and ticks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmad.evaluation.thresholds import Thresholds
from mmad.labels import LabelMap
from mmad.report.axes import shown_order
from mmad.report.blocks import FilmStrip
from mmad.segments import assign_lanes
from mmad.structures import Annotations, Detections
from mmad.wording import count

# Detections of one behaviour that overlap lie below each other, in so many lanes at most; beyond
# that the surest are on top.
_MOST_LANES = 3
# A panel of a long video shows about so much, if the figure does not grow too high.
_PANEL_SECONDS = 300.0
_NICE_SECONDS = (
    *(0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 14400),
)
_MOST_TICKS = 14


@dataclass(frozen=True, eq=False)
class TimelineContents:
    """What a timeline shows.

    Attributes:
        video_id: Video id, for the title.
        duration_seconds: Duration of the video; 0 if it is not known.
        detections: All detections; those that reach their threshold are drawn.
        labels: Names and body parts.
        thresholds: Lowest score of each behaviour.
        annotations: Annotations, drawn outlined in the row of their behaviour.
        frames: Frames (H, W, 3), evenly spread over the video, drawn as a strip on top.
        codes: Whether behaviours are named with their codes.
        note: Footnote, or "".
    """

    video_id: str
    duration_seconds: float
    detections: Detections
    labels: LabelMap
    thresholds: Thresholds
    annotations: Annotations | None = None
    frames: FilmStrip = ()
    codes: bool = True
    note: str = ""

    @property
    def seconds(self) -> float:
        """The duration; of a video of unknown length, until the end of its last segment."""
        if self.duration_seconds > 0:
            return self.duration_seconds
        return max(float(self.detections.segments_seconds[:, 1].max(initial=0)), 1.0)

    def summary(self) -> str:
        """What is drawn and what is not, in a sentence."""
        sure = len(self.thresholds.sure(self.detections))
        same = self.thresholds.are_same
        reached = f"of at least {self.thresholds.overall:g}" if same else "above their threshold"
        text = f"{count(sure, 'detection')} with a score {reached}"
        if hidden := len(self.detections) - sure:
            text += f"; {hidden} below it not drawn"
        return text

    def name(self, label: int) -> str:
        """Name of a behaviour."""
        return self.labels.title(label) if self.codes else self.labels.names[label]

    def part(self, label: int) -> str:
        """Name of the body part of a behaviour; "" if the labels have none."""
        if not self.labels.has_parents:
            return ""
        return self.labels.parent_names[self.labels.parents[label]]


@dataclass(frozen=True)
class Bar:
    """An annotation (score None) or a detection, in a lane of its row."""

    start: float
    end: float
    score: float | None
    lane: int


@dataclass(frozen=True)
class Row:
    """A behaviour.

    Attributes:
        label: Its index.
        bars: Its bars; those with the highest score last, so that they are on top.
        lanes: Lanes that they take.
    """

    label: int
    bars: tuple[Bar, ...]
    lanes: int


def rows_of(contents: TimelineContents) -> list[Row]:
    """A row for each behaviour that is annotated or found, by body part."""
    labels = contents.labels
    sure = contents.thresholds.sure(contents.detections)
    annotated = contents.annotations if contents.annotations is not None else Annotations()
    present = {*sure.labels.tolist(), *annotated.labels.tolist()}
    rows = []
    for label in (one for one in shown_order(labels) if one in present):
        given = annotated.segments_seconds[annotated.labels == label]
        mine = sure[sure.labels == label]
        above = [(*segment, None) for segment in given.tolist()]
        found = [
            (*segment, score)
            for segment, score in zip(
                mine.segments_seconds.tolist(), mine.scores.tolist(), strict=True
            )
        ]
        bars, lanes = _in_lanes(above, first=0)
        others, total = _in_lanes(found, first=lanes)
        others.sort(key=lambda bar: bar.score or 0.0)
        rows.append(Row(label, (*bars, *others), max(total, 1)))
    return rows


def _in_lanes(
    bars: Sequence[tuple[float, float, float | None]], *, first: int
) -> tuple[list[Bar], int]:
    """Bars in lanes from ``first`` on, and the first lane below them."""
    if not bars:
        return [], first
    lanes = assign_lanes(np.array([(start, max(start, end)) for start, end, _ in bars]))
    lanes = [min(lane, _MOST_LANES - 1) for lane in lanes]
    placed = [
        Bar(start, end, score, first + lane)
        for (start, end, score), lane in zip(bars, lanes, strict=True)
    ]
    return placed, first + max(lanes) + 1


def panels_of(seconds: float, *, most: int) -> list[tuple[float, float]]:
    """Start and end of the panels of a video, all but the last of equal length.

    Args:
        seconds: Duration of the video.
        most: Panels that there is room for.

    >>> panels_of(180.0, most=10), panels_of(720.0, most=10)
    ([(0.0, 180.0)], [(0.0, 300.0), (300.0, 600.0), (600.0, 720.0)])
    """
    if seconds <= _PANEL_SECONDS * 1.5 or most <= 1:
        return [(0.0, seconds)]
    wanted = max(_PANEL_SECONDS, seconds / most)
    length = next(
        (step for step in _NICE_SECONDS if step >= wanted), 3600 * math.ceil(wanted / 3600)
    )
    starts = np.arange(0.0, seconds, length).tolist()
    return [(start, min(start + length, seconds)) for start in starts]


def ticks_of(start: float, end: float, *, length: float) -> list[float]:
    """Round times of a panel, and its ends, which are marked, too.

    Args:
        start, end: The panel.
        length: Seconds that the width of the figure stands for.

    >>> ticks_of(0.0, 9.4, length=9.4)
    [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.4]
    """
    step = next((one for one in _NICE_SECONDS if length / one <= _MOST_TICKS), length / _MOST_TICKS)
    first = math.ceil(start / step - 1e-9)
    last = math.floor(end / step + 1e-9)
    ticks = [round(float(number * step), 6) for number in range(first, last + 1)]
    if not ticks or ticks[0] - start > 1e-6:
        ticks.insert(0, start)
    if end - ticks[-1] > 1e-6:
        # The end takes the place of a round time so near that their texts would touch.
        if end - ticks[-1] < 0.6 * step and len(ticks) > 1:
            ticks.pop()
        ticks.append(end)
    return ticks


def time_text(seconds: float, *, duration: float) -> str:
    """A time on an axis: seconds in a short video, otherwise minutes and hours.

    >>> time_text(9.44, duration=10), time_text(75, duration=200), time_text(3675, duration=4000)
    ('9.4', '1:15', '1:01:15')
    """
    if duration <= 120:
        return f"{seconds:.1f}".removesuffix(".0")
    minutes, rest = divmod(round(seconds), 60)
    if duration < 3600:
        return f"{minutes}:{rest:02d}"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
