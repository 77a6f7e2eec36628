"""Statistics of cells, unions of segments and quantiles, against plain ones."""

import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmad.evaluation.budget.summaries import quantiles, summarise, unions

VALUES = st.lists(st.tuples(st.integers(0, 4), st.floats(-1e3, 1e3)), max_size=30)
SEGMENTS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 20), st.integers(0, 6)), max_size=30
)


@settings(max_examples=50, deadline=None)
@given(rows=VALUES)
def test_statistics_are_those_of_the_standard_library(rows: list[tuple[int, float]]) -> None:
    cells = np.array([cell for cell, _ in rows], dtype=np.int64)
    found = summarise(np.array([value for _, value in rows]), cells, num_cells=6)
    for cell in range(6):
        mine = [value for place, value in rows if place == cell]
        assert found.count[cell] == len(mine)
        if not mine:
            assert np.isnan(found.mean[cell])
            continue
        assert found.mean[cell] == pytest.approx(statistics.mean(mine), abs=1e-9)
        assert found.median[cell] == pytest.approx(statistics.median(mine), abs=1e-9)
        assert (found.lowest[cell], found.highest[cell]) == (min(mine), max(mine))
        sd = statistics.stdev(mine) if len(mine) > 1 else float("nan")
        assert found.sd[cell] == pytest.approx(sd, abs=1e-6, nan_ok=True)


@settings(max_examples=50, deadline=None)
@given(rows=SEGMENTS)
def test_unions_cover_the_same_time_and_do_not_overlap(rows: list[tuple[int, int, int]]) -> None:
    segments = np.array([(s, s + d) for _, s, d in rows], dtype=np.float64).reshape(-1, 2)
    groups = np.array([group for group, _, _ in rows], dtype=np.int64)
    joined, of_joined = unions(segments, groups)
    for group in range(3):
        mine = joined[of_joined == group]
        assert (mine[1:, 0] >= mine[:-1, 1]).all()
        seconds = {
            second for g, s, d in rows if g == group for second in range(s, s + d)
        }  # whole seconds
        assert mine[:, 1].sum() - mine[:, 0].sum() == len(seconds)


def test_quantiles_are_those_of_numpy_without_nan() -> None:
    draws = np.random.default_rng(0).normal(size=(50, 3, 2))
    draws[:20, 1] = np.nan
    draws[:, 2, 0] = np.nan
    found = quantiles(draws, (0.025, 0.5, 0.975))
    with np.errstate(invalid="ignore"):
        expected = np.full((3, 3, 2), np.nan)
        for a in range(3):
            for b in range(2):
                known = draws[~np.isnan(draws[:, a, b]), a, b]
                if len(known):
                    expected[:, a, b] = np.quantile(known, (0.025, 0.5, 0.975))
    assert found == pytest.approx(expected, nan_ok=True)
