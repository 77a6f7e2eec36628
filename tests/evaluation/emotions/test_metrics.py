import warnings

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from mmad.errors import AnnotationError, PredictionError
from mmad.evaluation.emotions.metrics import (
    PredictedVideo,
    action_table,
    average_precision,
    choose_videos,
    co_occurrence,
    evaluate_emotions,
    predicted_videos,
    videos_json,
)
from mmad.evaluation.emotions.predictions import EmotionPredictions
from mmad.labels import EMOTIONS, MA52
from mmad.structures import EmotionRecord

JOY, SADNESS, SURPRISE, FEAR, ANGER = range(5)


def drawn(seed: int, num_videos: int) -> tuple[EmotionPredictions, list[EmotionRecord]]:
    """Random videos, and predictions with many equal scores of actions."""
    rng = np.random.default_rng(seed)
    ids = [f"v{row}" for row in range(num_videos)]
    videos = [
        EmotionRecord(
            name,
            int(rng.choice(5, p=[0.6, 0.2, 0.1, 0.07, 0.03])),
            tuple(np.flatnonzero(rng.random(52) < 0.07).tolist()),
            "val",
        )
        for name in ids
    ]
    order = rng.permutation(num_videos)
    return EmotionPredictions(
        tuple(ids[row] for row in order),
        rng.dirichlet([4, 2, 1, 1, 1], size=num_videos),
        rng.random((num_videos, 52)).round(1),
        np.arange(52),
    ), videos


@pytest.mark.parametrize(("seed", "num_videos"), [(0, 400), (1, 12), (2, 3)])
def test_equal_to_scikit_learn(seed: int, num_videos: int) -> None:
    predictions, videos = drawn(seed, num_videos)
    report = evaluate_emotions(predictions, videos, labels=MA52)
    row_of = {name: row for row, name in enumerate(predictions.video_ids)}
    rows = [row_of[video.video_id] for video in videos]
    truth = np.array([video.emotion for video in videos])
    guess = predictions.emotion_scores[rows].argmax(axis=1)
    with warnings.catch_warnings():  # of emotions that are not there
        warnings.simplefilter("ignore")
        expected = {
            "accuracy": sklearn_metrics.accuracy_score(truth, guess),
            "f1_weighted": sklearn_metrics.f1_score(truth, guess, average="weighted"),
            "f1_macro": sklearn_metrics.f1_score(truth, guess, average="macro"),
            "recall_macro": sklearn_metrics.balanced_accuracy_score(truth, guess),
        }
        recall = sklearn_metrics.recall_score(
            truth, guess, average=None, labels=range(5), zero_division=np.nan
        )
        confusion = sklearn_metrics.confusion_matrix(truth, guess, labels=range(5))
    has_action = action_table(videos, num_labels=52)
    scores = predictions.action_scores[rows]
    seen, acting = has_action.any(axis=0), has_action.any(axis=1)
    average = sklearn_metrics.average_precision_score
    expected |= {
        "map_classes": average(has_action[:, seen], scores[:, seen], average="macro"),
        "map_videos": average(has_action[acting], scores[acting], average="samples"),
    }
    for name, value in expected.items():
        assert getattr(report, name) == pytest.approx(value, rel=0, abs=1e-12), name
    np.testing.assert_allclose(report.recall_per_emotion, recall, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(report.confusion, confusion)
    assert report.num_actions_without_videos == int((~seen).sum())


def test_by_hand() -> None:
    emotions = [JOY, JOY, SADNESS, FEAR]
    videos = [EmotionRecord(str(i), one, (), "val") for i, one in enumerate(emotions)]
    guesses = np.eye(5)[[JOY, SADNESS, SADNESS, ANGER]]
    none = np.zeros((4, 0))
    found = EmotionPredictions(("0", "1", "2", "3"), guesses, none, np.array([]))
    report = evaluate_emotions(found, videos, labels=MA52)
    assert report.accuracy == 2 / 4
    np.testing.assert_array_equal(report.recall_per_emotion, [1 / 2, 1 / 1, np.nan, 0, np.nan])
    assert report.recall_macro == pytest.approx((1 / 2 + 1 + 0) / 3)
    # F1 2 TP / (annotated + predicted): joy, sadness, fear, and anger, which is only predicted.
    f1 = [2 / (2 + 1), 2 / (1 + 2), 0 / (1 + 0), 0 / (0 + 1)]
    assert report.f1_macro == pytest.approx(sum(f1) / 4)
    assert report.f1_weighted == pytest.approx((2 * f1[0] + f1[1] + f1[2]) / 4)
    assert (report.map_classes, report.map_videos) == (None, None)


def test_average_precision_of_nothing() -> None:
    assert np.isnan(average_precision(np.zeros(3, dtype=bool), np.arange(3.0)))


def test_what_is_missing_or_unknown() -> None:
    predictions, videos = drawn(0, 4)
    with pytest.raises(PredictionError, match="1 of 5 annotated videos have no prediction: more"):
        evaluate_emotions(predictions, [*videos, EmotionRecord("more", 0, (), "val")], labels=MA52)
    with pytest.raises(PredictionError, match="video 'v0' is not annotated"):
        evaluate_emotions(predictions, videos[1:], labels=MA52)
    with pytest.raises(AnnotationError, match="found no videos"):
        evaluate_emotions(predictions, [], labels=MA52)
    with pytest.raises(AnnotationError, match="found 1 without: x"):
        evaluate_emotions(predictions, [EmotionRecord("x", None, (), "test")], labels=MA52)


def test_what_figures_8_and_9_show() -> None:
    videos = [EmotionRecord("a", ANGER, (9, 32), "val")]
    scores = np.array([[0.1, 0.1, 0.4, 0.1, 0.3]])
    found = EmotionPredictions(("a",), scores, np.array([[0.7, 0.5, 0.2]]), np.array([0, 9, 32]))
    (one,) = videos_json(found, videos, labels=MA52).values()
    assert one["emotion"] == "anger"
    assert one["predicted_emotion"] == "surprise"
    assert one["emotion_scores"] == dict(zip(EMOTIONS.names, scores[0], strict=True))
    assert one["actions"] == [MA52.names[9], MA52.names[32]]
    assert one["predicted_actions"] == [MA52.names[0], MA52.names[9]]


def test_videos_of_the_largest_gain_and_loss_in_turn() -> None:
    """The last model against the mean of the others: gains 0.5, -0.3, 0.2 and 0.4."""
    truth = [JOY, SADNESS, FEAR, JOY]
    videos = [EmotionRecord(str(n), one, (), "val") for n, one in enumerate(truth)]
    none = np.zeros((4, 0)), np.array([])

    def model(right: list[float]) -> list[PredictedVideo]:
        scores = np.zeros((4, 5))
        scores[np.arange(4), truth] = right
        found = EmotionPredictions(tuple(video.video_id for video in videos), scores, *none)
        return predicted_videos(found, videos)

    face, body = model([0.1, 0.6, 0.1, 0.2]), model([0.3, 0.8, 0.1, 0.2])
    full = model([0.7, 0.4, 0.3, 0.6])
    assert choose_videos([face, body, full], count=4) == [0, 1, 2, 3]  # 3 is of joy, as 0
    assert choose_videos([face, body, full], count=2) == [0, 1]
    # One alone: 0.7, 0.4, 0.3 and 0.6 above the others, which are 0.
    assert choose_videos([full], count=3) == [0, 2, 1]


def test_what_is_predicted_beside_each_action() -> None:
    """Of three videos two have action 9, which is predicted in one of them, beside 24."""
    pairs = [((9,), (9, 24)), ((9, 24), ()), ((), (9,))]
    found = [
        PredictedVideo(EmotionRecord(str(n), JOY, actions, "val"), JOY, np.zeros(5), predicted, {})
        for n, (actions, predicted) in enumerate(pairs)
    ]
    counts, totals = co_occurrence(found, labels=MA52, level="action")
    assert {cell: int(counts[cell]) for cell in zip(*np.nonzero(counts), strict=True)} == {
        (9, 9): 1, (9, 24): 1
    }  # fmt: skip
    assert (totals[9], totals[24], totals.sum()) == (2, 1, 3)
    counts, totals = co_occurrence(found, labels=MA52, level="body")
    head, legs = MA52.parents[9], MA52.parents[24]
    assert (counts[head, head], counts[head, legs], counts.sum()) == (1, 1, 2)
    assert (totals[head], totals[legs]) == (2, 1)
