"""From scores to the probability of acceptance."""

import numpy as np
import pytest

from mmad.projects.calibration import Calibration


def test_probabilities_follow_the_decisions() -> None:
    rng = np.random.default_rng(0)
    scores = rng.uniform(0.02, 0.98, 4000)
    behaviours = rng.integers(1, 4, 4000)
    logit = 2.0 * np.log(scores / (1 - scores)) + np.array([0, -1.0, 0.0, 1.0])[behaviours]
    right = rng.uniform(size=4000) < 1 / (1 + np.exp(-logit))
    found = Calibration.fit(scores, behaviours.tolist(), right)
    assert found is not None
    likely = found.probability(scores, behaviours.tolist())
    for low in np.arange(0, 1, 0.2):
        inside = (likely >= low) & (likely < low + 0.2)
        assert abs(likely[inside].mean() - right[inside].mean()) < 0.05
    assert found.probability([0.5], [99])[0] > 0.4


def test_a_few_decisions_say_nothing_and_no_score_is_worse_for_being_higher() -> None:
    assert Calibration.fit([0.5] * 19, [1] * 19, [True, False] * 9 + [True]) is None
    assert Calibration.fit([0.5] * 40, [1] * 40, [True] * 36 + [False] * 4) is None
    scores = [0.9] * 20 + [0.1] * 20
    turned = Calibration.fit(scores, [1] * 40, [False] * 20 + [True] * 20)
    assert turned is not None
    assert turned.probability([0.9], [1])[0] >= turned.probability([0.1], [1])[0]


def test_a_behaviour_with_few_decisions_follows_the_others() -> None:
    scores = [0.5] * 101
    found = Calibration.fit(scores, [1] * 100 + [2], [True] * 80 + [False] * 21)
    assert found is not None
    first, second, unseen = found.probability([0.5] * 3, [1, 2, 3])
    assert 0.7 < first < 0.85
    assert 0.4 < second < unseen < 0.9


@pytest.mark.parametrize("seed", range(8))
def test_thousands_of_low_scores_have_an_estimate(seed: int) -> None:
    """Newton's method overshoots here, from most seeds, unless its steps are shortened."""
    rng = np.random.default_rng(seed)
    scores = np.concatenate([rng.uniform(0.001, 0.02, 3000), rng.uniform(0.002, 0.6, 60)])
    right = np.concatenate([rng.uniform(size=3000) < 0.05, rng.uniform(size=60) < 0.9])
    behaviours = [1] * 3000 + [2] * 60
    found = Calibration.fit(scores, behaviours, right)
    assert found is not None
    likely = found.probability(scores, behaviours)
    assert likely[:3000].mean() == pytest.approx(right[:3000].mean(), abs=0.005)
    assert likely[3000:].mean() == pytest.approx(right[3000:].mean(), abs=0.15)
