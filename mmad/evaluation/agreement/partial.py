"""Partial agreement within intervals, as applied behaviour analysis measures it.

A video is cut into intervals, usually of ten seconds. In each, the smaller of two annotators'
counts (or seconds) is divided by the larger; an interval in which both have none is full agreement.
The measure is the mean over all intervals; that over the intervals in which at least one has some
is stricter for rare behaviours.

Sources: Page and Iwata, Interobserver agreement: history, theory and current methods, 1986;
Mudford, Taylor and Martin, Continuous recording and interobserver agreement algorithms, Journal of
Applied Behavior Analysis 42, 2009 ("block-by-block"); Reed and Azulay, A Microsoft Excel 2010 based
tool for calculating interobserver agreement, Behavior Analysis in Practice 4, 2011, whose example
is a test.
Asked for in https://github.com/olivierfriard/BORIS/issues/213.

Shapes: V videos, K labels.
"""

from dataclasses import dataclass

import numpy as np

from mmad.evaluation.budget.measures import cut
from mmad.evaluation.budget.summaries import unions
from mmad.evaluation.matching import Rows
from mmad.structures import Floats, Ints


@dataclass(frozen=True, eq=False)
class Partial:
    """Partial agreement of two annotators, as sums over the intervals of each video.

    Attributes:
        intervals: Intervals of each video, (V,).
        scored: Those in which at least one annotator has the label, (V, K).
        agreed: Sum over these of smaller / larger, (V, K).
    """

    intervals: Ints
    scored: Ints
    agreed: Floats

    @property
    def agreed_in_all(self) -> Floats:
        """The sum over all intervals: where both have none, they agree fully, (V, K)."""
        return np.asarray(self.intervals[:, None] - self.scored + self.agreed, dtype=np.float64)


def interval_edges(durations_seconds: Floats, interval_seconds: float) -> Floats:
    """Edges of the intervals up to the end of the longest video; each ends its last one earlier."""
    number = max(1, int(np.ceil(round(float(durations_seconds.max()) / interval_seconds, 9))))
    edges: Floats = interval_seconds * np.arange(number + 1, dtype=np.float64)
    return edges


def partial_agreement(
    a: Rows, b: Rows, *, num_labels: int, durations_seconds: Floats, edges: Floats, of: str
) -> Partial:
    """The partial agreement of two annotators in each video.

    Args:
        a: Annotations of one annotator.
        b: Those of the other.
        num_labels: Number of labels.
        durations_seconds: Length of each video, (V,).
        edges: Edges of the intervals, of equal length.
        of: "counts" of starts, or "seconds" in which the label is shown.
    """
    step = float(edges[1])
    intervals = np.maximum(np.ceil(np.round(durations_seconds / step, 9)), 1).astype(np.int64)
    measure = _counts if of == "counts" else _seconds
    keys, values = zip(
        *(measure(rows, num_labels, edges, intervals) for rows in (a, b)), strict=True
    )
    every, place = np.unique(np.concatenate(keys), return_inverse=True)
    amounts = np.zeros((2, len(every)))
    split = len(keys[0])
    np.add.at(amounts[0], place[:split], values[0])
    np.add.at(amounts[1], place[split:], values[1])
    low, high = amounts.min(axis=0), amounts.max(axis=0)
    shape = (len(durations_seconds), num_labels)
    cells = every // (len(edges) - 1)  # video and label
    agreed = np.divide(low, high, out=np.zeros_like(low), where=high > 0)
    size = shape[0] * shape[1]
    is_scored = high > 0
    return Partial(
        intervals,
        np.bincount(cells[is_scored], minlength=size).reshape(shape),
        np.bincount(cells, weights=agreed, minlength=size).reshape(shape).astype(np.float64),
    )


def _counts(rows: Rows, num_labels: int, edges: Floats, intervals: Ints) -> tuple[Ints, Floats]:
    number = len(edges) - 1
    bins = np.searchsorted(edges, rows.segments[:, 0], side="right") - 1
    bins = np.clip(bins, 0, intervals[rows.videos] - 1)
    keys = (rows.videos * num_labels + rows.labels) * number + bins
    return keys, np.ones(len(keys))


def _seconds(rows: Rows, num_labels: int, edges: Floats, intervals: Ints) -> tuple[Ints, Floats]:
    shown, cells = unions(rows.segments, rows.videos * num_labels + rows.labels)
    pieces, bins, seconds = cut(shown, edges)
    return cells[pieces] * (len(edges) - 1) + bins, seconds
