"""Behaviours of a person at the same time.

Shapes: N segments, P pairs of them, U observations, G groups, K behaviours.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mmad.evaluation.budget.coding import Coding
from mmad.structures import Floats, Ints

# Pairs of events that are in memory at once.
_MOST_PAIRS = 4_000_000


@dataclass(frozen=True, eq=False)
class Together:
    """How much each two behaviours of one person coincide, in each group.

    Attributes:
        seconds: Time in which both are shown, (G, K, K); on the diagonal that of one.
        events: Pairs of events, one of each, that share time, (G, K, K).
        expected_seconds: Time in which both would be shown if they were independent: in each
            observation, the product of their shares of its time, (G, K, K).
    """

    seconds: Floats
    events: Ints
    expected_seconds: Floats

    @property
    def jaccard(self) -> Floats:
        """Time of both / time of either, (G, K, K); NaN if neither is ever shown."""
        alone = np.diagonal(self.seconds, axis1=1, axis2=2)
        either = alone[:, :, None] + alone[:, None] - self.seconds
        empty = np.full(either.shape, np.nan)
        return np.divide(self.seconds, either, out=empty, where=either > 0)


def measure_together(coding: Coding, groups: Ints) -> Together:
    """The coincidence of each two behaviours in each group of observations.

    Args:
        coding: Observations and events; points have no time to share.
        groups: Index of the group of each observation, (U,).
    """
    num_groups, num_labels = int(groups.max(initial=-1)) + 1, len(coding.labels)
    shape = (num_groups, num_labels, num_labels)
    shown, behaviours, observations = coding.unions()
    totals = np.bincount(
        observations * num_labels + behaviours,
        weights=shown[:, 1] - shown[:, 0],
        minlength=len(coding) * num_labels,
    ).reshape(len(coding), num_labels)
    expected = np.zeros(shape)
    seconds = _counted(shown, behaviours, groups[observations], observations, shape)
    lasts = coding.segments[:, 1] > coding.segments[:, 0]
    owners = coding.observations[lasts]
    events = _counted(
        coding.segments[lasts], coding.behaviours[lasts], groups[owners], owners, shape, count=True
    )
    diagonal = np.arange(num_labels)
    for group in range(num_groups):
        mine = groups == group
        expected[group] = totals[mine].T @ (totals[mine] / coding.seconds[mine, None])
        seconds[group, diagonal, diagonal] = totals[mine].sum(axis=0)
    return Together(seconds, events.astype(np.int64), expected)


def _counted(
    segments: Floats,
    behaviours: Ints,
    groups: Ints,
    observations: Ints,
    shape: tuple[int, int, int],
    *,
    count: bool = False,
) -> Floats:
    """Seconds that segments of two behaviours share, or how many of them do, (G, K, K)."""
    found = np.zeros(shape)
    for one, other in overlapping(segments, observations):
        shared = np.minimum(segments[one, 1], segments[other, 1]) - segments[other, 0]
        cells = (groups[one] * shape[1] + behaviours[one]) * shape[2] + behaviours[other]
        weights = None if count else shared
        found += np.bincount(cells, weights=weights, minlength=found.size).reshape(shape)
    return found + found.transpose(0, 2, 1)


def overlapping(segments: Floats, observations: Ints) -> Iterator[tuple[Ints, Ints]]:
    """Rows of every two segments of one observation that share time, the earlier first, (P,); a
    part of the pairs at a time.

    >>> segments = np.array([[0.0, 2.0], [2.0, 3.0], [1.0, 4.0]])
    >>> [[rows.tolist() for rows in pair] for pair in overlapping(segments, np.zeros(3, dtype=int))]
    [[[0, 2], [2, 1]]]
    """
    order = np.lexsort((segments[:, 1], segments[:, 0], observations))
    starts, ends = segments[order].T
    reach = np.empty(len(order), dtype=np.int64)  # the first row that starts after the end
    bounds = np.flatnonzero(np.diff(observations[order], prepend=-1, append=-1))
    for first, last in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        reach[first:last] = first + np.searchsorted(starts[first:last], ends[first:last])
    number = np.maximum(reach - np.arange(len(order)) - 1, 0)
    parts = (np.cumsum(number) - number) // _MOST_PAIRS
    for rows in np.split(np.arange(len(order)), np.flatnonzero(np.diff(parts)) + 1):
        size = number[rows]
        one = np.repeat(rows, size)
        other = one + 1 + np.arange(len(one)) - np.repeat(np.cumsum(size) - size, size)
        yield order[one], order[other]
