"""Recognisers beside each other: the same clips, and which of them tell most."""

import numpy as np
import pytest

from mmad.errors import PredictionError
from mmad.evaluation.clips.details import RecognitionDetails
from mmad.evaluation.clips.judged import (
    JudgedRecogniser,
    check_same_clips,
    choose_examples,
    judge_recogniser,
)
from mmad.structures import ClipRecord
from support.scores import SMALL, scores_of

TRUTH = (0, 1, 2, 0)
CLIPS = [ClipRecord(f"{n}.mp4", label, "val") for n, label in enumerate(TRUTH)]


def of_truth(right: list[float], *, order: tuple[int, ...] = (0, 1, 2, 3)) -> JudgedRecogniser:
    """A recogniser with these probabilities of the annotated action, its rows in another order."""
    rows = [[right[n] if k == TRUTH[n] else (1 - right[n]) / 2 for k in range(3)] for n in order]
    scores = scores_of(rows, ids=tuple(f"{n}.mp4" for n in order))
    features = np.array(order, dtype=float)[:, None]
    details = RecognitionDetails(scores.clip_ids, features, np.zeros((4, 0, 0)))
    return judge_recogniser("a", scores, details, CLIPS, labels=SMALL)


def test_rows_are_in_the_order_of_the_clips() -> None:
    one = of_truth([0.9, 0.8, 0.7, 0.6], order=(2, 0, 3, 1))
    assert one.scores["action"][np.arange(4), TRUTH].tolist() == [0.9, 0.8, 0.7, 0.6]
    np.testing.assert_allclose(one.scores["body"][1], [0.8 + 0.1, 0.1])
    assert one.features[:, 0].tolist() == [0, 1, 2, 3]


def test_details_of_other_clips_are_told() -> None:
    scores = scores_of([[1, 0, 0]] * 4)
    details = RecognitionDetails(("0.mp4",), np.ones((1, 2)), np.zeros((1, 0, 0)))
    with pytest.raises(PredictionError, match="a: the details are of other clips"):
        judge_recogniser("a", scores, details, CLIPS, labels=SMALL)


def test_examples_are_in_turn_the_gains_and_losses_of_different_actions() -> None:
    first, second = of_truth([0.9, 0.2, 0.5, 0.8]), of_truth([0.1, 0.9, 0.4, 0.1])
    # Gains: 0.8, -0.7, 0.1, 0.7. The fourth is of the first's action, so it comes last.
    assert choose_examples([first, second], CLIPS, count=4) == [0, 1, 2, 3]
    assert choose_examples([first, second], CLIPS, count=3) == [0, 1, 2]
    assert choose_examples([first, second], CLIPS, count=9) == [0, 1, 2, 3]


def test_examples_of_one_recogniser_are_the_surest_right_and_wrong_ones() -> None:
    # Right minus the likeliest other: 0.4 - 0.3, 0.2 - 0.4, 0 - 0.5, 1 - 0.
    one = of_truth([0.4, 0.2, 0.0, 1.0])
    assert choose_examples([one], CLIPS, count=3) == [3, 2, 1]


def test_predictions_of_other_clips_are_told() -> None:
    first, second = scores_of([[1, 0, 0]] * 4), scores_of([[1, 0, 0]] * 2, ids=("0.mp4", "x.mp4"))
    with pytest.raises(
        PredictionError,
        match=r"b: has predictions of other clips than a \(it lacks 3: 1.mp4, 2.mp4, 3.mp4; "
        r"it adds 1: x.mp4\)",
    ):
        check_same_clips(first, second, names=("a", "b"))
    check_same_clips(first, first, names=("a", "b"))
