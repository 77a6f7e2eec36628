"""What follows what: lag-sequential analysis of coded events.

Sources: Bakeman and Gottman, Observing Interaction, 2nd edition, 1997 (transitions,
expected counts, adjusted residuals); Haberman, The analysis of residuals in cross-classified
tables, 1973; Bakeman and Quera, Sequential Analysis and Observational Methods, 2011
(windows of time after an event).

Shapes: N events, U observations, G groups, K behaviours.
"""

from dataclasses import dataclass

import numpy as np

from mmad.errors import AnnotationError
from mmad.evaluation.budget.coding import Coding
from mmad.structures import Floats, Ints

# 0.3 s and 0.1 s + 0.2 s are the same window.
_ROUNDING_SECONDS = 1e-9


@dataclass(frozen=True, eq=False)
class Lags:
    """What follows each behaviour of a person within a window after its start, in each group.

    Attributes:
        window_seconds: Length of the window.
        events: Events of each behaviour, (G, K).
        followed: Events of the first behaviour with at least one start of the second later, in the
            window, (G, K, K).
        transitions: How often the second is what starts next, if that is in the window, (G, K, K).
            Of several that start together, each is one transition.
    """

    window_seconds: float
    events: Ints
    followed: Ints
    transitions: Ints

    @property
    def expected(self) -> Floats:
        """Transitions expected if what starts next did not depend on what was before: product of
        the sums of row and column / sum of all, (G, K, K); NaN without transitions.
        """
        rows, columns, total = self._sums()
        empty = np.full(self.transitions.shape, np.nan)
        return np.divide(rows * columns, total, out=empty, where=total > 0)

    @property
    def adjusted_residual(self) -> Floats:
        """(transitions - expected) / its standard error under independence, (G, K, K).

        Approximately standard normal with enough transitions (about five expected); NaN where a row
        or column has none or all of them.
        """
        rows, columns, total = self._sums()
        expected = self.expected
        some = np.maximum(total, 1.0)
        variance = expected * (1 - rows / some) * (1 - columns / some)
        empty = np.full(expected.shape, np.nan)
        difference = self.transitions - expected
        return np.divide(difference, np.sqrt(variance), out=empty, where=variance > 0)

    def _sums(self) -> tuple[Floats, Floats, Floats]:
        counts = self.transitions.astype(np.float64)
        return (
            counts.sum(axis=2, keepdims=True),
            counts.sum(axis=1, keepdims=True),
            np.broadcast_to(counts.sum(axis=(1, 2), keepdims=True), counts.shape),
        )


def measure_lags(coding: Coding, groups: Ints, *, window_seconds: float) -> Lags:
    """What follows what in each group of observations.

    Args:
        coding: Observations and events; what counts are their starts.
        groups: Index of the group of each observation, (U,).
        window_seconds: Longest time from the start of an event to that of a following one.

    Raises: AnnotationError if the window is not a number above 0.
    """
    if not 0 < window_seconds < np.inf:
        raise AnnotationError(f"--lag {window_seconds:g}: expected seconds above 0")
    num_groups, num_labels = int(groups.max(initial=-1)) + 1, len(coding.labels)
    # Events are sorted by observation and start; those that start together are one moment.
    starts, owners, labels = coding.segments[:, 0], coding.observations, coding.behaviours
    number = len(starts)
    is_first = np.ones(number, dtype=bool)
    is_first[1:] = (owners[1:] != owners[:-1]) | (starts[1:] != starts[:-1])
    moment = np.cumsum(is_first) - 1
    first = np.append(np.flatnonzero(is_first), number)  # (moments + 1,)
    later = first[moment + 1]  # the first event of the next moment of each event, (N,)
    latest = starts + window_seconds + _ROUNDING_SECONDS

    def is_in_window(events: Ints, following: Ints) -> np.ndarray:
        place = np.minimum(following, max(number - 1, 0))
        is_there = (following < number) & (owners[place] == owners[events])
        return is_there & (starts[place] <= latest[events])

    followed = np.zeros((num_groups, num_labels, num_labels), dtype=np.int64)
    everyone = np.arange(number)
    for label in range(num_labels):
        upcoming = np.where(labels == label, everyone, number)
        upcoming = np.append(np.minimum.accumulate(upcoming[::-1])[::-1], number)
        hit = is_in_window(everyone, upcoming[later])
        np.add.at(followed, (groups[owners[hit]], labels[hit], label), 1)
    transitions = np.zeros_like(followed)
    sizes = np.append(np.diff(first), 0)
    antecedent = everyone[is_in_window(everyone, later)] if number else everyone
    size = sizes[moment[antecedent] + 1]
    one = np.repeat(antecedent, size)
    other = later[one] + np.arange(len(one)) - np.repeat(np.cumsum(size) - size, size)
    np.add.at(transitions, (groups[owners[one]], labels[one], labels[other]), 1)
    events = np.zeros((num_groups, num_labels), dtype=np.int64)
    np.add.at(events, (groups[owners], labels), 1)
    return Lags(window_seconds, events, followed, transitions)
