"""Whether suggestions pull a person towards the model: agreement with them and without."""

from dataclasses import dataclass

import numpy as np

from mmad.evaluation.blind.intervals import Estimates
from mmad.evaluation.blind.quality import Quality


@dataclass(frozen=True, eq=False)
class Pull:
    """Agreement (F1) with the model where suggestions were shown, and where they were hidden.

    Attributes:
        shown: F1 of each behaviour, and of all in the last place, (K + 1,).
        hidden: The same in the blind share.
        difference: ``shown`` minus ``hidden``, with 95 % intervals.
    """

    shown: Estimates
    hidden: Estimates
    difference: Estimates


def measure_pull(shown: Quality, hidden: Quality) -> Pull:
    """The pull, from two disjoint sets of stretches.

    Both are to be measured as parts of many more stretches (a fraction of 0): what is in one cannot
    be in the other, so that they differ more than two shares of the same stretches would.

    The limits of both are combined as Zou and Donner do (Construction of confidence limits about
    effect measures, 2008).
    """
    a, b = shown.figures["f1"], hidden.figures["f1"]
    value = a.value - b.value
    low = value - np.hypot(a.value - a.low, b.high - b.value)
    high = value + np.hypot(a.high - a.value, b.value - b.low)
    return Pull(a, b, Estimates(value, low, high))
