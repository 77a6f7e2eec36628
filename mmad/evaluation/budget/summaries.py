"""Sums, means and order statistics of values in cells, and unions of segments.

Shapes: N values or segments, C cells.
"""

from dataclasses import dataclass

import numpy as np

from mmad.structures import Floats, Ints


@dataclass(frozen=True, eq=False)
class Summaries:
    """Statistics of the values of each cell.

    Attributes:
        count: Number of values.
        total: Their sum.
        mean: Their mean; NaN in an empty cell, as are the others.
        median: Their median.
        sd: Standard deviation of a sample (n - 1); NaN below two values.
        lowest: The smallest.
        highest: The largest.
    """

    count: Ints
    total: Floats
    mean: Floats
    median: Floats
    sd: Floats
    lowest: Floats
    highest: Floats

    def reshape(self, *shape: int) -> "Summaries":
        """The same statistics in an array of cells."""
        return Summaries(*(value.reshape(shape) for value in vars(self).values()))


def summarise(values: Floats, cells: Ints, *, num_cells: int) -> Summaries:
    """The statistics of ``values`` (N,) by the index of their cell (N,), each (C,).

    >>> found = summarise(np.array([1.0, 4.0, 2.0]), np.array([0, 0, 2]), num_cells=3)
    >>> found.count.tolist(), found.mean.tolist(), found.sd.round(3).tolist()
    ([2, 0, 1], [2.5, nan, 2.0], [2.121, nan, nan])
    """
    order = np.lexsort((values, cells))
    values, cells = values[order], cells[order]
    count = np.bincount(cells, minlength=num_cells)
    used = np.flatnonzero(count)
    total = np.zeros(num_cells)
    mean, median, sd, lowest, highest = np.full((5, num_cells), np.nan)
    if len(used):
        size = count[used]
        first = np.cumsum(size) - size
        total[used] = np.add.reduceat(values, first)
        mean[used] = total[used] / size
        lowest[used], highest[used] = values[first], values[first + size - 1]
        middle = values[first + (size - 1) // 2] + values[first + size // 2]
        median[used] = middle / 2
        squares = np.add.reduceat((values - np.repeat(mean[used], size)) ** 2, first)
        several = size > 1
        sd[used[several]] = np.sqrt(squares[several] / (size[several] - 1))
    return Summaries(count, total, mean, median, sd, lowest, highest)


def unions(segments: Floats, groups: Ints) -> tuple[Floats, Ints]:
    """The segments (N, 2) of each group with those that overlap joined, and their groups.

    Segments that only touch stay apart. The result is sorted by group and start.

    >>> joined, groups = unions(np.array([[3.0, 4], [0, 2], [1, 3]]), np.zeros(3, dtype=np.int64))
    >>> joined.tolist(), groups.tolist()
    ([[0.0, 3.0], [3.0, 4.0]], [0, 0])
    """
    if not len(segments):
        return segments, groups
    order = np.lexsort((segments[:, 1], segments[:, 0], groups))
    segments, groups = segments[order], groups[order]
    # The latest end so far, within the group: ends are compared by rank, so that none is rounded.
    by_end = np.argsort(segments[:, 1], kind="stable")
    rank = np.empty(len(by_end), dtype=np.int64)
    rank[by_end] = np.arange(len(by_end))
    place = np.cumsum(np.diff(groups, prepend=groups[0]) != 0)
    latest = np.maximum.accumulate(place * len(rank) + rank) % len(rank)
    ends = segments[by_end[latest], 1]
    is_first = np.ones(len(segments), dtype=bool)
    is_first[1:] = (groups[1:] != groups[:-1]) | (segments[1:, 0] >= ends[:-1])
    first = np.flatnonzero(is_first)
    last = np.append(first[1:], len(segments)) - 1
    return np.stack([segments[first, 0], ends[last]], axis=1), groups[first]


def quantiles(draws: Floats, shares: tuple[float, ...]) -> Floats:
    """Quantiles over the first axis, (len(shares), ...), without NaN; NaN where all are.

    >>> quantiles(np.array([[1.0, np.nan], [3.0, np.nan], [2.0, 5.0]]), (0.5,)).tolist()
    [[2.0, 5.0]]
    """
    ordered = np.sort(draws, axis=0)  # NaN comes last
    known = (~np.isnan(ordered)).sum(axis=0)
    found = np.full((len(shares), *draws.shape[1:]), np.nan)
    for row, share in enumerate(shares):
        place = share * np.maximum(known - 1, 0)
        low = np.floor(place).astype(np.int64)
        high = np.minimum(low + 1, np.maximum(known - 1, 0))
        below, above = (np.take_along_axis(ordered, i[None], axis=0)[0] for i in (low, high))
        found[row] = below + (above - below) * (place - low)
    return found
