"""Detection mAP over tIoU thresholds at action and body level, as in the official evaluators."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mmad.errors import PredictionError, raise_problems
from mmad.evaluation.matching import Denominator, Matches, Rows, average_precision, match
from mmad.labels import LabelMap
from mmad.structures import Annotations, Detections, Floats, Ints, VideoRecord

Level = Literal["action", "body", "both"]


@dataclass(frozen=True)
class Protocol:
    """The differences between the official evaluators.

    Attributes:
        denominator: Denominator of the tIoU.
        drop_duplicates: Keep the first of annotations of a class whose boundaries agree to 1e-3 s.
        drop_empty: Leave out annotations of zero length.
    """

    denominator: Denominator
    drop_duplicates: bool = False
    drop_empty: bool = False


PROTOCOLS: Mapping[str, Protocol] = {
    "mma52": Protocol("union_plus_1e-4"),
    "opentad": Protocol("union_at_least_1e-8", drop_duplicates=True, drop_empty=True),
    "actionformer": Protocol("union", drop_duplicates=True),
}
DUPLICATE_SECONDS = 1e-3


@dataclass(frozen=True, eq=False)
class LevelReport:
    """The mAP at one level. Fractions.

    Attributes:
        per_class: Average precision, (Q, K); NaN for a class without annotations.
        labels: Labels of the level.
        matches: Matching that it was computed from, with the annotations that the protocol counts.
    """

    per_class: Floats
    labels: LabelMap
    matches: Matches

    @property
    def tiou(self) -> Floats:
        """The thresholds, (Q,)."""
        return self.matches.table.tiou

    @property
    def left_out(self) -> list[int]:
        """Classes without annotations; the means do not count them."""
        return np.flatnonzero(np.isnan(self.per_class[0])).tolist()

    @property
    def map(self) -> Floats:
        """Mean over the classes at each threshold, (Q,); 0 if no class has annotations."""
        return mean_precision(self.per_class)

    @property
    def average(self) -> float:
        """Mean over the thresholds."""
        return float(self.map.mean())

    def map_at(self, tiou: float) -> float | None:
        """The mAP at a threshold, or None if that was not evaluated."""
        near = np.flatnonzero(np.abs(self.tiou - tiou) < 1e-6)
        return float(self.map[near[0]]) if len(near) else None


@dataclass(frozen=True, eq=False)
class DetectionReport:
    """The mAP of a set of detections.

    Attributes:
        protocol: Name in `PROTOCOLS`.
        levels: Results at level "action" and, if labels have body parts, "body".
        num_videos: Number of annotated videos.
        num_videos_without_detections: Number of these without detections.
    """

    protocol: str
    levels: Mapping[str, LevelReport]
    num_videos: int
    num_videos_without_detections: int

    @property
    def avg(self) -> float:
        """Mean of the averages of the levels (the paper's AVG)."""
        return float(np.mean([level.average for level in self.levels.values()]))


def mean_precision(per_class: Floats) -> Floats:
    """Mean of (Q, K) over the classes with annotations, (Q,); 0 if there are none."""
    counted = ~np.isnan(per_class)
    total = np.where(counted, per_class, 0.0).sum(axis=1)
    return total / np.maximum(counted.sum(axis=1), 1)


def levels_of(level: Level) -> tuple[str, ...]:
    """The levels that are scored, by name.

    >>> levels_of("both")
    ('action', 'body')
    """
    return ("action", "body") if level == "both" else (level,)


def parse_tiou(text: str) -> Floats:
    """Thresholds of ``0.1:0.9`` (steps of 0.1), ``0.5`` or ``0.2,0.5,0.7``.

    A range has the floats of ``np.linspace``, as in the official evaluators: 0.7 is
    0.7000000000000001.

    Raises: PredictionError if it is none of these or outside (0, 1].

    >>> parse_tiou("0.2,0.5").tolist()
    [0.2, 0.5]
    >>> len(parse_tiou("0.1:0.9"))
    9
    """
    try:
        if ":" in text:
            numbers = _steps(*(float(part) for part in text.split(":")))
        else:
            numbers = [float(part) for part in text.split(",")]
    except (ValueError, TypeError):  # not numbers, or too many of them
        numbers = []
    if not numbers or not all(0 < number <= 1 for number in numbers):
        raise PredictionError(
            f"--tiou {text}: expected a number, numbers with commas, or low:high or low:high:step "
            "(such as 0.1:0.9) that ends on a step; all above 0 and at most 1"
        )
    return np.array(numbers)


def _steps(low: float, high: float, step: float = 0.1) -> list[float]:
    """From ``low`` to ``high``; empty if that is outside (0, 1] or ``high`` is not on a step."""
    if not (0 < low <= high <= 1 and 1e-4 < step <= 1):
        return []
    count = round((high - low) / step)
    on_step = abs(count * step - (high - low)) < 1e-6
    return np.linspace(low, high, count + 1).tolist() if on_step else []


def evaluate_detections(
    detections: Mapping[str, Detections],
    records: Sequence[VideoRecord],
    *,
    labels: LabelMap,
    tiou: Floats,
    protocol: str = "mma52",
    levels: Sequence[str] = ("action", "body"),
) -> DetectionReport:
    """The mAP of ``detections`` against the annotations of ``records``.

    The body level maps the labels of both to their body parts; segments and scores are unchanged,
    and suppression is not repeated. Labels without body parts have the action level only.

    Args:
        detections: Detections of each video, by id; a video may be absent.
        records: Annotated videos.
        labels: Labels that the indices in both refer to.
        tiou: Thresholds (Q,); see `parse_tiou`.
        protocol: Name in `PROTOCOLS`.
        levels: Either or both of "action" and "body".

    Raises: PredictionError if a video of the detections is not among the records, or if only the
        body level is requested and the labels have no body parts.
    """
    if not labels.has_parents and "action" not in levels:
        raise PredictionError(
            f"the {len(labels)} labels have no body parts to score; ask for the action level"
        )
    rules = PROTOCOLS[protocol]
    detected, annotated = rows_of(detections, records)
    reports = {}
    if "action" in levels:
        reports["action"] = _evaluate(detected, annotated, labels=labels, tiou=tiou, rules=rules)
    if "body" in levels and labels.has_parents:
        reports["body"] = _evaluate(
            to_parents(detected, labels),
            to_parents(annotated, labels),
            labels=labels.parent_map,
            tiou=tiou,
            rules=rules,
        )
    return DetectionReport(
        protocol=protocol,
        levels=reports,
        num_videos=len(records),
        num_videos_without_detections=sum(
            not len(detections.get(record.video_id, ())) for record in records
        ),
    )


def rows_of(
    detections: Mapping[str, Detections], records: Sequence[VideoRecord]
) -> tuple[Rows, Rows]:
    """Detections and annotations as one table each; videos are numbered as in ``records``.

    Detections of a file are in its order, whether or not it goes from video to video.

    Raises: PredictionError with the videos of the detections that are not among the records.
    """
    known = {record.video_id: number for number, record in enumerate(records)}
    raise_problems(
        PredictionError,
        source="predictions",
        problems=[
            f"video '{video}' is not in the ground truth of this subset"
            for video in detections
            if video not in known
        ],
    )
    detected = detection_rows([(known[video], item) for video, item in detections.items()])
    annotated = annotation_rows(
        [(known[record.video_id], record.annotations) for record in records]
    )
    return detected, annotated


def to_parents(rows: Rows, labels: LabelMap) -> Rows:
    """The rows with labels mapped to body parts."""
    return Rows(rows.segments, labels.to_parents(rows.labels), rows.videos, rows.scores)


def detection_rows(items: Sequence[tuple[int, Detections]]) -> Rows:
    """The detections of all videos in one table, given the number of each video.

    They are in the order of their file if all are from one, otherwise in that of ``items``.
    """
    rows = Rows(
        np.concatenate([np.zeros((0, 2)), *(item.segments_seconds for _, item in items)]),
        np.concatenate([np.zeros(0, dtype=np.int64), *(item.labels for _, item in items)]),
        _repeat(items),
        np.concatenate([np.zeros(0), *(item.scores for _, item in items)]),
    )
    places = [item.places for _, item in items if item.places is not None]
    if sum(map(len, places)) < len(rows) or not places:
        return rows
    return rows.take(np.argsort(np.concatenate(places), kind="stable"))


def annotation_rows(items: Sequence[tuple[int, Annotations]]) -> Rows:
    """The annotations of all videos in one table, given the number of each video."""
    videos = _repeat(items)
    return Rows(
        np.concatenate([np.zeros((0, 2)), *(item.segments_seconds for _, item in items)]),
        np.concatenate([np.zeros(0, dtype=np.int64), *(item.labels for _, item in items)]),
        videos,
        np.zeros(len(videos)),
    )


def _repeat(items: Sequence[tuple[int, Detections | Annotations]]) -> Ints:
    numbers = np.array([number for number, _ in items], dtype=np.int64)
    return np.repeat(numbers, [len(item) for _, item in items])


def _evaluate(
    detections: Rows, annotations: Rows, *, labels: LabelMap, tiou: Floats, rules: Protocol
) -> LevelReport:
    if rules.drop_empty:
        annotations = annotations.take(annotations.segments[:, 1] > annotations.segments[:, 0])
    if rules.drop_duplicates:
        annotations = annotations.take(~_duplicates(annotations))
    table = match(detections, annotations, tiou=tiou, denominator=rules.denominator)
    matches = Matches(detections, annotations, len(labels), table)
    return LevelReport(class_precisions(table.matched >= 0, matches), labels, matches)


def class_precisions(hits: NDArray[np.bool_], matches: Matches) -> Floats:
    """Average precision of each class, (Q, K), NaN without annotations.

    Args:
        hits: Whether each detection takes an annotation, (N, Q).
        matches: Detections in their order, and annotations.
    """
    per_class = np.full((hits.shape[1], matches.num_labels), np.nan)
    for label in np.flatnonzero(matches.num_annotations):
        count = int(matches.num_annotations[label])
        mine = hits[matches.ranked[label]]
        per_class[:, label] = average_precision(mine, num_annotations=count)
    return per_class


def _duplicates(annotations: Rows) -> NDArray[np.bool_]:
    """Annotations that repeat video, class, start and end of an earlier one that is kept, (M,)."""
    order = np.lexsort((np.arange(len(annotations)), annotations.labels, annotations.videos))
    group = (
        annotations.videos[order] * (annotations.labels.max(initial=0) + 1)
        + annotations.labels[order]
    )
    close_pairs: list[tuple[int, int]] = []
    for distance in range(1, len(order)):
        same = group[distance:] == group[:-distance]
        if not same.any():
            break
        gap = np.abs(
            annotations.segments[order[distance:]] - annotations.segments[order[:-distance]]
        )
        later = distance + np.flatnonzero(same & (gap <= DUPLICATE_SECONDS).all(axis=1))
        close_pairs += zip(later.tolist(), (later - distance).tolist(), strict=True)
    repeated = np.zeros(len(annotations), dtype=bool)
    for later_place, earlier_place in sorted(close_pairs):
        if not repeated[order[earlier_place]]:
            repeated[order[later_place]] = True
    return repeated


def detection_json(report: DetectionReport) -> dict[str, object]:
    """The numbers of a report: fractions, classes by index."""
    content: dict[str, object] = {"protocol": report.protocol}
    for name, level in report.levels.items():
        content["tiou"] = level.tiou.tolist()
        content[name] = {
            "map": level.map.tolist(),
            "average": level.average,
            "per_class": {
                str(label): level.per_class[:, label].tolist()
                for label in range(len(level.labels))
                if label not in level.left_out
            },
        }
    content["avg"] = report.avg
    return content
