"""Error analysis of detectors: DETAD's error types, false negatives and sensitivity.

Definitions are those of DETAD (Alwassel et al., 2018; commit 24f7d95), which the MMA-52 paper uses
(section 5.4), with its buckets of characteristics. Differs: several thresholds are averaged at the
end, as there; duplicated annotations stay; the tIoU has the plain union as denominator.

Shapes: N detections, M annotations, Q thresholds, K classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mmad.errors import PredictionError
from mmad.evaluation.detection import rows_of, to_parents
from mmad.evaluation.matching import (
    Matches,
    Rows,
    average_precision,
    match,
    paired_tiou,
    pairs_of,
    running_precision,
)
from mmad.labels import LabelMap
from mmad.structures import Detections, Floats, Ints, VideoRecord

OUTCOMES = (
    "true positive",
    "double detection",
    "wrong label",
    "localisation",
    "confusion",
    "background",
)
TRUE_POSITIVE, DOUBLE, WRONG_LABEL, LOCALISATION, CONFUSION, BACKGROUND = range(6)
NOT_JUDGED = -1
# Number of judged detections of each class, in multiples of its annotations.
NUM_MULTIPLES = 10
BACKGROUND_TIOU = 0.1
# A hit below this normalised precision does not count as found.
LEAST_PRECISION = 0.05
# Name -> edges of its buckets in the paper, closed on the right.
CHARACTERISTICS: Mapping[str, tuple[float, ...]] = {
    "coverage": (0, 0.2, 0.4, 0.6, 0.8, 1),
    "length": (0, 3, 5, 8, 9, np.inf),
    "instances": (-1, 2, 5, 7, np.inf),
}
BUCKETS = ("XS", "S", "M", "L", "XL")


@dataclass(frozen=True, eq=False)
class LevelErrors:
    """The errors at one level. Shares and precisions are fractions.

    Attributes:
        labels: Labels of the level.
        matches: Matching at every threshold.
        outcome: Index in `OUTCOMES`, (N, Q), or `NOT_JUDGED` beyond the top 10 G of a class.
        nearest: Annotation of the same video, any class, with the largest tIoU, (N,); -1 for none.
        nearest_tiou: That tIoU, (N,).
        is_found: Whether an annotation was taken at sufficient precision, (M, Q).
        buckets: Bucket of each annotation, (M,), for each characteristic.
    """

    labels: LabelMap
    matches: Matches
    outcome: Ints
    nearest: Ints
    nearest_tiou: Floats
    is_found: NDArray[np.bool_]
    buckets: Mapping[str, Ints]

    @cached_property
    def multiple(self) -> Ints:
        """Multiple of its class's annotations in which a detection ranks, from 0, (N,)."""
        count = self.matches.num_annotations[self.matches.detections.labels]
        return self.matches.rank // np.maximum(count, 1)

    @cached_property
    def false_positives(self) -> Floats:
        """Share of each outcome among the detections of each multiple of G, (10, 6).

        NaN where no class has that many detections.
        """
        judged = self.outcome[:, 0] != NOT_JUDGED
        counts = np.zeros((NUM_MULTIPLES, len(OUTCOMES)))
        for column in self.outcome.T:
            np.add.at(counts, (self.multiple[judged], column[judged]), 1)
        total = counts.sum(axis=1, keepdims=True)
        return np.divide(counts, total, out=np.full_like(counts, np.nan), where=total > 0)

    @cached_property
    def base(self) -> float:
        """Normalised mAP of the judged detections."""
        return self._normalised_map(self.outcome != NOT_JUDGED)

    @cached_property
    def gain(self) -> Floats:
        """The gain without the detections of each error type, (5,)."""
        judged = self.outcome != NOT_JUDGED
        return np.array(
            [
                self._normalised_map(judged & (self.outcome != kind)) - self.base
                for kind in range(1, len(OUTCOMES))
            ]
        )

    def missed(self, where: NDArray[np.bool_] | None = None) -> float:
        """Share of missed annotations, of all or of those ``where``; NaN if there are none."""
        chosen = self.is_found if where is None else self.is_found[where]
        return float(1 - chosen.mean()) if len(chosen) else float("nan")

    def false_negatives(self, characteristic: str) -> list[float]:
        """Share of missed annotations in each bucket of a characteristic."""
        bucket = self.buckets[characteristic]
        return [self.missed(bucket == number) for number in range(_num_buckets(characteristic))]

    @cached_property
    def sensitivity_base(self) -> float:
        """Normalised mAP of all detections."""
        return self._normalised_map(np.ones(self.matches.table.matched.shape, dtype=bool))

    def sensitivity(self, characteristic: str) -> list[float]:
        """Normalised mAP if only the annotations of a bucket counted, for each bucket.

        A detection that takes another annotation at any threshold is left out at all of them.
        """
        bucket = np.append(self.buckets[characteristic], -1)  # the last row is for no match
        matched = self.matches.table.matched
        taken = bucket[matched]
        values = []
        for number in range(_num_buckets(characteristic)):
            stays = ((matched < 0) | (taken == number)).all(axis=1, keepdims=True)
            keep = np.broadcast_to(stays, matched.shape)
            values.append(self._normalised_map(keep, counted=bucket[:-1] == number))
        return values

    def _normalised_map(
        self, keep: NDArray[np.bool_], *, counted: NDArray[np.bool_] | None = None
    ) -> float:
        """DETAD's mAP over classes and thresholds, of the detections to ``keep`` (N, Q).

        ``counted`` (M,) restricts the annotations.
        """
        matches = self.matches
        counts = matches.num_annotations
        if counted is not None:
            counts = np.bincount(matches.annotations.labels[counted], minlength=len(self.labels))
        values = []
        for label in np.flatnonzero(counts):
            mine = matches.ranked[label]
            for column in range(keep.shape[1]):
                kept = mine[keep[mine, column]]
                hits = matches.table.matched[kept, column, None] >= 0
                count = int(counts[label])
                weight = matches.mean_count / count
                values.append(average_precision(hits, num_annotations=count, weight=weight)[0])
        return float(np.mean(values)) if values else float("nan")


@dataclass(frozen=True, eq=False)
class ErrorReport:
    """The errors of a set of detections.

    Attributes:
        levels: Results at level "action" and, if labels have body parts, "body".
        videos: Ids, in the order of the numbers in the tables.
    """

    levels: Mapping[str, LevelErrors]
    videos: tuple[str, ...]


def analyse_errors(
    detections: Mapping[str, Detections],
    records: Sequence[VideoRecord],
    *,
    labels: LabelMap,
    tiou: Floats | Sequence[float] = (0.5,),
    levels: Sequence[str] = ("action", "body"),
) -> ErrorReport:
    """The errors of ``detections`` against the annotations of ``records``.

    Args:
        detections: Detections of each video, by id; a video may be absent.
        records: Annotated videos.
        labels: Labels that the indices in both refer to.
        tiou: Thresholds; shares and precisions are means over them.
        levels: Either or both of "action" and "body".

    Raises: PredictionError if a video of the detections is not among the records, or there are no
        annotations.
    """
    if not labels.has_parents and "action" not in levels:
        raise PredictionError(
            f"the {len(labels)} labels have no body parts; ask for the action level"
        )
    detected, annotated = rows_of(detections, records)
    if not len(annotated):
        raise PredictionError(
            "there are no annotations to compare with; an error analysis needs an annotated subset"
        )
    durations = np.array([record.duration_seconds for record in records])
    thresholds = np.asarray(tiou, dtype=np.float64)
    reports = {}
    if "action" in levels:
        reports["action"] = _analyse(detected, annotated, labels, thresholds, durations)
    if "body" in levels and labels.has_parents:
        parents = to_parents(detected, labels), to_parents(annotated, labels)
        reports["body"] = _analyse(*parents, labels.parent_map, thresholds, durations)
    return ErrorReport(reports, tuple(record.video_id for record in records))


def _analyse(
    detections: Rows, annotations: Rows, labels: LabelMap, tiou: Floats, durations: Floats
) -> LevelErrors:
    table = match(detections, annotations, tiou=tiou, denominator="union")
    matches = Matches(detections, annotations, len(labels), table)
    nearest, nearest_tiou = nearest_annotations(detections, annotations)
    return LevelErrors(
        labels,
        matches,
        outcome=_judge(matches, nearest, nearest_tiou),
        nearest=nearest,
        nearest_tiou=nearest_tiou,
        is_found=_found(matches),
        buckets=_buckets(annotations, durations),
    )


def nearest_annotations(detections: Rows, annotations: Rows) -> tuple[Ints, Floats]:
    """The annotation of any class with the largest tIoU, the first of equal ones, and that tIoU."""
    everything = (
        np.zeros(len(detections), dtype=np.int64),
        np.zeros(len(annotations), dtype=np.int64),
    )
    detection, annotation = pairs_of(
        Rows(detections.segments, everything[0], detections.videos, detections.scores),
        Rows(annotations.segments, everything[1], annotations.videos, annotations.scores),
    )
    overlap = paired_tiou(
        detections.segments[detection], annotations.segments[annotation], denominator="union"
    )
    nearest = np.full(len(detections), -1, dtype=np.int64)
    nearest_tiou = np.zeros(len(detections))
    # The pairs of a detection are adjacent; ties keep their order.
    best = np.lexsort((np.arange(len(overlap)), -overlap, detection))
    first = np.flatnonzero(np.diff(detection[best], prepend=-1))
    chosen = best[first]
    nearest[detection[chosen]] = annotation[chosen]
    nearest_tiou[detection[chosen]] = overlap[chosen]
    return nearest, nearest_tiou


def _judge(matches: Matches, nearest: Ints, nearest_tiou: Floats) -> Ints:
    detections, annotations, table = matches.detections, matches.annotations, matches.table
    same_label = annotations.labels[nearest] == detections.labels  # ignored where nearest is -1
    limit = NUM_MULTIPLES * matches.num_annotations[detections.labels]
    outcome = np.full(table.matched.shape, BACKGROUND, dtype=np.int64)
    for column, threshold in enumerate(table.tiou):
        near = (nearest >= 0) & (nearest_tiou >= BACKGROUND_TIOU)
        enough = near & (nearest_tiou >= threshold)
        result = outcome[:, column]
        result[near] = np.where(same_label[near], LOCALISATION, CONFUSION)
        result[enough] = np.where(same_label[enough], DOUBLE, WRONG_LABEL)
        result[table.matched[:, column] >= 0] = TRUE_POSITIVE
        result[matches.rank >= limit] = NOT_JUDGED
    return outcome


def _found(matches: Matches) -> NDArray[np.bool_]:
    """Annotations (M, Q) that were taken at sufficient normalised precision."""
    counts = matches.num_annotations
    is_found = np.zeros((len(matches.annotations), len(matches.table.tiou)), dtype=bool)
    for label in np.flatnonzero(counts):
        mine = matches.ranked[label]
        taken = matches.table.matched[mine]
        precision = running_precision(taken >= 0, weight=matches.mean_count / counts[label])
        row, column = np.nonzero((taken >= 0) & (precision > LEAST_PRECISION))
        is_found[taken[row, column], column] = True
    return is_found


def _buckets(annotations: Rows, durations: Floats) -> dict[str, Ints]:
    length = annotations.segments[:, 1] - annotations.segments[:, 0]
    duration = np.maximum(durations[annotations.videos], 1e-9)
    values = {
        "coverage": np.minimum(length / duration, 1.0),
        "length": length,
        "instances": np.bincount(annotations.videos, minlength=len(durations))[annotations.videos],
    }
    return {
        # Bucket i holds edge i < value <= edge i + 1; a length of 0 goes to the first.
        name: np.maximum(np.digitize(values[name], edges[1:-1], right=True), 0)
        for name, edges in CHARACTERISTICS.items()
    }


def _num_buckets(characteristic: str) -> int:
    return len(CHARACTERISTICS[characteristic]) - 1
