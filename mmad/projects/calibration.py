"""How likely a detection is to be accepted, estimated from the decisions so far.

A logistic regression of the decisions on the logit of the score, with an offset for each behaviour
that is drawn towards zero, so that behaviours with few decisions follow the others.

Shapes: N detections, K behaviours.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

# With fewer decisions, or fewer of either kind, nothing is estimated.
LEAST_DECISIONS = 20
LEAST_OF_A_KIND = 5
# Strength of the pull of the offsets to zero, and of the slope to one.
_PULL = 2.0
_ITERATIONS = 50
_NEGLIGIBLE = 1e-6


@dataclass(frozen=True)
class Calibration:
    """From scores to probabilities.

    Attributes:
        offset: Logit of the probability at a score of 0.5.
        slope: What a unit of the score's logit adds to it; at least 0.
        offsets: Of behaviours, by number.
    """

    offset: float = 0.0
    slope: float = 1.0
    offsets: dict[int, float] = field(default_factory=dict)

    @classmethod
    def fit(cls, scores: ArrayLike, behaviours: Sequence[int], is_right: ArrayLike) -> Self | None:
        """The calibration of detections that people have decided about.

        Args:
            scores: Scores (N,).
            behaviours: Numbers of their behaviours (N,).
            is_right: Whether each was accepted as it was (N,).

        Returns:
            The calibration; None if there are too few decisions of either kind.
        """
        right_N = np.asarray(is_right, dtype=np.float64)
        least = min(right_N.sum(), len(right_N) - right_N.sum())
        if len(right_N) < LEAST_DECISIONS or least < LEAST_OF_A_KIND:
            return None
        names, place_N = np.unique(np.asarray(behaviours), return_inverse=True)
        columns = np.zeros((len(right_N), 2 + len(names)))
        columns[:, 0], columns[:, 1] = 1.0, _logit(scores)
        columns[np.arange(len(right_N)), 2 + place_N] = 1.0
        pull = np.full(2 + len(names), _PULL)
        pull[0] = 1e-6
        towards = np.zeros(len(pull))
        towards[1] = 1.0
        weights = _minimum(columns, right_N, pull=pull, towards=towards)
        if weights[1] < 0:  # higher scores are never less likely to be right: their order stays
            columns[:, 1] = towards[1] = 0.0
            weights = _minimum(columns, right_N, pull=pull, towards=towards)
        offsets = dict(zip(names.tolist(), weights[2:].tolist(), strict=True))
        return cls(float(weights[0]), float(weights[1]), offsets)

    def probability(self, scores: ArrayLike, behaviours: Sequence[int]) -> NDArray[np.float64]:
        """The probability that each detection is accepted, (N,)."""
        added = np.array([self.offsets.get(int(one), 0.0) for one in behaviours])
        return _sigmoid(self.offset + self.slope * _logit(scores) + added)


def _minimum(
    columns: NDArray[np.float64],
    right_N: NDArray[np.float64],
    *,
    pull: NDArray[np.float64],
    towards: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The weights of the regression, by Newton's method; steps that overshoot are halved."""

    def loss(weights: NDArray[np.float64]) -> float:
        values = columns @ weights
        data = np.logaddexp(0.0, values) - right_N * values
        return float(data.sum() + 0.5 * (pull * (weights - towards) ** 2).sum())

    weights = towards.copy()
    # From about the right share on, few steps overshoot.
    weights[0] = _logit(right_N.mean()) - (columns[:, 1] * towards[1]).mean()
    least = loss(weights)
    for _ in range(_ITERATIONS):
        probability_N = _sigmoid(columns @ weights)
        gradient = columns.T @ (probability_N - right_N) + pull * (weights - towards)
        spread_N = probability_N * (1 - probability_N)
        step = np.linalg.solve((columns.T * spread_N) @ columns + np.diag(pull), gradient)
        while (tried := loss(weights - step)) > least and np.abs(step).max() >= _NEGLIGIBLE:
            step /= 2
        if np.abs(step).max() < _NEGLIGIBLE:
            break
        weights, least = weights - step, tried
    return weights


def _logit(scores: ArrayLike) -> NDArray[np.float64]:
    clipped = np.clip(np.asarray(scores, dtype=np.float64), 1e-4, 1 - 1e-4)
    return np.log(clipped / (1 - clipped))


def _sigmoid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-np.clip(values, -30, 30)))
