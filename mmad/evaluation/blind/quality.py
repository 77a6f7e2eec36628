"""How right a model is on the videos of a study, from stretches that were coded blind.

Shapes: S stretches, K behaviours.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from mmad.evaluation.blind.intervals import (
    Estimates,
    effective_number,
    exact_limits,
    ratio,
    share_estimates,
    student,
)
from mmad.evaluation.blind.tally import Tally
from mmad.structures import Floats

Figure = Literal["precision", "recall", "f1", "kappa"]
FIGURES: tuple[Figure, ...] = get_args(Figure)


@dataclass(frozen=True, eq=False)
class Quality:
    """Figures of each behaviour, and of all in the last place, (K + 1,).

    Attributes:
        coded: Instances that the person coded.
        found: Detections.
        right: Detections that an instance matches.
        stretches: Stretches with an instance or a detection.
        figures: Estimates by name.
    """

    coded: Floats
    found: Floats
    right: Floats
    stretches: Floats
    figures: dict[Figure, Estimates]


def measure_quality(counted: Tally, *, fraction: float) -> Quality:
    """Precision, recall, F1 and kappa with 95 % intervals.

    They are estimates of what would be found if all stretches were coded, by the same person.
    Kappa of all behaviours is pooled: agreement and agreement by chance are both means over
    behaviours. Source: De Vries, Elliott, Kanouse and Teleki, Using pooled kappa to summarize
    interrater agreement across many items, 2008.

    Args:
        counted: Numbers of the stretches that were coded.
        fraction: The share of all stretches that these are.
    """
    coded, found, right, recalled = (
        _with_all(one) for one in (counted.coded, counted.found, counted.right, counted.recalled)
    )
    both = (recalled + right) / 2
    either = coded + found - both
    shared = share_estimates(both, either, fraction=fraction)
    return Quality(
        coded.sum(axis=0),
        found.sum(axis=0),
        right.sum(axis=0),
        (either > 0).sum(axis=0),
        {
            "precision": share_estimates(right, found, fraction=fraction),
            "recall": share_estimates(recalled, coded, fraction=fraction),
            # F1 grows with the share of both among all that either has.
            "f1": Estimates(*(2 * one / (1 + one) for one in vars(shared).values())),
            "kappa": _kappa(counted, either, fraction=fraction),
        },
    )


def _with_all(values: np.ndarray) -> Floats:
    """The columns and their sum, (S, K + 1)."""
    return np.concatenate((values, values.sum(axis=1, keepdims=True)), axis=1).astype(np.float64)


def _kappa(counted: Tally, either: Floats, *, fraction: float) -> Estimates:
    """Kappa with limits by the same rule: k / (2 - k) is about the share of the time of both among
    the time of either.
    """
    number = len(counted)
    parts = (counted.coded_samples, counted.found_samples, counted.both_samples)
    sums = [one.sum(axis=0).astype(np.float64) for one in parts]
    all_samples = float(counted.samples.sum())
    value = kappas(np.array(all_samples), *sums)
    if number < 2:
        return Estimates(value, *np.full((2, len(value)), np.nan))
    # Without each stretch in turn.
    without = kappas(
        (all_samples - counted.samples)[:, None].astype(np.float64),
        *(total - one for total, one in zip(sums, parts, strict=True)),
    )
    without = np.where(np.isnan(without), value, without)
    share, shares = (one / (2 - one) for one in (value, without))
    spread = (number - 1) / number * ((shares - share) ** 2).sum(axis=0) * (1 - fraction)
    seen = effective_number(either)
    inside = exact_limits(
        np.clip(share, 0.0, 1.0), spread, either.sum(axis=0), seen, fraction=fraction
    )
    low, high = (2 * one / (1 + one) for one in (inside.low, inside.high))
    # Worse than chance is not a share: then as bad as seeing it at other times, twice as often.
    error = np.sqrt((number - 1) / number * ((without - value) ** 2).sum(axis=0))
    below = value + student(np.nan_to_num(seen) - 1) * error
    most = np.maximum(sums[0], sums[1])
    often = np.minimum(2 * np.append(most, most.mean()) / max(all_samples, 1), 0.5)
    below = np.minimum(below, -often / (1 - often))
    return Estimates(value, np.where(inside.low > 0.02, low, np.minimum(low, below)), high)


def kappas(number: Floats, coded: Floats, found: Floats, both: Floats) -> Floats:
    """Cohen's kappa of each behaviour, and pooled over all in the last place, (..., K + 1).

    Args:
        number: Samples, (..., 1) or ().
        coded: Those at which the person saw it, (..., K).
        found: Those at which the model did, (..., K).
        both: Those at which both did, (..., K).
    """
    apart = coded + found - 2 * both
    chance = (coded * (number - found) + found * (number - coded)) / np.maximum(number, 1)
    apart, chance = (
        np.concatenate((one, one.sum(axis=-1, keepdims=True)), axis=-1) for one in (apart, chance)
    )
    return 1 - ratio(apart, chance)
