"""Rows of agreement, made from what is counted of each annotator and pair in each video.

Shapes: A annotators, V videos, K labels; the last of K + 1 columns is all labels together. R
resamples, E matched pairs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from mmad.evaluation.agreement.icc import intraclass_correlations
from mmad.evaluation.agreement.partial import Partial, interval_edges, partial_agreement
from mmad.evaluation.agreement.results import AgreementRow, Deviation, Estimate
from mmad.evaluation.agreement.sampling import Samples, cohens_kappa, fleiss_kappa, take_samples
from mmad.evaluation.agreement.symmetric_matching import match_both_ways
from mmad.evaluation.budget.summaries import quantiles, unions
from mmad.evaluation.matching import Rows
from mmad.structures import Floats, Ints

_TAIL = 0.025


@dataclass(frozen=True, eq=False)
class _Matched:
    """Matched annotations of two annotators at the lowest threshold, (E,)."""

    videos: Ints
    labels: Ints
    overlap: Floats
    apart: Floats  # (E, 2)


class Measured:
    """What is counted of all annotators in each video, from which every row is made."""

    def __init__(
        self,
        rows: Sequence[Rows],
        num_labels: int,
        durations: Floats,
        tiou: Sequence[float],
        step_seconds: float,
        interval_seconds: float,
    ) -> None:
        self.num_labels, self.tiou = num_labels, tiou
        self.shape = (len(durations), num_labels)
        lasting = [one.take(one.segments[:, 1] > one.segments[:, 0]) for one in rows]
        self.instances = np.stack([self.counted(one.videos, one.labels) for one in rows])
        self.lasting = np.stack([self.counted(one.videos, one.labels) for one in lasting])
        self.seconds = np.stack([self._shown(one) for one in lasting])
        self.samples: Samples = take_samples(
            lasting, num_labels=num_labels, durations_seconds=durations, step_seconds=step_seconds
        )
        edges = interval_edges(durations, interval_seconds)
        self.matched: dict[tuple[int, int], _Matched] = {}
        self.partial: dict[tuple[int, int], tuple[Partial, Partial]] = {}
        for a, b in combinations(range(len(rows)), 2):
            in_a, in_b, overlap = match_both_ways(lasting[a], lasting[b], tiou=min(tiou))
            mine, theirs = lasting[a].take(in_a), lasting[b].take(in_b)
            self.matched[a, b] = _Matched(
                mine.videos, mine.labels, overlap, theirs.segments - mine.segments
            )
            counts, seconds = (
                partial_agreement(
                    *(one[a], one[b]),
                    num_labels=num_labels,
                    durations_seconds=durations,
                    edges=edges,
                    of=of,
                )
                for of, one in (("counts", rows), ("seconds", lasting))
            )
            self.partial[a, b] = (counts, seconds)

    def counted(self, videos: Ints, labels: Ints, weights: Floats | None = None) -> Floats:
        """Sums by video and label, (V, K)."""
        cells = videos * self.num_labels + labels
        size = self.shape[0] * self.shape[1]
        return np.bincount(cells, weights=weights, minlength=size).reshape(self.shape).astype(float)

    def _shown(self, rows: Rows) -> Floats:
        joined, cells = unions(rows.segments, rows.videos * self.num_labels + rows.labels)
        videos, labels = np.divmod(cells, self.num_labels)
        return self.counted(videos, labels, joined[:, 1] - joined[:, 0])

    def matches(self, pair: tuple[int, int], tiou: float) -> Floats:
        """Matched pairs by video and label, (V, K)."""
        one = self.matched[pair]
        # Pairs are formed by descending tIoU, so those above a higher threshold are its matching.
        good = one.overlap >= tiou
        return self.counted(one.videos[good], one.labels[good])

    def apart(self, pair: tuple[int, int], end: int) -> tuple[_Matched, Floats]:
        """Matched pairs at the first threshold, and the deviations of their starts or ends."""
        one = self.matched[pair]
        good = one.overlap >= self.tiou[0]
        kept = _Matched(one.videos[good], one.labels[good], one.overlap[good], one.apart[good])
        return kept, kept.apart[:, end]


def _with_all(sums: Floats) -> Floats:
    """Sums of each label and of all, (..., K + 1)."""
    return np.concatenate((sums, sums.sum(axis=-1, keepdims=True)), axis=-1)


def _ratio(above: np.ndarray, below: np.ndarray) -> Floats:
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)


def _mean(values: Floats, axis: int) -> Floats:
    """The mean without NaN, and NaN where all are."""
    known = ~np.isnan(values)
    return _ratio(np.where(known, values, 0.0).sum(axis=axis), known.sum(axis=axis))


def rows_of(
    level: str,
    names: Sequence[str],
    some: tuple[int, ...],
    measured: Measured,
    copies: Floats | None,
) -> list[AgreementRow]:
    """The rows of some annotators: of all labels, then of each that one of them has."""
    pairs = list(combinations(some, 2))
    used = measured.instances[list(some)].sum(axis=(0, 1)) > 0
    draws = np.ones((1, measured.shape[0])) if copies is None else copies
    # The first of the weights is the data themselves.
    weights = np.concatenate((np.ones((1, measured.shape[0])), draws))

    def estimates(values: Floats) -> list[Estimate]:
        """One for each column of values, (1 + R, columns)."""
        ends = np.full((2, values.shape[1]), np.nan)
        if copies is not None:
            ends = quantiles(values[1:], (_TAIL, 1 - _TAIL))
        table = np.concatenate((values[:1], ends)).T.tolist()
        return [Estimate(*(None if v != v else v for v in column)) for column in table]

    def over_pairs(of_pair: Sequence[Floats]) -> list[Estimate]:
        return estimates(_mean(np.stack(of_pair), axis=0))

    f1, num_matched = [], []
    for threshold in measured.tiou:
        hits = [_with_all(measured.matches(pair, threshold)) for pair in pairs]
        sizes = [_with_all(measured.lasting[list(pair)].sum(axis=0)) for pair in pairs]
        f1.append(
            over_pairs(
                [
                    _ratio(2 * (weights @ hit), weights @ size)
                    for hit, size in zip(hits, sizes, strict=True)
                ]
            )
        )
        num_matched.append(sum(hit.sum(axis=0) for hit in hits).astype(int).tolist())
    kappa = _kappas(measured.samples, some, weights)
    kappa = np.concatenate((kappa, _mean(kappa, axis=1)[:, None]), axis=1)
    partials = [_partials(measured.partial[pair], weights, used) for pair in pairs]
    partial, scored, seconds = (
        over_pairs([of_pair[place] for of_pair in partials]) for place in range(3)
    )
    kappas = estimates(kappa)
    start, end = (_deviations(measured, pairs, side, weights, estimates) for side in (0, 1))
    instances = _with_all(measured.instances[list(some)].sum(axis=1)).astype(int)
    counts, shown = (
        _with_all(one[list(some)]).transpose(2, 1, 0)
        for one in (measured.instances, measured.seconds)
    )
    labels = [measured.num_labels, *np.flatnonzero(used).tolist()]
    return [
        AgreementRow(
            level=level,
            annotators=tuple(names[i] for i in some),
            label=None if label == measured.num_labels else label,
            num_instances=tuple(instances[:, label].tolist()),
            num_matched=tuple(one[label] for one in num_matched),
            f1=tuple(one[label] for one in f1),
            kappa=kappas[label],
            partial=partial[label],
            partial_scored=scored[label],
            partial_seconds=seconds[label],
            icc_counts=intraclass_correlations(counts[label]),
            icc_seconds=intraclass_correlations(shown[label]),
            start=start[label],
            end=end[label],
        )
        for label in labels
    ]


def _kappas(samples: Samples, some: tuple[int, ...], weights: Floats) -> Floats:
    """Kappa of each label in each resample, (1 + R, K)."""
    number = (weights @ samples.number)[:, None]
    seen = [weights @ samples.seen[i] for i in some]
    both = [weights @ samples.both[pair] for pair in combinations(some, 2)]
    if len(some) == 2:
        return cohens_kappa(both[0], seen[0], seen[1], number)
    return fleiss_kappa(
        np.sum(both, axis=0), np.sum(seen, axis=0), number, num_annotators=len(some)
    )


def _partials(
    of_pair: tuple[Partial, Partial], weights: Floats, used: np.ndarray
) -> tuple[Floats, Floats, Floats]:
    """Partial agreement of counts, of counts where any are, and of seconds, (1 + R, K + 1)."""
    counts, seconds = of_pair
    found = []
    for one, scored_only in ((counts, False), (counts, True), (seconds, False)):
        above = np.where(used, one.agreed if scored_only else one.agreed_in_all, 0.0)
        below = np.where(used, one.scored if scored_only else one.intervals[:, None], 0.0)
        sums = [weights @ _with_all(part.astype(np.float64)) for part in (above, below)]
        found.append(_ratio(sums[0], sums[1]))
    return found[0], found[1], found[2]


def _deviations(
    measured: Measured,
    pairs: Sequence[tuple[int, int]],
    side: int,
    weights: Floats,
    estimates: Callable[[Floats], list[Estimate]],
) -> list[Deviation]:
    """Deviations of starts (side 0) or ends of each label and of all, (K + 1)."""
    matched = [measured.apart(pair, side) for pair in pairs]
    labels = np.concatenate([one.labels for one, _ in matched])
    videos = np.concatenate([one.videos for one, _ in matched])
    apart = np.concatenate([values for _, values in matched])
    number = weights @ _with_all(measured.counted(videos, labels))
    far = weights @ _with_all(measured.counted(videos, labels, np.abs(apart)))
    found = []
    for label, absolute in enumerate(estimates(_ratio(far, number))):
        mine = apart if label == measured.num_labels else apart[labels == label]
        signed = float(mine.mean()) if len(mine) and len(pairs) == 1 else None
        median = float(np.median(np.abs(mine))) if len(mine) else None
        found.append(Deviation(signed, absolute, median))
    return found
