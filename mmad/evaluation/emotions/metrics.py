"""Metrics of emotions and of the sets of actions of videos, in NumPy.

Source: MA-52 paper, section VI-B and Tables VI and VII.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmad.errors import AnnotationError, PredictionError, raise_problems
from mmad.evaluation.emotions.predictions import EmotionPredictions
from mmad.evaluation.examples import gain_over_others, in_turn
from mmad.labels import EMOTIONS, LabelMap
from mmad.structures import EmotionRecord, Floats, Ints

_NAMED = 5
# An action of a video is predicted from this score on; no metric depends on it.
ACTION_THRESHOLD = 0.5


@dataclass(frozen=True, eq=False)
class EmotionReport:
    """The scores of a set of predictions. Fractions.

    Attributes:
        num_videos: Number of annotated videos.
        accuracy: Share of videos whose emotion is right (Acc, Acc_Avg).
        f1_weighted: Mean F1 of the emotions, weighted by their number of annotated videos
            (F1_weight).
        f1_macro: Mean F1 of the emotions that are annotated or predicted (UF1).
        recall_macro: Mean recall of the emotions that are annotated (UAR).
        recall_per_emotion: Share of the videos of each emotion whose emotion is right (Acc_Joy,
            ...), (5,); NaN for an emotion without videos.
        f1_per_emotion: F1 of each emotion, (5,); NaN for one neither annotated nor predicted.
        confusion: Counts of videos, (5, 5), rows annotated, columns predicted.
        action_labels: Indices of the actions that have scores, (A,).
        precision_per_action: Average precision of each of them, (A,); NaN for an action without
            videos.
        map_classes: Mean average precision over the actions with videos (mAP), or None.
        map_videos: Mean average precision over the videos with actions, of their ranked actions,
            or None.
    """

    num_videos: int
    accuracy: float
    f1_weighted: float
    f1_macro: float
    recall_macro: float
    recall_per_emotion: Floats
    f1_per_emotion: Floats
    confusion: Ints
    action_labels: Ints
    precision_per_action: Floats
    map_classes: float | None
    map_videos: float | None

    @property
    def num_actions_without_videos(self) -> int:
        """Number of actions with scores that no annotated video has; they are left out of mAP."""
        return int(np.isnan(self.precision_per_action).sum())


def average_precision(is_positive: NDArray[np.bool_], scores: Floats) -> float:
    """The mean of the precision at each positive, equal scores taken together; NaN without any.

    >>> positive = np.array([True, False, True, False])
    >>> average_precision(positive, np.array([0.9, 0.8, 0.7, 0.1]))  # (1/1 + 2/3) / 2
    0.8333333333333333
    >>> average_precision(positive, np.array([0.5, 0.5, 0.5, 0.5]))
    0.5
    """
    if not is_positive.any():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(is_positive[order])
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    precision = hits[ends] / (ends + 1)
    new_hits = np.diff(hits[ends], prepend=0)
    return float((precision * new_hits).sum() / hits[-1])


def evaluate_emotions(
    predictions: EmotionPredictions, videos: Sequence[EmotionRecord], *, labels: LabelMap
) -> EmotionReport:
    """Metrics of ``predictions`` against the emotions and actions of ``videos``.

    Args:
        predictions: Predictions of all these videos and no others.
        videos: Annotated videos, all with an emotion.
        labels: Label set of the actions in both.

    Raises: PredictionError if videos are unknown or missing; AnnotationError if there are none, or
    some have no emotion.
    """
    rows = rows_of_videos(predictions, videos)
    true_emotions = np.array([video.emotion for video in videos], dtype=np.int64)
    emotions = predictions.emotions[rows]
    size = len(EMOTIONS)
    pairs = true_emotions * size + emotions
    confusion = np.bincount(pairs, minlength=size**2).reshape(size, size)
    num_true, num_guessed, hits = confusion.sum(1), confusion.sum(0), np.diagonal(confusion)
    recall = _ratio(hits, num_true)
    f1 = _ratio(2 * hits, num_true + num_guessed)
    has_action = action_table(videos, num_labels=len(labels))[:, predictions.action_labels]
    scores = predictions.action_scores[rows]
    of_actions = _precisions(has_action.T, scores.T)
    of_videos = _precisions(has_action, scores)
    return EmotionReport(
        num_videos=len(videos),
        accuracy=float(hits.sum() / len(videos)),
        f1_weighted=float((np.nan_to_num(f1) * num_true).sum() / len(videos)),
        f1_macro=float(np.nanmean(f1)),
        recall_macro=float(np.nanmean(recall)),
        recall_per_emotion=recall,
        f1_per_emotion=f1,
        confusion=confusion,
        action_labels=predictions.action_labels,
        precision_per_action=of_actions,
        map_classes=_mean(of_actions),
        map_videos=_mean(of_videos),
    )


def rows_of_videos(predictions: EmotionPredictions, videos: Sequence[EmotionRecord]) -> Ints:
    """Row of each video among the predictions, (N,).

    Raises: as `evaluate_emotions`.
    """
    unlabelled = [video.video_id for video in videos if video.emotion is None]
    if unlabelled or not videos:
        found = f"{len(unlabelled)} without: {', '.join(unlabelled[:5])}" if videos else "no videos"
        raise AnnotationError(f"only videos with an emotion can be scored, found {found}")
    row_of = {name: row for row, name in enumerate(predictions.video_ids)}
    known = {video.video_id for video in videos}
    problems = [f"video '{name}' is not annotated" for name in row_of if name not in known]
    missing = [video.video_id for video in videos if video.video_id not in row_of]
    if missing:
        dots = ", ..." if len(missing) > _NAMED else ""
        problems.append(
            f"{len(missing)} of {len(videos)} annotated videos have no prediction: "
            f"{', '.join(missing[:_NAMED])}{dots}; add them, or pass --only-predicted"
        )
    raise_problems(PredictionError, source="predictions", problems=problems)
    return np.array([row_of[video.video_id] for video in videos], dtype=np.int64)


def action_table(videos: Sequence[EmotionRecord], *, num_labels: int) -> NDArray[np.bool_]:
    """Whether each video has each action, (N, K)."""
    table = np.zeros((len(videos), num_labels), dtype=bool)
    for row, video in enumerate(videos):
        table[row, list(video.actions)] = True
    return table


def _ratio(part: Ints, whole: Ints) -> Floats:
    """``part / whole``; NaN where that is 0 / 0."""
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)


def _precisions(is_positive: NDArray[np.bool_], scores: Floats) -> Floats:
    pairs = zip(is_positive, scores, strict=True)
    return np.array([average_precision(*pair) for pair in pairs], dtype=np.float64)


def _mean(values: Floats) -> float | None:
    """The mean without NaN; None if there is nothing else."""
    return None if np.isnan(values).all() else float(np.nanmean(values))


def emotion_json(report: EmotionReport, *, labels: LabelMap) -> dict[str, object]:
    """The numbers of a report: fractions, with NaN where there is nothing to count."""
    return {
        "num_videos": report.num_videos,
        "accuracy": report.accuracy,
        "f1_weighted": report.f1_weighted,
        "f1_macro": report.f1_macro,
        "recall_macro": report.recall_macro,
        "map_classes": report.map_classes,
        "map_videos": report.map_videos,
        "accuracy_per_emotion": dict(
            zip(EMOTIONS.names, report.recall_per_emotion.tolist(), strict=True)
        ),
        "f1_per_emotion": dict(zip(EMOTIONS.names, report.f1_per_emotion.tolist(), strict=True)),
        "confusion": report.confusion.tolist(),
        "num_actions": len(report.action_labels),
        "num_actions_without_videos": report.num_actions_without_videos,
        "precision_per_action": {
            labels.names[label]: value
            for label, value in zip(
                report.action_labels.tolist(), report.precision_per_action.tolist(), strict=True
            )
        },
    }


@dataclass(frozen=True, eq=False)
class PredictedVideo:
    """What a model predicts for an annotated video.

    Attributes:
        video: The annotated video.
        emotion: Index of the predicted emotion.
        emotion_scores: Score of each emotion, (5,).
        actions: Indices of the predicted actions, those with a score of `ACTION_THRESHOLD` or more.
        action_scores: Score of each action that has one.
    """

    video: EmotionRecord
    emotion: int
    emotion_scores: Floats
    actions: tuple[int, ...]
    action_scores: dict[int, float]


def predicted_videos(
    predictions: EmotionPredictions, videos: Sequence[EmotionRecord]
) -> list[PredictedVideo]:
    """What Figs. 8 and 9 show of each video.

    Raises: as `evaluate_emotions`.
    """
    rows = rows_of_videos(predictions, videos)
    found = []
    for video, row in zip(videos, rows.tolist(), strict=True):
        scores = dict(
            zip(
                predictions.action_labels.tolist(),
                predictions.action_scores[row].tolist(),
                strict=True,
            )
        )
        found.append(
            PredictedVideo(
                video,
                emotion=int(predictions.emotions[row]),
                emotion_scores=predictions.emotion_scores[row],
                actions=tuple(label for label in scores if scores[label] >= ACTION_THRESHOLD),
                action_scores=scores,
            )
        )
    return found


def videos_json(
    predictions: EmotionPredictions, videos: Sequence[EmotionRecord], *, labels: LabelMap
) -> dict[str, dict[str, object]]:
    """By video, what Figs. 8 and 9 show: probabilities of the emotions, and annotated and predicted
    actions.
    """
    return {
        one.video.video_id: {
            "emotion": EMOTIONS.names[one.video.emotion or 0],
            "predicted_emotion": EMOTIONS.names[one.emotion],
            "emotion_scores": dict(zip(EMOTIONS.names, one.emotion_scores.tolist(), strict=True)),
            "actions": [labels.names[label] for label in one.video.actions],
            "predicted_actions": [labels.names[label] for label in one.actions],
        }
        for one in predicted_videos(predictions, videos)
    }


def co_occurrence(
    found: Sequence[PredictedVideo], *, labels: LabelMap, level: str
) -> tuple[Ints, Ints]:
    """Number of videos with each annotated label (rows) in which each label is predicted (columns),
    (K, K), and with each annotated label, (K,); of actions, or of the body parts that they have
    (Fig. 10).
    """
    size = len(labels) if level == "action" else len(labels.parent_names)
    annotated, predicted = np.zeros((2, len(found), size), dtype=np.int64)
    for row, one in enumerate(found):
        for table, actions in ((annotated, one.video.actions), (predicted, one.actions)):
            columns = actions if level == "action" else [labels.parents[label] for label in actions]
            table[row, list(columns)] = 1
    return annotated.T @ predicted, annotated.sum(axis=0)


def choose_videos(models: Sequence[Sequence[PredictedVideo]], *, count: int) -> list[int]:
    """Places of the most telling videos, at most ``count``, no two of one emotion while there are
    others.

    In turn those for which the last model is better and worse than the others: by the difference
    to their mean in the probability of the annotated emotion, or of one model alone by this and
    the likeliest other.
    """
    truth = np.array([one.video.emotion for one in models[-1]], dtype=np.int64)
    each = np.arange(len(truth))
    *others, last = [np.stack([one.emotion_scores for one in videos]) for videos in models]
    if others:
        gain = last[each, truth] - np.mean(others, axis=0)[each, truth]
    else:
        gain = gain_over_others(last, truth)
    return in_turn(gain, truth, count=count)
