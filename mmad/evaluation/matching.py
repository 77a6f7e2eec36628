"""Matching of detections and annotations, for all protocols and levels.

A detection may take an annotation of its own video and class. Detections choose in descending order
of score (stable: of equal scores the first in the file chooses first), each the free annotation
with the highest tIoU, if that is at least the threshold.

Shapes: N detections, M annotations, Q thresholds, E pairs of a detection and an annotation that
share video and class.
"""

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mmad.structures import Floats, Ints

Denominator = Literal["union", "union_plus_1e-4", "union_at_least_1e-8"]


@dataclass(frozen=True, eq=False)
class Rows:
    """Detections or annotations of all videos in one table.

    Attributes:
        segments: Start and end in seconds, (N, 2).
        labels: Label indices, (N,).
        videos: Index of the video, (N,).
        scores: Scores, (N,); zeros for annotations.
    """

    segments: Floats
    labels: Ints
    videos: Ints
    scores: Floats

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: NDArray) -> "Rows":
        """The chosen rows."""
        return Rows(
            self.segments[index], self.labels[index], self.videos[index], self.scores[index]
        )


@dataclass(frozen=True, eq=False)
class Options:
    """The annotations that each detection may take: pairs by detection, best annotation first.

    Attributes:
        detections: Row of the detection, (E,), ascending.
        annotations: Row of the annotation, (E,).
        tiou: Overlap (E,), at least the lowest threshold; descending within a detection.
    """

    detections: Ints
    annotations: Ints
    tiou: Floats

    def at(self, threshold: float) -> tuple[Ints, Ints]:
        """Rows of detection and annotation of the pairs that reach ``threshold``."""
        good = self.tiou >= threshold
        return self.detections[good], self.annotations[good]


@dataclass(frozen=True, eq=False)
class MatchTable:
    """The result of the matching.

    Attributes:
        tiou: Thresholds (Q,).
        matched: Row of the annotation that a detection took, (N, Q), or -1.
        order: Detections by descending score, (N,); ties by row.
        options: Annotations that each detection could have taken.
    """

    tiou: Floats
    matched: Ints
    order: Ints
    options: Options


@dataclass(frozen=True, eq=False)
class Matches:
    """The matching at one level, with its detections and annotations.

    Attributes:
        detections: Detections.
        annotations: Annotations that count.
        num_labels: Number of labels of the level.
        table: Result of the matching.
    """

    detections: Rows
    annotations: Rows
    num_labels: int
    table: MatchTable

    @cached_property
    def num_annotations(self) -> Ints:
        """Number of annotations of each class, (K,)."""
        return np.bincount(self.annotations.labels, minlength=self.num_labels)

    @property
    def mean_count(self) -> float:
        """Mean number of annotations of the classes that have any (DETAD's N)."""
        return float(len(self.annotations) / max((self.num_annotations > 0).sum(), 1))

    @cached_property
    def ranked(self) -> list[Ints]:
        """Rows of the detections of each class, by descending score."""
        by_class = self.table.order[
            np.argsort(self.detections.labels[self.table.order], kind="stable")
        ]
        bounds = np.searchsorted(self.detections.labels[by_class], np.arange(self.num_labels + 1))
        return [by_class[a:b] for a, b in itertools.pairwise(bounds.tolist())]

    @cached_property
    def rank(self) -> Ints:
        """Rank of each detection in its class, from 0, (N,)."""
        rank = np.empty(len(self.detections), dtype=np.int64)
        for mine in self.ranked:
            rank[mine] = np.arange(len(mine))
        return rank


def average_precision(
    hits: NDArray[np.bool_], *, num_annotations: int, weight: float = 1.0
) -> Floats:
    """Interpolated average precision at each threshold, (Q,).

    Args:
        hits: Whether each detection took an annotation, (N, Q), by descending score.
        num_annotations: Number of annotations of the class, at least 1.
        weight: Weight of a hit in the precision, usually 1; in DETAD's normalised precision the
            mean number of annotations of all classes / that of this class.

    >>> hits = np.array([[True], [False], [True]])
    >>> average_precision(hits, num_annotations=2).tolist() == [1 / 2 * 1 + 1 / 2 * 2 / 3]
    True
    """
    if not len(hits):
        return np.zeros(hits.shape[1])
    precision = running_precision(hits, weight=weight)
    best_from_here = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    return (best_from_here * hits).sum(axis=0) / num_annotations


def running_precision(hits: NDArray[np.bool_], *, weight: float = 1.0) -> Floats:
    """Precision after each detection, (N, Q); see `average_precision`."""
    true = np.cumsum(hits, axis=0)
    false = np.arange(1, len(hits) + 1)[:, None] - true
    # Never 0 / 0: every detection is either a hit or not.
    return weight * true / (weight * true + false)


def paired_tiou(a: Floats, b: Floats, *, denominator: Denominator) -> Floats:
    """The tIoU of segments row by row, (E,); 0 for an empty union."""
    inner = np.maximum(np.minimum(a[:, 1], b[:, 1]) - np.maximum(a[:, 0], b[:, 0]), 0.0)
    union = (a[:, 1] - a[:, 0]) + (b[:, 1] - b[:, 0]) - inner
    if denominator == "union_plus_1e-4":
        union = union + 1e-4
    elif denominator == "union_at_least_1e-8":
        union = np.maximum(union, 1e-8)
    return np.divide(inner, union, out=np.zeros_like(inner), where=union > 0)


def pairs_of(detections: Rows, annotations: Rows) -> tuple[Ints, Ints]:
    """Rows (E,) of detection and annotation of every pair that shares video and class."""
    num_labels = 1 + max(detections.labels.max(initial=0), annotations.labels.max(initial=0))
    wanted = detections.videos * num_labels + detections.labels
    offered = annotations.videos * num_labels + annotations.labels
    by_group = np.argsort(offered, kind="stable")
    sorted_groups = offered[by_group]
    first = np.searchsorted(sorted_groups, wanted, side="left")
    count = np.searchsorted(sorted_groups, wanted, side="right") - first
    detection = np.repeat(np.arange(len(detections)), count)
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return detection, by_group[np.repeat(first, count) + within]


def match(
    detections: Rows, annotations: Rows, *, tiou: Floats, denominator: Denominator
) -> MatchTable:
    """The matching at every threshold.

    Only pairs that share video and class are formed, so memory grows with the detections and not
    with detections times annotations.
    """
    order = np.argsort(-detections.scores, kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    options = options_of(
        detections, annotations, lowest=tiou.min(initial=np.inf), denominator=denominator
    )
    matched = np.full((len(detections), len(tiou)), -1, dtype=np.int64)
    for column, threshold in enumerate(tiou):
        matched[:, column] = _choose(*options.at(threshold), rank, num_annotations=len(annotations))
    return MatchTable(tiou, matched, order, options)


def options_of(
    detections: Rows, annotations: Rows, *, lowest: float, denominator: Denominator
) -> Options:
    """The pairs that share video and class and overlap by ``lowest`` or more.

    A detection prefers the annotation with the highest tIoU; ties go to the first.
    """
    detection, annotation = pairs_of(detections, annotations)
    overlap = paired_tiou(
        detections.segments[detection], annotations.segments[annotation], denominator=denominator
    )
    possible = (overlap >= lowest) & (overlap > 0)
    detection, annotation, overlap = detection[possible], annotation[possible], overlap[possible]
    preference = np.lexsort((annotation, -overlap, detection))
    return Options(detection[preference], annotation[preference], overlap[preference])


def _choose(detection: Ints, annotation: Ints, rank: Ints, *, num_annotations: int) -> Ints:
    """Annotation that each detection takes, or -1, given its options in order of preference.

    Sequential choice by rank is the stable matching in which every annotation prefers the better
    rank, so it is found by deferred acceptance: all free detections propose at once, and each
    annotation keeps the best so far. The rounds are few, a loop over detections is not.
    """
    num_detections = len(rank)
    taken = np.full(num_detections, -1, dtype=np.int64)
    holder = np.full(num_annotations, -1, dtype=np.int64)
    if not len(detection):
        return taken
    counts = np.bincount(detection, minlength=num_detections)
    option = np.cumsum(counts) - counts
    last = option + counts
    proposing = np.flatnonzero(counts)
    best = np.full(num_annotations, num_detections, dtype=np.int64)
    by_rank = np.empty(num_detections, dtype=np.int64)
    by_rank[rank] = np.arange(num_detections)
    while len(proposing):
        wish = annotation[option[proposing]]
        option[proposing] += 1
        np.minimum.at(best, wish, rank[proposing])
        targets = np.unique(wish)
        winners = by_rank[best[targets]]
        changed = winners != holder[targets]
        displaced = holder[targets][changed]
        displaced = displaced[displaced >= 0]
        taken[displaced] = -1
        holder[targets] = winners
        taken[winners] = targets
        free = np.concatenate((proposing[taken[proposing] == -1], displaced))
        proposing = free[option[free] < last[free]]
    return taken
