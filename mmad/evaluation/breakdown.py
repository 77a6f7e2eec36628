"""Breakdown of mAP: recall at k, class frequency, bootstrap confidence intervals over videos.

Shapes: Q thresholds, K classes, R resamples, N detections.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mmad.errors import PredictionError
from mmad.evaluation.detection import DetectionReport, LevelReport
from mmad.evaluation.matching import Matches
from mmad.structures import Floats, Ints

# Name -> minimum number of annotations of a class in it.
FREQUENCIES: Mapping[str, int] = {"many": 100, "medium": 30, "few": 10, "rare": 1}
RECALL_AT = (1, 5, 10, 20, 50, 100)
# Numbers kept in memory at once while resampling.
_CHUNK = 20_000_000


def recall_at(level: LevelReport, ks: Sequence[int] = RECALL_AT) -> Floats:
    """Share of annotations found by the ``k`` best detections of each video, (len(ks), Q).

    Labels must match. Dropping the other detections changes no match of the best ones.
    """
    matches = level.matches
    detections = matches.detections
    order = np.lexsort((np.arange(len(detections)), -detections.scores, detections.videos))
    place = np.arange(len(detections))
    first = np.searchsorted(detections.videos[order], detections.videos[order], side="left")
    rank = np.empty(len(detections), dtype=np.int64)
    rank[order] = place - first
    hits = matches.table.matched >= 0
    total = max(len(matches.annotations), 1)
    return np.stack([hits[rank < k].sum(axis=0) / total for k in ks])


def frequency_of(count: int) -> str:
    """Name in `FREQUENCIES` of a class with ``count`` annotations, at least 1.

    >>> frequency_of(30), frequency_of(1)
    ('medium', 'rare')
    """
    return next(name for name, fewest in FREQUENCIES.items() if count >= fewest)


def map_by_frequency(level: LevelReport) -> dict[str, tuple[int, float]]:
    """Number of classes and mean average precision (over classes and thresholds), by frequency.

    Frequency is the number of annotations that are scored; the mean of no classes is NaN.
    """
    names = np.array(
        [frequency_of(count) if count else "" for count in level.matches.num_annotations.tolist()]
    )
    result = {}
    for name in FREQUENCIES:
        mine = names == name
        mean = float(level.per_class[:, mine].mean()) if mine.any() else float("nan")
        result[name] = (int(mine.sum()), mean)
    return result


@dataclass(frozen=True, eq=False)
class Resamples:
    """Bootstrap resamples: figures of the data with its videos drawn with replacement.

    Attributes:
        map: Mean over the classes that have annotations in the resample, (R, Q).
        per_class: Mean over the thresholds, (R, K); NaN where a class has no annotations.
    """

    map: Floats
    per_class: Floats

    @property
    def average(self) -> Floats:
        """Mean over the thresholds, (R,)."""
        return self.map.mean(axis=1)


def interval(values: Floats, estimate: float, *, confidence: float = 0.95) -> tuple[float, float]:
    """The central interval with share ``confidence`` of resampled ``values``, shifted so that their
    mean is the ``estimate``; NaN values are ignored, and without others the interval is NaN.

    Shifted, because a resample repeats some of the few annotations of a rare class, which raises
    its average precision: an uncorrected interval can exclude the estimate itself.
    """
    known = values[~np.isnan(values)]
    if not len(known):
        return float("nan"), float("nan")
    tail = (1 - confidence) / 2
    low, high = np.quantile(known, (tail, 1 - tail)) - known.mean() + estimate
    return float(low), float(high)


def draw_videos(num_videos: int, *, num_resamples: int, seed: int = 0) -> Ints:
    """Number of copies of each video in each resample, (R, videos)."""
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, num_videos, (num_resamples, num_videos))
    offsets = num_videos * np.arange(num_resamples)[:, None]
    counts = np.bincount((drawn + offsets).reshape(-1), minlength=num_resamples * num_videos)
    return counts.reshape(num_resamples, num_videos)


def resample(level: LevelReport, copies: Ints) -> Resamples:
    """The figures of each resample; matches depend on one video only, so none is repeated.

    Args:
        level: Results on the data themselves.
        copies: Number of copies, (R, videos), as from `draw_videos`.
    """
    matches = level.matches
    num_resamples, num_labels = len(copies), len(level.labels)
    per_class = np.full((num_resamples, len(level.tiou), num_labels), np.nan)
    for label in np.flatnonzero(matches.num_annotations):
        size = max(1, len(matches.ranked[label]))
        for part in np.array_split(
            np.arange(num_resamples), max(1, num_resamples * size // _CHUNK)
        ):
            per_class[part, :, label] = _class_precisions(matches, int(label), copies[part])
    counted = ~np.isnan(per_class)
    total = np.where(counted, per_class, 0.0).sum(axis=2)
    return Resamples(total / np.maximum(counted.sum(axis=2), 1), per_class.mean(axis=1))


def _class_precisions(matches: Matches, label: int, copies: Ints) -> Floats:
    """Interpolated average precision of a class in each resample, (R, Q)."""
    mine = matches.ranked[label]
    videos = matches.annotations.videos[matches.annotations.labels == label]
    num_annotations = copies[:, videos].sum(axis=1).astype(np.float64)
    num_annotations[num_annotations == 0] = np.nan
    weights = copies[:, matches.detections.videos[mine]]
    seen = weights.cumsum(axis=1)
    result = np.zeros((len(copies), len(matches.table.tiou)))
    for column in range(result.shape[1]):
        hit = np.flatnonzero(matches.table.matched[mine, column] >= 0)
        # Precision falls between hits, so its largest later value is at a hit.
        taken = weights[:, hit].astype(np.float64)
        precision = taken.cumsum(axis=1) / np.maximum(seen[:, hit], 1)
        best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        result[:, column] = (best * taken).sum(axis=1) / num_annotations
    return result


@dataclass(frozen=True, eq=False)
class Comparison:
    """Second minus first set of detections, on the same resamples.

    Attributes:
        per_class: Difference of average precision (mean over thresholds), (K,); NaN without
            annotations.
        per_class_intervals: Intervals of these, (K, 2).
        difference: Difference of the average mAP.
        interval: Interval of the difference.
        share_not_better: Share of the resamples in which the second is not better.
    """

    per_class: Floats
    per_class_intervals: Floats
    difference: float
    interval: tuple[float, float]
    share_not_better: float


def compare(
    first: DetectionReport, second: DetectionReport, *, copies: Ints, confidence: float = 0.95
) -> dict[str, Comparison]:
    """Paired bootstrap over videos of every level.

    Raises: PredictionError if the two were not scored on the same videos, thresholds and protocol.
    """
    if (first.protocol, first.num_videos) != (second.protocol, second.num_videos):
        raise PredictionError("the two were not scored on the same videos by the same protocol")
    result = {}
    for name, level in first.levels.items():
        other = second.levels[name]
        ours, theirs = resample(level, copies), resample(other, copies)
        gain = theirs.average - ours.average
        differences = (other.per_class - level.per_class).mean(axis=0)
        drawn = theirs.per_class - ours.per_class
        result[name] = Comparison(
            differences,
            np.array(
                [
                    interval(values, estimate, confidence=confidence)
                    for values, estimate in zip(drawn.T, differences.tolist(), strict=True)
                ]
            ),
            other.average - level.average,
            interval(gain, other.average - level.average, confidence=confidence),
            float((gain <= 0).mean()),
        )
    return result


def comparison_json(comparison: Comparison) -> dict[str, object]:
    """The numbers of a comparison: fractions, classes by index."""
    return {
        "difference": comparison.difference,
        "interval": list(comparison.interval),
        "share_not_better": comparison.share_not_better,
        "per_class": {
            str(label): {"difference": value, "interval": limits}
            for label, (value, limits) in enumerate(
                zip(
                    comparison.per_class.tolist(),
                    comparison.per_class_intervals.tolist(),
                    strict=True,
                )
            )
            if not math.isnan(value)
        },
    }
