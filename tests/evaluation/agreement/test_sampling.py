"""Kappa over time, against scikit-learn and against Fleiss' formula."""

from itertools import combinations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from mmad.evaluation.agreement.sampling import cohens_kappa, fleiss_kappa, take_samples
from mmad.evaluation.matching import Rows

STEP, LENGTHS = 0.1, np.array([12.0, 7.35])


def random_rows(rng: np.random.Generator) -> Rows:
    starts = rng.uniform(0, 7, 15).round(2)
    segments = np.stack([starts, starts + rng.uniform(0.05, 3, 15).round(2)], axis=1)
    return Rows(segments, rng.integers(0, 3, 15), rng.integers(0, 2, 15), np.zeros(15))


def series(rows: Rows, label: int) -> np.ndarray:
    """Whether the label is there, sample by sample, video after video."""
    found = []
    for video, length in enumerate(LENGTHS.tolist()):
        mine = rows.segments[(rows.videos == video) & (rows.labels == label)].tolist()
        times = [(i + 0.5) * STEP for i in range(round(length / STEP - 0.5 + 0.499999))]
        found += [any(s <= t + 1e-9 and t < e - 1e-9 for s, e in mine) for t in times]
    return np.array(found)


@pytest.mark.parametrize("seed", range(6))
def test_kappa_is_that_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = random_rows(rng), random_rows(rng)
    samples = take_samples([a, b], num_labels=3, durations_seconds=LENGTHS, step_seconds=STEP)
    kappa = cohens_kappa(
        samples.both[0, 1].sum(axis=0), *samples.seen.sum(axis=1), samples.number.sum()
    )
    for label in range(3):
        expected = cohen_kappa_score(series(a, label), series(b, label))
        assert kappa[label] == pytest.approx(expected, abs=1e-12)


def fleiss(table: np.ndarray) -> float:
    """Fleiss' kappa of a table with the number of raters by subject and category."""
    number, raters = len(table), table[0].sum()
    share = table.sum(axis=0) / (number * raters)
    agreement = ((table**2).sum(axis=1) - raters) / (raters * (raters - 1))
    chance = (share**2).sum()
    return float((agreement.mean() - chance) / (1 - chance))


@pytest.mark.parametrize("num_annotators", [2, 3, 5])
def test_kappa_of_several_is_that_of_fleiss(num_annotators: int) -> None:
    rng = np.random.default_rng(num_annotators)
    rows = [random_rows(rng) for _ in range(num_annotators)]
    samples = take_samples(rows, num_labels=3, durations_seconds=LENGTHS, step_seconds=STEP)
    both = sum(samples.both[pair] for pair in combinations(range(num_annotators), 2))
    kappa = fleiss_kappa(
        both.sum(axis=0),
        samples.seen.sum(axis=(0, 1)),
        samples.number.sum(),
        num_annotators=num_annotators,
    )
    for label in range(3):
        seen = np.sum([series(one, label) for one in rows], axis=0)
        expected = fleiss(np.stack([seen, num_annotators - seen], axis=1))
        assert kappa[label] == pytest.approx(expected, abs=1e-12)


def test_the_example_of_fleiss() -> None:
    """His 14 raters of ten subjects in five categories have .210; the helper above, too."""
    table = np.array(
        [
            [0, 0, 0, 0, 14],
            [0, 2, 6, 4, 2],
            [0, 0, 3, 5, 6],
            [0, 3, 9, 2, 0],
            [2, 2, 8, 1, 1],
            [7, 7, 0, 0, 0],
            [3, 2, 6, 3, 0],
            [2, 5, 3, 2, 2],
            [6, 5, 2, 1, 0],
            [0, 2, 2, 3, 7],
        ]
    )
    assert round(fleiss(table), 3) == 0.210
