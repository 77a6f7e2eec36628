"""Limits against those of tables, in the simple cases that these are made from."""

import numpy as np
import pytest
from scipy import stats

from mmad.evaluation.blind.intervals import (
    difference_limits,
    effective_number,
    share_estimates,
    total_limits,
)


def column(*values: float) -> np.ndarray:
    return np.array(values, np.float64)[:, None]


def test_independent_instances_have_nearly_the_limits_of_clopper_and_pearson() -> None:
    rng = np.random.default_rng(0)
    hits = (rng.random(400) < 0.3).astype(float)
    found = share_estimates(hits[:, None], np.ones((400, 1)), fraction=0.0)
    exact = stats.binomtest(int(hits.sum()), 400).proportion_ci()
    assert found.value[0] == hits.mean()
    assert found.low[0] == pytest.approx(exact.low, abs=0.002)
    assert found.high[0] == pytest.approx(exact.high, abs=0.002)


def test_none_and_all_right_have_limits() -> None:
    ones = np.ones((10, 1))
    for hits in (0.0, 1.0):
        found = share_estimates(hits * ones, ones, fraction=0.0)
        exact = stats.binomtest(int(10 * hits), 10).proportion_ci()
        assert (found.low[0], found.high[0]) == pytest.approx((exact.low, exact.high))
    # All in one stretch are as good as one.
    found = share_estimates(column(0, 0, 8, 0), column(0, 0, 8, 0), fraction=0.0)
    assert found.low[0] == pytest.approx(0.025)
    nothing = share_estimates(0 * ones, 0 * ones, fraction=0.0)
    assert np.isnan([nothing.value[0], nothing.low[0], nothing.high[0]]).all()


def test_instances_that_hang_together_widen_the_limits() -> None:
    sizes = np.full((20, 1), 5.0)
    apart = share_estimates(np.tile(column(3, 2), (10, 1)), sizes, fraction=0.0)
    together = share_estimates(np.tile(column(5, 0), (10, 1)), sizes, fraction=0.0)
    assert apart.value[0] == together.value[0] == 0.5
    assert together.high[0] - together.low[0] > 1.5 * (apart.high[0] - apart.low[0])
    assert effective_number(sizes)[0] == 20
    assert effective_number(column(10, 1, 1))[0] < 1.5


def test_where_all_is_coded_nothing_is_uncertain() -> None:
    found = share_estimates(column(1, 0, 3, 1), column(2, 1, 3, 2), fraction=1.0)
    assert (found.low[0], found.high[0]) == pytest.approx((0.625, 0.625), abs=1e-4)


def test_a_count_has_the_limits_of_garwood() -> None:
    for number in (0, 1, 7):
        values = np.zeros((4000, 1))
        values[:number] = 1
        down, up = total_limits(values, weight=np.ones(1))
        low = stats.chi2.ppf(0.025, 2 * number) / 2 if number else 0
        high = stats.chi2.ppf(0.975, 2 * number + 2) / 2
        assert number - down[0] == pytest.approx(low, abs=0.02)
        assert number + up[0] == pytest.approx(high, abs=0.02)


def test_what_is_the_same_everywhere_is_known_and_signs_are_mirrored() -> None:
    down, up = difference_limits(np.full((30, 1), -3.0), weight=np.ones(1))
    assert max(down[0], up[0]) < 8
    values = np.random.default_rng(1).integers(-2, 3, (30, 1)).astype(float)
    ends, mirrored = (difference_limits(one, weight=np.ones(1)) for one in (values, -values))
    assert ends[0][0] == pytest.approx(mirrored[1][0])
    spread = 1.96 * np.sqrt(30) * values.std(ddof=1)
    assert ends[0][0] == pytest.approx(spread, rel=0.35)
