"""Fusion of the scores of actions and body parts into consistent ones."""

from typing import Literal

import numpy as np

from mmad.labels import LabelMap
from mmad.structures import Floats


def combine_levels(
    actions_NK: Floats, parts_NP: Floats | None, *, labels: LabelMap, how: str
) -> tuple[Floats, Floats]:
    """Consistent probabilities of actions (N, K) and body parts (N, P).

    Args:
        actions_NK: Probabilities of the fine head; rows sum to 1.
        parts_NP: Probabilities of the coarse head; needed for "soft" only.
        labels: Labels of the actions; if they have no body parts, those have shape (N, 0).
        how: "mapping": a body part is as likely as its likeliest action (so the best body part is
            that of the best action); "summed": as all of its actions together; "soft": as the
            coarse head says, and an action is P(body part) P(action | body part).

    >>> from mmad.labels import LabelMap
    >>> labels = LabelMap(("a", "b", "c"), parents=(0, 0, 1), parent_names=("p", "q"))
    >>> actions = np.array([[0.3, 0.3, 0.4]])
    >>> combine_levels(actions, None, labels=labels, how="summed")[1].round(3).tolist()
    [[0.6, 0.4]]
    >>> soft = combine_levels(actions, np.array([[0.9, 0.1]]), labels=labels, how="soft")
    >>> soft[0].round(3).tolist()
    [[0.45, 0.45, 0.1]]
    """
    if not labels.has_parents:
        return actions_NK, np.zeros((len(actions_NK), 0))
    parents = np.asarray(labels.parents)
    num_parts = len(labels.parent_names)
    member_KP = np.eye(num_parts)[parents]
    summed = actions_NK @ member_KP
    if how == "summed":
        return actions_NK, summed
    if how == "mapping":
        best = np.where(member_KP.T[None] > 0, actions_NK[:, None], 0.0).max(axis=2)
        return actions_NK, best / np.maximum(best.sum(axis=1, keepdims=True), 1e-12)
    assert how == "soft"
    assert parts_NP is not None
    given_part = actions_NK / np.maximum(summed, 1e-12)[:, parents]
    return parts_NP[:, parents] * given_part, parts_NP


# Scores that followed by one of the rules do so again up to rounding; a file may hold float32.
_ROUNDING = 1e-5


def rule_of_body_parts(
    actions_NK: Floats, parts_NP: Floats, *, labels: LabelMap
) -> Literal["mapping", "summed", "own"]:
    """The rule of `combine_levels` by which these body parts follow from these actions.

    "own" if they follow by none, or the labels have no body parts; probabilities of "soft" are the
    sums of their actions.

    >>> labels = LabelMap(("a", "b", "c"), parents=(0, 0, 1), parent_names=("p", "q"))
    >>> actions = np.array([[0.3, 0.3, 0.4]])
    >>> [
    ...     rule_of_body_parts(actions, np.array([parts]), labels=labels)
    ...     for parts in ([3 / 7, 4 / 7], [0.6, 0.4], [0.9, 0.1])
    ... ]
    ['mapping', 'summed', 'own']
    """
    if labels.has_parents:
        rules: tuple[Literal["mapping", "summed"], ...] = ("mapping", "summed")
        for rule in rules:
            _, expected = combine_levels(actions_NK, None, labels=labels, how=rule)
            if np.allclose(parts_NP, expected, rtol=0, atol=_ROUNDING):
                return rule
    return "own"
