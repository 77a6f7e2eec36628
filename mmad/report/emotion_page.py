"""HTML report of predicted emotions: surest mistakes, confusion, emotions, actions."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mmad.evaluation.emotions.metrics import EmotionReport, action_table, rows_of_videos
from mmad.evaluation.emotions.predictions import EmotionPredictions
from mmad.labels import EMOTIONS, LabelMap
from mmad.report.html_page import links_from, write_page
from mmad.structures import EmotionRecord, Floats, Ints
from mmad.wording import count

# Actions of a video that are shown besides those that are annotated.
_LIKELIEST = 6


def write_emotion_page(
    path: str | Path,
    *,
    title: str,
    videos: Sequence[EmotionRecord],
    labels: LabelMap,
    predictions: EmotionPredictions,
    report: EmotionReport,
    pictures: Mapping[str, bytes] | None = None,
    facts: Mapping[str, str] | None = None,
) -> None:
    """Write the page.

    Args:
        path: Path of the HTML file.
        title: Title of the page.
        videos: Annotated videos; those with a path are linked relatively.
        labels: Labels of the actions.
        predictions: Predictions for the videos.
        report: Results of the predictions.
        pictures: JPEG of each video by its id, for the list.
        facts: Name and value of further facts in the head of the page, such as the date.
    """
    path = Path(path)
    files = {video.video_id: video.path for video in videos if video.path is not None}
    content = {
        "facts": [["", count(len(videos), "video")], *(list(x) for x in (facts or {}).items())],
        "tiles": _tiles(report),
        "emotions": list(EMOTIONS.names),
        "actions": [labels.title(label) for label in range(len(labels))],
        "confusion": report.confusion.tolist(),
        "classes": _emotions(report),
        "precisions": _actions(report, videos, labels),
        "videos": _videos(
            videos,
            predictions,
            links=links_from(files, folder=path.parent),
            pictures=pictures or {},
        ),
    }
    scripts = ("charts.js", "parts.js", "emotion.js")
    write_page(path, body="emotion.html", title=title, content=content, scripts=scripts)


def surest_mistakes_first(
    videos: Sequence[EmotionRecord], predictions: EmotionPredictions
) -> list[EmotionRecord]:
    """The videos in the order of the page."""
    rows = rows_of_videos(predictions, videos)
    sure = predictions.emotion_scores[rows].max(axis=1)
    is_right = predictions.emotions[rows] == [video.emotion for video in videos]
    return [videos[place] for place in np.lexsort((-sure, is_right)).tolist()]


def _tiles(report: EmotionReport) -> list[list[object]]:
    found: list[list[object]] = [
        ["accuracy", report.accuracy, "videos whose emotion is right"],
        ["F1, weighted", report.f1_weighted, "mean over the emotions, weighted by their videos"],
        ["F1, macro", report.f1_macro, "mean over the emotions"],
        ["mean recall", report.recall_macro, "mean of the accuracies of the emotions"],
        ["mAP", report.map_classes, "mean average precision over the actions"],
        ["mAP of videos", report.map_videos, "mean average precision over the videos"],
    ]
    return [tile for tile in found if tile[1] is not None]


def _emotions(report: EmotionReport) -> list[dict[str, object]]:
    num_guessed = report.confusion.sum(axis=0)
    mistakes = report.confusion.copy()
    np.fill_diagonal(mistakes, 0)
    return [
        {
            "name": name,
            "videos": int(report.confusion[index].sum()),
            "guessed": int(num_guessed[index]),
            "recall": float(report.recall_per_emotion[index]),
            "precision": _precision(report.confusion, index),
            "f1": float(report.f1_per_emotion[index]),
            "taken": EMOTIONS.names[int(row.argmax())] if row.any() else "",
        }
        for index, (name, row) in enumerate(zip(EMOTIONS.names, mistakes, strict=True))
    ]


def _precision(confusion: Ints, index: int) -> float:
    guessed = int(confusion[:, index].sum())
    return float(confusion[index, index]) / guessed if guessed else float("nan")


def _actions(
    report: EmotionReport, videos: Sequence[EmotionRecord], labels: LabelMap
) -> list[dict[str, object]]:
    counts = action_table(videos, num_labels=len(labels)).sum(axis=0)
    pairs = zip(report.action_labels.tolist(), report.precision_per_action.tolist(), strict=True)
    return [
        {
            "label": label,
            "name": labels.title(label),
            "videos": int(counts[label]),
            "ap": None if np.isnan(precision) else precision,
        }
        for label, precision in pairs
    ]


def _videos(
    videos: Sequence[EmotionRecord],
    predictions: EmotionPredictions,
    *,
    links: Mapping[str, str],
    pictures: Mapping[str, bytes],
) -> list[dict[str, object]]:
    rows = rows_of_videos(predictions, videos)
    return [
        {
            "id": video.video_id,
            "truth": video.emotion,
            "scores": predictions.emotion_scores[row].round(4).tolist(),
            "actions": list(video.actions),
            "shown": _shown(predictions.action_scores[row], predictions.action_labels, video),
            "file": links.get(video.video_id),
            "picture": _as_text(pictures.get(video.video_id)),
        }
        for video, row in zip(videos, rows.tolist(), strict=True)
    ]


def _shown(scores: Floats, labels: Ints, video: EmotionRecord) -> list[list[float]]:
    """The likeliest actions and the annotated ones with their scores, the likeliest first."""
    order = np.argsort(-scores, kind="stable")
    is_shown = np.isin(labels[order], video.actions)
    is_shown[:_LIKELIEST] = True
    return [[int(labels[i]), round(float(scores[i]), 4)] for i in order[is_shown].tolist()]


def _as_text(picture: bytes | None) -> str | None:
    if picture is None:
        return None
    return f"data:image/jpeg;base64,{base64.b64encode(picture).decode('ascii')}"
