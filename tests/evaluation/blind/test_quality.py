"""Figures of a blind share, and whether their intervals hold the truth."""

import numpy as np
import pytest

from benchmarks.blind_coverage import SETTINGS, run
from mmad.evaluation.agreement.sampling import cohens_kappa
from mmad.evaluation.blind.pull import measure_pull
from mmad.evaluation.blind.quality import FIGURES, kappas, measure_quality
from mmad.evaluation.blind.tally import Stretches, Tally, tally
from mmad.evaluation.matching import Rows


def rows(table: list[tuple[float, float, int]]) -> Rows:
    values = np.array(table, np.float64).reshape(-1, 3)
    number = len(values)
    return Rows(
        values[:, :2], values[:, 2].astype(np.int64), np.zeros(number, np.int64), np.zeros(number)
    )


def counted(coded: list[tuple[float, float, int]], found: list[tuple[float, float, int]]) -> Tally:
    edges = np.arange(0, 70, 10.0)
    stretches = Stretches(np.zeros(6, np.int64), np.stack([edges[:-1], edges[1:]], axis=1))
    choice = {"num_labels": 3, "tiou": 0.5, "step_seconds": 0.1, "context_seconds": 2.0}
    return tally(stretches, rows(coded), rows(found), **choice)  # type: ignore[arg-type]


CODED = [(1.0, 3.0, 0), (11.0, 12.0, 0), (21.0, 22.0, 0), (31.0, 33.0, 1)]
FOUND = [(1.0, 3.0, 0), (11.0, 12.0, 0), (25.0, 26.0, 0), (45.0, 46.0, 0), (31.0, 33.0, 1)]


def test_figures() -> None:
    found = measure_quality(counted(CODED, FOUND), fraction=0.1)
    assert found.coded.tolist() == [3, 1, 0, 4]
    assert found.found.tolist() == [4, 1, 0, 5]
    assert found.right.tolist() == [2, 1, 0, 3]
    assert found.figures["precision"].value.tolist()[:2] == [0.5, 1.0]
    assert found.figures["recall"].value[[0, 3]].tolist() == pytest.approx([2 / 3, 0.75])
    assert found.figures["f1"].value[[0, 3]].tolist() == pytest.approx([4 / 7, 6 / 9])
    for name in FIGURES:
        one = found.figures[name]
        assert np.isnan(one.value[2])
        known = ~np.isnan(one.value)
        assert (one.low[known] <= one.value[known]).all()
        assert (one.value[known] <= one.high[known]).all()
        # Never certain from so little.
        assert (one.high[known] - one.low[known] > 0.3).all()


def test_kappa_is_that_of_cohen_and_pooled() -> None:
    number, coded, found, both = (np.array(one) for one in (1000, [50, 9], [60, 20], [40, 0]))
    one = kappas(number, coded, found, both)
    assert one[:2].tolist() == pytest.approx(
        cohens_kappa(both, coded, found, np.array([1000, 1000])).tolist()
    )
    assert min(one[:2]) < one[2] < max(one[:2])


def test_no_pull_is_within_the_limits() -> None:
    same = measure_quality(counted(CODED, FOUND), fraction=0.0)
    more = measure_quality(counted(FOUND, FOUND), fraction=0.0)
    none, some = measure_pull(same, same).difference, measure_pull(more, same).difference
    assert none.value[3] == 0
    assert none.low[3] < 0 < none.high[3]
    assert some.value[3] == pytest.approx(1 - 6 / 9)


@pytest.mark.parametrize(
    ("name", "studies"),
    [
        pytest.param("5 stretches", 25, marks=pytest.mark.slow),
        *(pytest.param(name, 200, marks=[pytest.mark.slow, pytest.mark.long]) for name in SETTINGS),
    ],
)
def test_intervals_hold_the_truth(name: str, studies: int) -> None:
    """A short version of ``python -m benchmarks.blind_coverage``."""
    for row in run(name, SETTINGS[name], studies, seed=1):
        if row["behaviours"] in ("all", "each behaviour"):
            # 94 % but for three standard errors, of shares that have videos in common.
            least = 0.94 - 3 * np.sqrt(0.94 * 0.06 / (studies / 2))
            assert row["holds_truth"] >= least, row
            if row["figure"] in ("count", "seconds") and studies >= 200:
                assert abs(row["relative_bias"]) < 0.08, row
