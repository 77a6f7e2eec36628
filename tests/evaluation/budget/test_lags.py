"""What follows what, against plain loops and a published example."""

import numpy as np
import pytest

from mmad.annotations.exchange.events import Event
from mmad.errors import AnnotationError
from mmad.evaluation.budget.coding import make_coding
from mmad.evaluation.budget.lags import Lags, measure_lags
from tests.evaluation.budget.test_measures import random_coding


@pytest.mark.parametrize("window", [0.3, 2.0, 100.0])
@pytest.mark.parametrize("seed", range(4))
def test_what_follows_is_that_of_a_plain_loop(seed: int, window: float) -> None:
    coding = random_coding(seed)
    groups = np.array([int(person == "ben") for person in coding.persons], dtype=np.int64)
    found = measure_lags(coding, groups, window_seconds=window)
    number = len(coding.labels)
    followed = np.zeros((2, number, number), dtype=int)
    transitions = np.zeros((2, number, number), dtype=int)
    for i in range(len(coding)):
        mine = coding.observations == i
        starts = coding.segments[mine, 0].tolist()
        labels = coding.behaviours[mine].tolist()
        for start, label in zip(starts, labels, strict=True):
            later = [
                (after, other)
                for after, other in zip(starts, labels, strict=True)
                if start < after <= start + window + 1e-9
            ]
            for other in {other for _, other in later}:
                followed[groups[i], label, other] += 1
            for after, other in later:
                if after == min(time for time, _ in later):
                    transitions[groups[i], label, other] += 1
    assert (found.followed == followed).all()
    assert (found.transitions == transitions).all()


def test_residuals_are_those_of_a_table_of_counts() -> None:
    """Standardised as in a table of counts; the same as a comparison of two proportions."""
    counts = np.array([[[12, 30, 8], [25, 4, 11], [9, 14, 2]]])
    lags = Lags(1.0, counts.sum(axis=2), counts, counts)
    total = counts.sum()
    for a in range(3):
        for b in range(3):
            row, column = counts[0, a].sum(), counts[0, :, b].sum()
            expected = row * column / total
            assert lags.expected[0, a, b] == pytest.approx(expected, abs=1e-12)
            # z of the share of b after a, and after all others, with a pooled variance.
            after, otherwise = counts[0, a, b] / row, (column - counts[0, a, b]) / (total - row)
            pooled = column / total
            error = np.sqrt(pooled * (1 - pooled) * (1 / row + 1 / (total - row)))
            assert lags.adjusted_residual[0, a, b] == pytest.approx((after - otherwise) / error)


def test_an_event_does_not_follow_one_of_another_video_or_person() -> None:
    events = [
        Event("v", "a", 0.0, 1.0, "ada"),
        Event("v", "b", 0.5, 1.0, "ben"),
        Event("w", "b", 0.7, 1.0, "ada"),
    ]
    coding = make_coding(events, seconds={"v": 10.0, "w": 10.0})
    found = measure_lags(coding, np.zeros(len(coding), dtype=np.int64), window_seconds=5.0)
    assert not found.followed.any()
    assert not found.transitions.any()
    assert np.isnan(found.expected).all()


def test_a_window_ends_where_it_says_it_does() -> None:
    events = [Event("v", "a", 0.1, 0.2), Event("v", "b", 0.3, 0.4)]
    coding = make_coding(events, seconds={"v": 10.0})
    groups = np.zeros(1, dtype=np.int64)
    # 0.3 - 0.1 is a little less than 0.2, 0.1 + 0.2 a little more than 0.3.
    assert measure_lags(coding, groups, window_seconds=0.2).followed[0, 0, 1] == 1
    assert measure_lags(coding, groups, window_seconds=0.199).followed[0, 0, 1] == 0
    with pytest.raises(AnnotationError, match="--lag 0"):
        measure_lags(coding, groups, window_seconds=0.0)
