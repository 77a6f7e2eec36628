"""Counts and times of behaviours, corrected for the errors of a model.

The total is what was coded where a person has coded, plus what the model found elsewhere, plus the
mean difference of the two in the random stretches times the rest of the time: the difference
estimator of survey sampling, which is right on average whatever the errors of the model are.
Source: Särndal, Swensson and Wretman, Model Assisted Survey Sampling, 1992, chapter 6.

Shapes: S stretches, K behaviours.
"""

from dataclasses import dataclass

import numpy as np

from mmad.evaluation.blind.intervals import Estimates, difference_limits, ratio, student
from mmad.evaluation.blind.tally import Tally
from mmad.structures import Floats

# Fewer do not show how durations spread.
LEAST_CODED, LEAST_STRETCHES = 5, 3


@dataclass(frozen=True, eq=False)
class Known:
    """What is known without the random stretches' errors.

    Attributes:
        coded: Instances where a person has coded, (K,), those of the random stretches too.
        coded_seconds: Their time, (K,).
        found: Detections that start in the rest of the time, (K,).
        found_seconds: Their time in the rest, (K,).
        rest_seconds: How long the rest is.
    """

    coded: Floats
    coded_seconds: Floats
    found: Floats
    found_seconds: Floats
    rest_seconds: float


@dataclass(frozen=True, eq=False)
class Corrected:
    """Corrected figures, each (K,).

    Attributes:
        count: Instances.
        seconds: Time in which the behaviour is shown.
        mean_seconds: Mean duration; NaN with fewer than 5 instances in the random stretches, or
            instances in fewer than 3 of them.
    """

    count: Estimates
    seconds: Estimates
    mean_seconds: Estimates


def correct(counted: Tally, known: Known, *, typical_seconds: Floats) -> Corrected:
    """The corrected figures of all the time.

    Args:
        counted: Numbers of the random stretches.
        known: What is known beside.
        typical_seconds: Duration of an instance of each behaviour, (K,), for upper limits where
            none was coded.
    """
    seconds = float(counted.seconds.sum())
    rest = known.rest_seconds
    count = _total(
        (counted.coded - counted.found).astype(np.float64),
        known.coded,
        known.found,
        seconds,
        rest,
        weight=np.ones(len(known.coded)),
    )
    time = _total(
        counted.coded_seconds - counted.found_seconds,
        known.coded_seconds,
        known.found_seconds,
        seconds,
        rest,
        weight=typical_seconds,
    )
    return Corrected(count, time, _mean(counted, count.value, time.value, seconds, rest))


def _total(
    apart: Floats, coded: Floats, found: Floats, seconds: float, rest: float, *, weight: Floats
) -> Estimates:
    scale = rest / seconds
    value = coded + found + apart.sum(axis=0) * scale
    down, up = difference_limits(apart, weight=weight)
    # The rest differs from the stretches, too; where all is coded nothing is left to differ.
    spread = np.sqrt(rest * (rest + seconds)) / seconds
    low, high = value - down * spread, value + up * spread
    # It is not less than what was seen.
    return Estimates(*(np.maximum(one, coded) for one in (value, low, high)))


def _mean(counted: Tally, count: Floats, time: Floats, seconds: float, rest: float) -> Estimates:
    """Time / count with limits on a logarithmic scale, from the spread between stretches."""
    number, instances = len(counted), counted.coded.sum(axis=0)
    enough = (instances >= LEAST_CODED) & ((counted.coded > 0).sum(axis=0) >= LEAST_STRETCHES)
    value = np.where(enough, ratio(time, count), np.nan)
    if not enough.any():
        return Estimates(value, value, value)
    apart = (counted.coded_seconds - counted.found_seconds) - value * (
        counted.coded - counted.found
    )
    spread = np.sqrt(rest * (rest + seconds)) / seconds
    error = np.sqrt(number * apart.var(axis=0, ddof=1)) * spread
    # Stretches without the behaviour say nothing of its durations.
    seen = np.maximum(((counted.coded > 0) | (counted.found > 0)).sum(axis=0), 2)
    wide = np.exp(-student(seen - 1) * ratio(error, time))
    return Estimates(value, value / wide, value * wide)
