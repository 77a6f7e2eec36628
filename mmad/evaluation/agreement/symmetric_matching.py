"""Symmetric matching of two annotators."""

import numpy as np

from mmad.evaluation.matching import Rows, match, paired_tiou, pairs_of
from mmad.structures import Floats, Ints


def match_both_ways(a: Rows, b: Rows, *, tiou: float) -> tuple[Ints, Ints, Floats]:
    """Rows of ``a`` and ``b`` that are matched one to one, and their tIoU, each (E,).

    Of all pairs with the same video and label, that with the highest tIoU is matched first, then
    the highest among the remaining rows, and so on down to ``tiou``. So ``a`` and ``b`` may be
    exchanged. (In `match`, detections choose by score, whether or not another fits better; here
    only the pairs with the highest tIoU are kept of each such round, and the others choose again.
    Ties go to the earlier rows.)

    >>> a = Rows(np.array([[0.0, 10.0], [10.0, 20.0]]), *np.zeros((3, 2), dtype=np.int64))
    >>> b = Rows(np.array([[4.0, 18.0]]), *np.zeros((3, 1), dtype=np.int64))
    >>> [values.tolist() for values in match_both_ways(a, b, tiou=0.1)]
    [[1], [0], [0.5]]
    """
    order_a, order_b = (
        np.lexsort((rows.segments[:, 1], rows.segments[:, 0], rows.labels, rows.videos))
        for rows in (a, b)
    )
    left_a, left_b = _in_clusters(a.take(order_a), b.take(order_b))
    found: list[tuple[Ints, Ints, Floats]] = []
    while True:
        best_a = _best_tiou(left_a, left_b)
        choosing = Rows(left_a.segments, left_a.labels, left_a.videos, best_a)
        table = match(choosing, left_b, tiou=np.array([tiou]), denominator="union")
        taken_a = np.flatnonzero(table.matched[:, 0] >= 0)
        taken_b = table.matched[taken_a, 0]
        overlap = paired_tiou(
            left_a.segments[taken_a], left_b.segments[taken_b], denominator="union"
        )
        # A pair with its cluster's highest tIoU cannot be displaced.
        highest = np.zeros(1 + left_a.videos.max(initial=0))
        np.maximum.at(highest, left_a.videos, best_a)
        sure = overlap == highest[left_a.videos[taken_a]]
        taken_a, taken_b, overlap = taken_a[sure], taken_b[sure], overlap[sure]
        if not len(taken_a):
            break
        found.append((order_a[taken_a], order_b[taken_b], overlap))
        keep_a, keep_b = (
            np.setdiff1d(np.arange(len(rows)), taken)
            for rows, taken in ((left_a, taken_a), (left_b, taken_b))
        )
        left_a, left_b = left_a.take(keep_a), left_b.take(keep_b)
        order_a, order_b = order_a[keep_a], order_b[keep_b]
    if not found:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0)
    rows_a, rows_b, overlaps = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return rows_a, rows_b, overlaps


def _best_tiou(a: Rows, b: Rows) -> Floats:
    """Highest tIoU of each row of ``a`` with any of ``b``, (N,)."""
    in_a, in_b = pairs_of(a, b)
    best = np.zeros(len(a))
    overlap = paired_tiou(a.segments[in_a], b.segments[in_b], denominator="union")
    np.maximum.at(best, in_a, overlap)
    return best


def _in_clusters(a: Rows, b: Rows) -> tuple[Rows, Rows]:
    """The rows with the index of a cluster in place of the video.

    A cluster is a run of rows of one video and label without a gap. Overlapping pairs are never
    separated, and clusters are small.
    """
    segments = np.concatenate((a.segments, b.segments))
    labels = np.concatenate((a.labels, b.labels))
    videos = np.concatenate((a.videos, b.videos))
    cluster = np.zeros(len(labels), dtype=np.int64)
    number, group, end = -1, (-1, -1), 0.0
    for row in np.lexsort((segments[:, 0], labels, videos)).tolist():
        if (videos[row], labels[row]) != group or segments[row, 0] >= end:
            number, group, end = number + 1, (videos[row], labels[row]), -np.inf
        end = max(end, segments[row, 1])
        cluster[row] = number
    return (
        Rows(a.segments, a.labels, cluster[: len(a)], a.scores),
        Rows(b.segments, b.labels, cluster[len(a) :], b.scores),
    )
