"""Partial agreement within intervals, against a published example and plain loops."""

import numpy as np
import pytest

from mmad.evaluation.agreement.partial import interval_edges, partial_agreement
from mmad.evaluation.matching import Rows


def rows_at(*times: float) -> Rows:
    starts = np.array(times)
    zeros = np.zeros(len(starts), dtype=np.int64)
    return Rows(np.stack([starts, starts + 1], axis=1), zeros, zeros, np.zeros(len(starts)))


def test_the_example_of_reed_and_azulay() -> None:
    """15 intervals of a minute: three with 1 and 0, one with 2 and 1, one with 0 and 4: 70 %."""
    first = rows_at(5, 65, 125, 190, 220)
    second = rows_at(200, 850, 860, 870, 880)
    lengths = np.array([900.0])
    found = partial_agreement(
        first,
        second,
        num_labels=1,
        durations_seconds=lengths,
        edges=interval_edges(lengths, 60.0),
        of="counts",
    )
    assert found.agreed_in_all[0, 0] / found.intervals[0] == pytest.approx(0.7)
    assert (found.scored[0, 0], found.agreed[0, 0]) == (5, 0.5)


@pytest.mark.parametrize("seed", range(6))
def test_both_measures_are_those_of_a_plain_loop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lengths = np.array([43.0, 20.0])

    def some() -> Rows:
        starts = rng.uniform(0, 19, 40).round(1)
        ends = np.minimum(starts + rng.choice([0.0, 0.5, 13.0], 40), 20)
        return Rows(
            np.stack([starts, ends], axis=1),
            rng.integers(0, 2, 40),
            rng.integers(0, 2, 40),
            np.zeros(40),
        )

    a, b = some(), some()
    for of in ("counts", "seconds"):
        found = partial_agreement(
            a,
            b,
            num_labels=2,
            durations_seconds=lengths,
            edges=interval_edges(lengths, 10.0),
            of=of,
        )
        assert found.intervals.tolist() == [5, 2]
        for video in (0, 1):
            for label in (0, 1):
                scored, agreed = 0, 0.0
                for low in range(0, 10 * found.intervals[video], 10):
                    amounts = []
                    for one in (a, b):
                        mine = one.segments[(one.videos == video) & (one.labels == label)]
                        if of == "counts":
                            amounts.append(sum(low <= s < low + 10 for s, _ in mine))
                        else:
                            grid = np.arange(low, low + 10, 0.1) + 0.05
                            inside = [any(s <= t < e for s, e in mine) for t in grid]
                            amounts.append(0.1 * sum(inside))
                    if max(amounts) > 0:
                        scored += 1
                        agreed += min(amounts) / max(amounts)
                assert found.scored[video, label] == scored
                assert found.agreed[video, label] == pytest.approx(agreed)
