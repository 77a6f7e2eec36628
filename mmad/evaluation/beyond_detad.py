"""Error analysis beyond DETAD: confusion of actions, co-occurrence, boundary errors, calibration,
and the worst videos. All at the first threshold.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmad.evaluation.error_analysis import (
    BACKGROUND,
    CONFUSION,
    DOUBLE,
    LOCALISATION,
    NOT_JUDGED,
    TRUE_POSITIVE,
    WRONG_LABEL,
    ErrorReport,
    LevelErrors,
)
from mmad.evaluation.matching import Rows
from mmad.labels import LabelMap
from mmad.structures import Floats, Ints

CO_OCCURRENCES = ("alone", "with another body part", "with the same body part")
NUM_SCORE_BINS = 10


@dataclass(frozen=True)
class Confusion:
    """Detections of one action on annotations of another.

    Attributes:
        annotated, detected: Labels.
        count: Number of detections among the top 1 G of their class.
        same_part: Whether both are actions of one body part.
    """

    annotated: int
    detected: int
    count: int
    same_part: bool


def confusions(errors: LevelErrors) -> list[Confusion]:
    """Pairs of actions by descending count: sufficient overlap for a match, but another label."""
    top = (errors.outcome[:, 0] == WRONG_LABEL) & (errors.multiple == 0)
    detected = errors.matches.detections.labels[top]
    annotated = errors.matches.annotations.labels[errors.nearest[top]]
    size = len(errors.labels)
    counts = np.bincount(annotated * size + detected, minlength=size * size)
    order = np.argsort(-counts, kind="stable")
    parents = errors.labels.parents if errors.labels.has_parents else range(size)
    return [
        Confusion(pair // size, pair % size, count, parents[pair // size] == parents[pair % size])
        for pair, count in zip(order.tolist(), counts[order].tolist(), strict=True)
        if count
    ]


def co_occurrence(annotations: Rows, labels: LabelMap) -> Ints:
    """Index in `CO_OCCURRENCES` of each annotation, (M,): what it overlaps in its video.

    Labels without body parts count as a body part each.
    """
    part = labels.to_parents(annotations.labels) if labels.has_parents else annotations.labels
    order = np.lexsort((annotations.segments[:, 0], annotations.videos))
    result = np.zeros(len(annotations), dtype=np.int64)
    # Neighbours at increasing distance, as long as any two overlap.
    running_end = _running_end(annotations, order)
    for distance in range(1, len(order)):
        earlier, later = order[:-distance], order[distance:]
        same_video = annotations.videos[earlier] == annotations.videos[later]
        if not (same_video & (annotations.segments[later, 0] < running_end[:-distance])).any():
            break
        overlap = same_video & (annotations.segments[later, 0] < annotations.segments[earlier, 1])
        overlap &= annotations.segments[earlier, 0] < annotations.segments[later, 1]
        kind = np.where(part[earlier] == part[later], 2, 1)[overlap]
        np.maximum.at(result, earlier[overlap], kind)
        np.maximum.at(result, later[overlap], kind)
    return result


def _running_end(annotations: Rows, order: Ints) -> Floats:
    """Latest end so far inside each video, in the order of starts."""
    ends = annotations.segments[order, 1].copy()
    video = annotations.videos[order]
    for place in range(1, len(ends)):
        if video[place] == video[place - 1]:
            ends[place] = max(ends[place], ends[place - 1])
    return ends


def missed_by_co_occurrence(errors: LevelErrors, kinds: Ints) -> list[float]:
    """Share of missed annotations for each of `CO_OCCURRENCES`; NaN where there are none."""
    return [errors.missed(kinds == number) for number in range(len(CO_OCCURRENCES))]


@dataclass(frozen=True, eq=False)
class BoundaryErrors:
    """Boundary errors of true positives, detected minus annotated, in seconds.

    Attributes:
        starts, ends: Errors (P,); above 0 is late.
    """

    starts: Floats
    ends: Floats

    def summary(self) -> dict[str, dict[str, float]]:
        """Mean, median and mean absolute error of both, and the 10th and 90th percentile."""
        return {
            name: {
                "mean": float(values.mean()) if len(values) else float("nan"),
                "median": float(np.median(values)) if len(values) else float("nan"),
                "mean_absolute": float(np.abs(values).mean()) if len(values) else float("nan"),
                "p10": float(np.quantile(values, 0.1)) if len(values) else float("nan"),
                "p90": float(np.quantile(values, 0.9)) if len(values) else float("nan"),
            }
            for name, values in (("start", self.starts), ("end", self.ends))
        }


def boundary_errors(errors: LevelErrors) -> BoundaryErrors:
    """Errors of the boundaries of true positives."""
    right = np.flatnonzero(errors.outcome[:, 0] == TRUE_POSITIVE)
    taken = errors.matches.table.matched[right, 0]
    off = errors.matches.detections.segments[right] - errors.matches.annotations.segments[taken]
    return BoundaryErrors(off[:, 0], off[:, 1])


@dataclass(frozen=True, eq=False)
class Histogram:
    """Counts in equal bins; outliers count in the first or last bin.

    Attributes:
        edges: Edges of the bins, (B + 1,).
        counts: Counts of the bins, (B,).
        mean: Mean of the values themselves; NaN if there are none.
    """

    edges: Floats
    counts: Ints
    mean: float


def _histogram(values: Floats, low: float, high: float, num_bins: int) -> Histogram:
    counts, edges = np.histogram(np.clip(values, low, high), bins=num_bins, range=(low, high))
    return Histogram(edges, counts, float(values.mean()) if len(values) else float("nan"))


def _reach(values: Floats, quantile: float, *, step: float) -> float:
    """The quantile, rounded up to a multiple of ``step``."""
    highest = float(np.quantile(values, quantile)) if len(values) else 0.0
    return step * max(1, int(np.ceil(highest / step - 1e-9)))


def boundary_histogram(seconds: Floats) -> Histogram:
    """Errors of starts or ends, (P,) seconds, in bins symmetric about 0."""
    reach = _reach(np.abs(seconds), 0.98, step=0.1)
    return _histogram(seconds, -reach, reach, 40)


def length_histogram(annotations: Rows) -> Histogram:
    """Lengths of annotations in seconds; the longest 1 % count in the last bin."""
    seconds = annotations.segments[:, 1] - annotations.segments[:, 0]
    return _histogram(seconds, 0.0, _reach(seconds, 0.99, step=1.0), 30)


def score_of_as_many(scores: Floats, count: int) -> float:
    """The score, rounded to hundredths, above which there are about ``count`` detections; 0 for
    all.
    """
    if len(scores) <= count:
        return 0.0
    return float(np.floor(100 * np.sort(scores)[-max(count, 1)]) / 100)


@dataclass(frozen=True, eq=False)
class Calibration:
    """Calibration of scores: whether those of 0.7 are right seven times in ten.

    Attributes:
        edges: Edges of the score bins, (B + 1,).
        counts: Number of detections, (B,).
        mean_score: Mean score, (B,); NaN for an empty bin.
        precision: Share of matched detections, (B,); NaN for an empty bin.
    """

    edges: Floats
    counts: Ints
    mean_score: Floats
    precision: Floats

    @property
    def expected_error(self) -> float:
        """Expected calibration error: mean distance of score and precision; NaN without
        detections.
        """
        if not self.counts.sum():
            return float("nan")
        filled = self.counts > 0
        gap = np.abs(self.mean_score[filled] - self.precision[filled])
        return float((gap * self.counts[filled]).sum() / self.counts.sum())


def calibration(errors: LevelErrors) -> Calibration:
    """Calibration in ten equal bins from 0 to 1 (a larger score falls into the last one)."""
    scores = errors.matches.detections.scores
    hits = errors.matches.table.matched[:, 0] >= 0
    bins = np.clip((scores * NUM_SCORE_BINS).astype(np.int64), 0, NUM_SCORE_BINS - 1)
    counts = np.bincount(bins, minlength=NUM_SCORE_BINS)

    def mean(values: NDArray) -> Floats:
        total = np.bincount(bins, weights=values, minlength=NUM_SCORE_BINS)
        return np.divide(total, counts, out=np.full(NUM_SCORE_BINS, np.nan), where=counts > 0)

    edges = np.linspace(0, 1, NUM_SCORE_BINS + 1)
    return Calibration(edges, counts, mean(scores), mean(hits.astype(np.float64)))


@dataclass(frozen=True)
class VideoErrors:
    """Errors in one video, of the detections among the top 1 G of their class.

    Attributes:
        video_id: Id of the video.
        num_annotations: Number of its annotations.
        missed: Number of annotations without a match at sufficient precision.
        outcomes: Number of detections of each of `OUTCOMES`.
    """

    video_id: str
    num_annotations: int
    missed: int
    outcomes: tuple[int, ...]

    @property
    def num_errors(self) -> int:
        """Number of missed annotations and wrong detections."""
        return self.missed + sum(self.outcomes) - self.outcomes[TRUE_POSITIVE]


def errors_by_video(report: ErrorReport, *, level: str) -> list[VideoErrors]:
    """Errors of every video, most errors first."""
    errors = report.levels[level]
    annotations, detections = errors.matches.annotations, errors.matches.detections
    size = len(report.videos)
    annotated = np.bincount(annotations.videos, minlength=size)
    missed = np.bincount(annotations.videos[~errors.is_found[:, 0]], minlength=size)
    kinds = (TRUE_POSITIVE, DOUBLE, WRONG_LABEL, LOCALISATION, CONFUSION, BACKGROUND)
    top = (errors.multiple == 0) & (errors.outcome[:, 0] != NOT_JUDGED)
    counts = np.stack(
        [
            np.bincount(detections.videos[top & (errors.outcome[:, 0] == kind)], minlength=size)
            for kind in kinds
        ],
        axis=1,
    )
    rows = [
        VideoErrors(video, count, miss, tuple(outcomes))
        for video, count, miss, outcomes in zip(
            report.videos, annotated.tolist(), missed.tolist(), counts.tolist(), strict=True
        )
    ]
    return sorted(rows, key=lambda row: -row.num_errors)
