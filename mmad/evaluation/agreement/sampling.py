"""Agreement over time: Cohen's and Fleiss' kappa of samples.

Shapes: A annotators, V videos, K labels, R resamples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from mmad.evaluation.matching import Rows
from mmad.structures import Floats, Ints


@dataclass(frozen=True, eq=False)
class Samples:
    """At how many samples annotators see each label.

    Attributes:
        number: Samples of each video, (V,).
        seen: Samples at which an annotator sees a label, (A, V, K).
        both: Samples at which both of two annotators do, by their indices, (V, K).
    """

    number: Ints
    seen: Ints
    both: dict[tuple[int, int], Ints]


def take_samples(
    annotators: Sequence[Rows], *, num_labels: int, durations_seconds: Floats, step_seconds: float
) -> Samples:
    """Who sees what at the middle of each bin of ``step_seconds`` (start <= t < end).

    Args:
        annotators: Annotations of each annotator.
        num_labels: Number of labels.
        durations_seconds: Length of each video, (V,).
        step_seconds: Time between two samples.
    """
    shape = (len(durations_seconds), num_labels)
    number = np.array(
        [max(0, first_sample(d, step_seconds)) for d in durations_seconds.tolist()], dtype=np.int64
    )
    seen = np.zeros((len(annotators), *shape), dtype=np.int64)
    both = {
        pair: np.zeros(shape, dtype=np.int64) for pair in combinations(range(len(annotators)), 2)
    }
    sorted_rows = [rows.take(np.argsort(rows.videos, kind="stable")) for rows in annotators]
    bounds = [np.searchsorted(rows.videos, np.arange(shape[0] + 1)) for rows in sorted_rows]
    for video, samples in enumerate(number.tolist()):
        mine = [
            rows.take(np.arange(limits[video], limits[video + 1]))
            for rows, limits in zip(sorted_rows, bounds, strict=True)
        ]
        used = np.unique(np.concatenate([rows.labels for rows in mine]))
        present = [_present(rows, used, samples, step_seconds=step_seconds) for rows in mine]
        for place, one in enumerate(present):
            seen[place, video, used] = one.sum(axis=1)
        for (a, b), counts in both.items():
            counts[video, used] = (present[a] & present[b]).sum(axis=1)
    return Samples(number, seen, both)


def first_sample(seconds: float, step_seconds: float) -> int:
    """Index of the first sample at ``seconds`` or later."""
    # 0.15 / 0.1 is not 1.5: a boundary on the middle of a bin must not move by rounding.
    return int(np.ceil(round(seconds / step_seconds - 0.5, 6)))


def _present(rows: Rows, used: Ints, number: int, *, step_seconds: float) -> np.ndarray:
    """Whether each of the ``used`` labels is there at each sample, (len(used), number)."""
    change = np.zeros((len(used), number + 1), dtype=np.int64)
    places = np.clip(np.ceil(np.round(rows.segments / step_seconds - 0.5, 6)), 0, number)
    label = np.searchsorted(used, rows.labels)
    np.add.at(change, (label, places[:, 0].astype(np.int64)), 1)
    np.add.at(change, (label, places[:, 1].astype(np.int64)), -1)
    return np.cumsum(change, axis=1)[:, :-1] > 0


def cohens_kappa(
    both: np.ndarray, in_a: np.ndarray, in_b: np.ndarray, number: np.ndarray
) -> Floats:
    """Cohen's kappa from numbers of samples, NaN where chance alone gives full agreement.

    With observed agreement p and the agreement q that chance would give two independent annotators
    who see the label as often as these, kappa is (p - q) / (1 - q).

    Source: Cohen, A coefficient of agreement for nominal scales, 1960.

    >>> cohens_kappa(*(np.array([x]) for x in (2, 4, 4, 10))).round(6).tolist()
    [0.166667]
    """
    # All times number squared: of counts, exact up to 94 million samples.
    square = number * number
    observed = (number - in_a - in_b + 2 * both) * number
    chance = in_a * in_b + (number - in_a) * (number - in_b)
    return _share(observed - chance, square - chance)


def fleiss_kappa(
    agreeing: np.ndarray, seen: np.ndarray, number: np.ndarray, *, num_annotators: int
) -> Floats:
    """Fleiss' kappa of one label, seen or not, by several annotators.

    Args:
        agreeing: Samples at which both of two annotators see it, summed over all pairs.
        seen: Samples at which an annotator sees it, summed over the annotators.
        number: Samples.
        num_annotators: Number of annotators.

    Source: Fleiss, Measuring nominal scale agreement among many raters, 1971.
    """
    pairs = num_annotators * (num_annotators - 1) / 2
    # Two disagree where one of them sees it: each sees it in (A - 1) pairs, twice where both do.
    apart = (num_annotators - 1) * seen - 2 * agreeing
    observed = 1 - _share(apart, pairs * number)
    share = _share(seen, num_annotators * number)
    chance = share**2 + (1 - share) ** 2
    return _share(observed - chance, 1 - chance)


def _share(above: np.ndarray, below: np.ndarray) -> Floats:
    above, below = np.broadcast_arrays(above, below)
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)
