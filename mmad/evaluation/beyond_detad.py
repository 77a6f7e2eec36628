"""What DETAD does not ask: which actions are taken for which, who hides whom, how far ends are off,
whether scores mean what they say, and which videos are worst. All at the first threshold.
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
        annotated, detected: labels.
        count: detections among the top 1 G of their class.
        same_part: whether both are actions of one body part.
    """

    annotated: int
    detected: int
    count: int
    same_part: bool


def confusions(errors: LevelErrors) -> list[Confusion]:
    """Pairs of actions by falling count: overlap enough for a match, with another label."""
    top = (errors.outcome[:, 0] == WRONG_LABEL) & (errors.multiple == 0)
    detected = errors.matches.found.labels[top]
    annotated = errors.matches.truth.labels[errors.nearest[top]]
    size = len(errors.labels)
    counts = np.bincount(annotated * size + detected, minlength=size * size)
    order = np.argsort(-counts, kind="stable")
    parents = errors.labels.parents if errors.labels.has_parents else range(size)
    return [
        Confusion(pair // size, pair % size, count, parents[pair // size] == parents[pair % size])
        for pair, count in zip(order.tolist(), counts[order].tolist(), strict=True)
        if count
    ]


def co_occurrence(truth: Rows, labels: LabelMap) -> Ints:
    """Index in `CO_OCCURRENCES` of each annotation, (M,): what it overlaps in its video.

    Labels without parents are a body part each.
    """
    part = labels.to_parents(truth.labels) if labels.has_parents else truth.labels
    order = np.lexsort((truth.segments[:, 0], truth.videos))
    result = np.zeros(len(truth), dtype=np.int64)
    # Neighbours at growing distance, as long as any two of them overlap.
    running_end = _running_end(truth, order)
    for distance in range(1, len(order)):
        earlier, later = order[:-distance], order[distance:]
        same_video = truth.videos[earlier] == truth.videos[later]
        if not (same_video & (truth.segments[later, 0] < running_end[:-distance])).any():
            break
        overlap = same_video & (truth.segments[later, 0] < truth.segments[earlier, 1])
        overlap &= truth.segments[earlier, 0] < truth.segments[later, 1]
        kind = np.where(part[earlier] == part[later], 2, 1)[overlap]
        np.maximum.at(result, earlier[overlap], kind)
        np.maximum.at(result, later[overlap], kind)
    return result


def _running_end(truth: Rows, order: Ints) -> Floats:
    """Latest end so far inside each video, in the order of starts."""
    ends = truth.segments[order, 1].copy()
    video = truth.videos[order]
    for place in range(1, len(ends)):
        if video[place] == video[place - 1]:
            ends[place] = max(ends[place], ends[place - 1])
    return ends


def missed_by_co_occurrence(errors: LevelErrors, kinds: Ints) -> list[float]:
    """Share of missed annotations of each kind of `CO_OCCURRENCES`; NaN where there is none."""
    return [errors.missed(kinds == number) for number in range(len(CO_OCCURRENCES))]


@dataclass(frozen=True, eq=False)
class BoundaryErrors:
    """Ends of true positives, detected minus annotated, in seconds.

    Attributes:
        starts, ends: (P,), above 0 is late.
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
    """How far the ends of true positives are off."""
    right = np.flatnonzero(errors.outcome[:, 0] == TRUE_POSITIVE)
    taken = errors.matches.table.matched[right, 0]
    off = errors.matches.found.segments[right] - errors.matches.truth.segments[taken]
    return BoundaryErrors(off[:, 0], off[:, 1])


@dataclass(frozen=True, eq=False)
class Histogram:
    """Numbers in equal bins; what lies beyond the first or last edge counts in that bin.

    Attributes:
        edges: (B + 1,).
        counts: (B,).
        mean: of the numbers themselves; NaN of none.
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


def length_histogram(truth: Rows) -> Histogram:
    """Lengths of annotations in seconds; the longest 1 % count in the last bin."""
    seconds = truth.segments[:, 1] - truth.segments[:, 0]
    return _histogram(seconds, 0.0, _reach(seconds, 0.99, step=1.0), 30)


def score_of_as_many(scores: Floats, count: int) -> float:
    """The score, in hundredths, above which there are about ``count`` detections; 0 for all."""
    if len(scores) <= count:
        return 0.0
    return float(np.floor(100 * np.sort(scores)[-max(count, 1)]) / 100)


@dataclass(frozen=True, eq=False)
class Calibration:
    """Whether a score of 0.7 is right seven times in ten.

    Attributes:
        edges: (B + 1,), of the scores.
        counts: (B,), detections.
        mean_score: (B,); NaN for an empty bin.
        precision: (B,), share of them that match; NaN for an empty bin.
    """

    edges: Floats
    counts: Ints
    mean_score: Floats
    precision: Floats

    @property
    def expected_error(self) -> float:
        """Mean distance of score and precision over the detections (ECE); NaN of none."""
        if not self.counts.sum():
            return float("nan")
        filled = self.counts > 0
        gap = np.abs(self.mean_score[filled] - self.precision[filled])
        return float((gap * self.counts[filled]).sum() / self.counts.sum())


def calibration(errors: LevelErrors) -> Calibration:
    """Scores in ten equal bins from 0 to 1 (a larger score falls into the last one)."""
    scores = errors.matches.found.scores
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
        video_id: the video.
        num_annotations: in it.
        missed: annotations that nothing matched at a sufficient precision.
        outcomes: detections of each of `OUTCOMES`.
    """

    video_id: str
    num_annotations: int
    missed: int
    outcomes: tuple[int, ...]

    @property
    def num_errors(self) -> int:
        """Missed annotations and wrong detections."""
        return self.missed + sum(self.outcomes) - self.outcomes[TRUE_POSITIVE]


def errors_by_video(report: ErrorReport, *, level: str) -> list[VideoErrors]:
    """Every video, the one with the most errors first."""
    errors = report.levels[level]
    truth, found = errors.matches.truth, errors.matches.found
    size = len(report.videos)
    annotated = np.bincount(truth.videos, minlength=size)
    missed = np.bincount(truth.videos[~errors.is_found[:, 0]], minlength=size)
    kinds = (TRUE_POSITIVE, DOUBLE, WRONG_LABEL, LOCALISATION, CONFUSION, BACKGROUND)
    top = (errors.multiple == 0) & (errors.outcome[:, 0] != NOT_JUDGED)
    counts = np.stack(
        [
            np.bincount(found.videos[top & (errors.outcome[:, 0] == kind)], minlength=size)
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
