"""Telling examples for a figure: where a model gains and loses most."""

import numpy as np

from mmad.structures import Floats, Ints


def gain_over_others(scores: Floats, truth: Ints) -> Floats:
    """Score of the annotated label of each row minus the highest of the other labels, (N,).

    >>> gain_over_others(np.array([[0.75, 0.25], [0.5, 0.25]]), np.array([0, 1])).tolist()
    [0.5, -0.25]
    """
    each = np.arange(len(truth))
    others = scores.copy()
    others[each, truth] = 0
    gain: Floats = scores[each, truth] - others.max(axis=1, initial=0)
    return gain


def in_turn(gain: Floats, truth: Ints, *, count: int) -> list[int]:
    """Rows of the largest and the smallest gain in turn, at most ``count``, no two of one label
    while there are others.

    >>> in_turn(np.array([0.1, 0.9, -0.5, 0.8]), np.array([0, 1, 1, 2]), count=3)
    [1, 0, 3]
    """
    chosen: list[int] = []
    orders = [np.argsort(sign * gain, kind="stable").tolist() for sign in (-1, 1)]
    while len(chosen) < min(count, len(gain)):
        free = [row for row in orders[len(chosen) % 2] if row not in chosen]
        shown = {truth[row] for row in chosen}
        chosen.append(next((row for row in free if truth[row] not in shown), free[0]))
    return chosen
