"""Class scores of clips, made by hand or at random."""

import numpy as np

from mmad.evaluation.clips.scores import RecognitionScores
from mmad.labels import MA52, LabelMap

# Two parents: x has a and b, y has c.
SMALL = LabelMap(names=("a", "b", "c"), parents=(0, 0, 1), parent_names=("x", "y"))


def scores_of(
    rows: list[list[float]], *, ids: tuple[str, ...] = (), labels: LabelMap = SMALL
) -> RecognitionScores:
    """Bodies get the sum of the scores of their actions."""
    action = np.array(rows, dtype=np.float64).reshape(-1, len(labels))
    body = np.zeros((len(action), len(labels.parent_names)))
    if labels.has_parents:
        np.add.at(body.T, list(labels.parents), action.T)
    return RecognitionScores(ids or tuple(f"{i}.mp4" for i in range(len(action))), action, body)


def one_hot(labels: list[int], *, right: float = 1.0) -> list[list[float]]:
    """``right`` for the label, the rest shared by the other two."""
    return [
        [right if k == label else (1 - right) / 2 for k in range(len(SMALL))] for label in labels
    ]


def ma52_scores(
    truth: np.ndarray, *, strength: float, seed: int, scale: float = 1.0
) -> RecognitionScores:
    """Softmax of noise to which ``strength`` is added at the true label."""
    logits = scale * np.random.default_rng(seed).normal(size=(len(truth), len(MA52)))
    logits[np.arange(len(truth)), truth] += strength
    action = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return scores_of(action.tolist(), labels=MA52)


def truth_of(labels: np.ndarray) -> dict[str, int]:
    return {f"{i}.mp4": int(label) for i, label in enumerate(labels)}
