"""Intraclass correlations, against the example of their paper and an analysis of variance."""

import numpy as np
import pytest

from mmad.evaluation.agreement.icc import intraclass_correlations

# Shrout and Fleiss, 1979, Table 2: four judges rate six targets.
RATINGS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]],
    dtype=float,
)


def test_the_example_of_shrout_and_fleiss() -> None:
    """Their Table 4 has .29 and .71; the intervals are those that R's psych prints for it."""
    found = intraclass_correlations(RATINGS)
    assert found is not None
    assert round(found.absolute.value, 2) == 0.29
    assert round(found.consistent.value, 2) == 0.71
    assert (round(found.absolute.low, 2), round(found.absolute.high, 2)) == (0.02, 0.76)
    assert (round(found.consistent.low, 2), round(found.consistent.high, 2)) == (0.34, 0.95)


def plain(ratings: np.ndarray) -> tuple[float, float]:
    """ICC(2,1) and ICC(3,1) from the sums of squares of a two-way analysis of variance."""
    n, k = ratings.shape
    mean = ratings.sum() / (n * k)
    total = sum((x - mean) ** 2 for x in ratings.flatten().tolist())
    rows = k * sum((row.sum() / k - mean) ** 2 for row in ratings)
    columns = n * sum((column.sum() / n - mean) ** 2 for column in ratings.T)
    bms, jms = rows / (n - 1), columns / (k - 1)
    ems = (total - rows - columns) / ((n - 1) * (k - 1))
    absolute = (bms - ems) / (bms + (k - 1) * ems + k * (jms - ems) / n)
    return absolute, (bms - ems) / (bms + (k - 1) * ems)


@pytest.mark.parametrize("seed", range(10))
def test_values_are_those_of_an_analysis_of_variance(seed: int) -> None:
    rng = np.random.default_rng(seed)
    targets, raters = int(rng.integers(2, 30)), int(rng.integers(2, 6))
    ratings = rng.poisson(5, (targets, 1)) + rng.poisson(2, (targets, raters)) + 0.5
    found = intraclass_correlations(ratings)
    assert found is not None
    values = (found.absolute.value, found.consistent.value)
    assert values == pytest.approx(plain(ratings), abs=1e-12)
    for one in (found.absolute, found.consistent):
        assert one.low <= one.value <= one.high


@pytest.mark.parametrize("seed", range(4))
def test_the_interval_of_consistency_is_that_of_the_f_distribution(seed: int) -> None:
    from scipy.stats import f

    ratings = np.random.default_rng(seed).normal(size=(12, 3)) + np.arange(12)[:, None] / 4
    found = intraclass_correlations(ratings)
    assert found is not None
    ratio = (1 + 2 * found.consistent.value) / (1 - found.consistent.value)
    low, high = ratio / f.ppf(0.975, 11, 22), ratio * f.ppf(0.975, 22, 11)
    expected = ((low - 1) / (low + 2), (high - 1) / (high + 2))
    assert (found.consistent.low, found.consistent.high) == pytest.approx(expected, abs=1e-12)


def test_an_offset_lowers_agreement_and_not_consistency() -> None:
    ratings = np.array([[1.0, 3.0], [2.0, 4.0], [5.0, 7.0]])
    found = intraclass_correlations(ratings)
    assert found is not None
    assert found.consistent.value == found.consistent.low == 1
    assert 0 < found.absolute.value < 1


def test_what_has_no_correlation() -> None:
    assert intraclass_correlations(np.ones((5, 2))) is None
    assert intraclass_correlations(np.array([[1.0, 2.0]])) is None
    assert intraclass_correlations(np.array([[1.0], [2.0]])) is None
