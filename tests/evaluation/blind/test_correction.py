"""Corrected figures: exact where all is coded, right on average, sane at the ends."""

import numpy as np
import pytest

from mmad.evaluation.blind.correction import Known, correct
from mmad.evaluation.blind.tally import Tally


def drawn_stretches(number: int, seed: int = 0) -> Tally:
    """Stretches of 30 s, in which a model finds 80 % of three instances and invents one."""
    rng = np.random.default_rng(seed)
    coded = rng.poisson(3.0, (number, 1))
    recalled = rng.binomial(coded, 0.6)
    found = recalled + rng.poisson(0.6, (number, 1))
    zeros = np.zeros((number, 1), np.int64)
    return Tally(
        seconds=np.full(number, 30.0),
        coded=coded,
        recalled=recalled,
        found=found,
        right=recalled,
        coded_seconds=1.5 * coded,
        found_seconds=1.0 * found,
        samples=np.full(number, 300),
        coded_samples=zeros,
        found_samples=zeros,
        both_samples=zeros,
    )


def known(coded: Tally, rest: Tally) -> Known:
    return Known(
        coded.coded.sum(axis=0).astype(float),
        coded.coded_seconds.sum(axis=0),
        rest.found.sum(axis=0).astype(float),
        rest.found_seconds.sum(axis=0),
        float(rest.seconds.sum()),
    )


def test_where_all_is_coded_it_is_what_was_coded() -> None:
    everything = drawn_stretches(20)
    nothing = everything.take(np.zeros(0, np.int64))
    found = correct(everything, known(everything, nothing), typical_seconds=np.ones(1))
    number = everything.coded.sum()
    for one, true in ((found.count, number), (found.seconds, 1.5 * number)):
        assert (one.value[0], one.low[0], one.high[0]) == pytest.approx((true, true, true))
    assert found.mean_seconds.value[0] == pytest.approx(1.5)


def test_it_is_right_on_average_where_raw_figures_are_not() -> None:
    everything = drawn_stretches(200)
    true, raw = float(everything.coded.sum()), float(everything.found.sum())
    assert abs(raw / true - 1) > 0.15
    rng = np.random.default_rng(1)
    values, holds = [], 0
    for _ in range(120):
        order = rng.permutation(200)
        coded, rest = everything.take(order[:20]), everything.take(order[20:])
        one = correct(coded, known(coded, rest), typical_seconds=np.ones(1)).count
        values.append(one.value[0])
        holds += one.low[0] <= true <= one.high[0]
    assert np.mean(values) == pytest.approx(true, rel=0.02)
    assert holds >= 0.9 * 120


def test_what_was_seen_is_the_least_and_nothing_seen_is_not_nothing() -> None:
    stretches = drawn_stretches(10)
    none = Tally(
        **{**vars(stretches), "coded": 0 * stretches.coded, "coded_seconds": 0.0 * stretches.coded}
    )
    rest = known(none, stretches)
    found = correct(none, rest, typical_seconds=np.full(1, 2.0))
    assert found.count.low[0] >= 0
    assert found.seconds.value[0] >= 0
    assert np.isnan(found.mean_seconds.value[0])
    silent = Tally(**{**vars(none), "found": 0 * none.found, "found_seconds": 0.0 * none.found})
    found = correct(silent, known(silent, silent), typical_seconds=np.full(1, 2.0))
    assert (found.count.value[0], found.count.low[0]) == (0, 0)
    # Rule of three: up to 3.7 in as much time again, and more for so few stretches.
    assert 3 < found.count.high[0] < 10
    assert found.seconds.high[0] == pytest.approx(2 * found.count.high[0])
