"""Behaviours at the same time, against plain loops."""

from itertools import combinations

import numpy as np
import pytest

from mmad.annotations.exchange.events import Event
from mmad.evaluation.budget import together
from mmad.evaluation.budget.coding import make_coding
from mmad.evaluation.budget.together import measure_together
from tests.evaluation.budget.test_measures import random_coding, time_shown


@pytest.mark.parametrize("most_pairs", [3, 4_000_000])
@pytest.mark.parametrize("seed", range(4))
def test_time_together_is_that_of_a_plain_loop(
    seed: int, most_pairs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(together, "_MOST_PAIRS", most_pairs)
    coding = random_coding(seed)
    groups = np.array([int(person == "ben") for person in coding.persons], dtype=np.int64)
    found = measure_together(coding, groups)
    rows = list(zip(coding.segments.tolist(), coding.behaviours, coding.observations, strict=True))
    for group in (0, 1):
        for a, b in combinations(range(len(coding.labels)), 2):
            seconds = expected = 0.0
            events = 0
            for i in np.flatnonzero(groups == group).tolist():
                mine, theirs = (
                    [tuple(s) for s, label, o in rows if (label, o) == (one, i) and s[1] > s[0]]
                    for one in (a, b)
                )
                length = coding.seconds[i]
                alone = time_shown(mine, 0, length), time_shown(theirs, 0, length)
                seconds += sum(alone) - time_shown(mine + theirs, 0, length)
                expected += alone[0] * alone[1] / length
                events += sum(min(x[1], y[1]) > max(x[0], y[0]) for x in mine for y in theirs)
            assert found.seconds[group, a, b] == pytest.approx(seconds, abs=1e-9)
            assert found.expected_seconds[group, a, b] == pytest.approx(expected)
            assert found.events[group, a, b] == found.events[group, b, a] == events


def test_jaccard_in_an_example() -> None:
    events = [Event("v", "a", 0, 4), Event("v", "b", 3, 6), Event("v", "c", 8, 8)]
    coding = make_coding(events, seconds={"v": 10.0})
    found = measure_together(coding, np.zeros(1, dtype=np.int64))
    assert found.seconds[0, 0, 1] == 1.0
    assert found.jaccard[0, 0, 1] == pytest.approx(1 / 6)
    assert found.expected_seconds[0, 0, 1] == pytest.approx(4 * 3 / 10)
    assert np.isnan(found.jaccard[0, 2, 2])
