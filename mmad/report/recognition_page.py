"""HTML report of a recogniser: most confident mistakes, confusion, classes, features.

These are figures 4 to 6 of Guo et al. (TCSVT 2024).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmad.errors import PredictionError
from mmad.evaluation.clips.details import RecognitionDetails
from mmad.evaluation.clips.recognition import RecognitionLevel, RecognitionReport, with_suffix
from mmad.evaluation.clips.scores import RecognitionScores
from mmad.evaluation.page_figures import (
    best_guesses,
    clip_class_figures,
    likeliest_at_some_time,
    places_in_a_square,
)
from mmad.labels import LabelMap
from mmad.report.colours import PART_COLOURS
from mmad.report.html_page import links_from, write_page
from mmad.structures import ClipRecord
from mmad.wording import count


def write_recognition_page(
    path: str | Path,
    *,
    title: str,
    clips: Sequence[ClipRecord],
    labels: LabelMap,
    report: RecognitionReport,
    scores: RecognitionScores,
    details: RecognitionDetails | None = None,
    seed: int = 0,
    facts: Mapping[str, str] | None = None,
) -> None:
    """Write the page.

    Args:
        path: Path of the HTML file.
        title: Title of the page.
        clips: Labelled clips; those with a path are linked relatively.
        labels: Labels of the clips.
        report: Results of the scores.
        scores: Scores of the clips.
        details: Features and probabilities over time, if written.
        seed: Random seed of the places of the features.
        facts: Name and value of further facts in the head of the page, such as the date.
    """
    path = Path(path)
    if details is not None:
        lacking = {with_suffix(clip.clip_id) for clip in clips} - set(_rows(details))
        if lacking or details.curves.shape[2] not in (0, len(labels)):
            raise PredictionError(
                "the details are of other clips or classes; run mmad predict --details again"
            )
    files = {clip.clip_id: clip.path for clip in clips if clip.path is not None}
    content = {
        "facts": [["", count(report.num_clips, "clip")], *(list(x) for x in (facts or {}).items())],
        "f1_mean": report.f1_mean,
        "colours": list(PART_COLOURS),
        "parents": list(labels.parents),
        "levels": {
            name: _level(level, labels if name == "action" else labels.parent_map)
            for name, level in report.levels.items()
        },
        "clips": _clips(clips, scores, details, links_from(files, folder=path.parent)),
        "features": None if details is None else _features(clips, details, seed=seed),
    }
    scripts = ("charts.js", "parts.js", "recognition.js")
    write_page(path, body="recognition.html", title=title, content=content, scripts=scripts)


def _level(level: RecognitionLevel, labels: LabelMap) -> dict[str, object]:
    titles = [labels.title(label) for label in range(len(labels))]
    return {
        "labels": titles,
        "top1": level.top1,
        "top5": level.top5,
        "mean_class_accuracy": level.mean_class_accuracy,
        "f1_macro": level.f1_macro,
        "f1_micro": level.f1_micro,
        "confusion": level.confusion.tolist(),
        "classes": [
            {
                "name": title,
                "clips": one.num_clips,
                "guessed": one.num_guessed,
                "recall": one.recall,
                "precision": one.precision,
                "f1": one.f1,
                "taken": "" if one.taken_for is None else titles[one.taken_for],
            }
            for title, one in zip(titles, clip_class_figures(level), strict=True)
        ],
    }


def _clips(
    clips: Sequence[ClipRecord],
    scores: RecognitionScores,
    details: RecognitionDetails | None,
    links: Mapping[str, str],
) -> list[dict[str, object]]:
    row_of = {with_suffix(name): row for row, name in enumerate(scores.clip_ids)}
    detail_of = {} if details is None else _rows(details)
    found: list[dict[str, object]] = []
    for clip in clips:
        row = row_of[with_suffix(clip.clip_id)]
        actions = scores.action_scores[row]
        best = best_guesses(actions)
        curves = None
        if details is not None and details.curves.size:
            curves = _curves(details.curves[detail_of[with_suffix(clip.clip_id)]], clip.label)
        found.append(
            {
                "id": clip.clip_id,
                "truth": clip.label,
                "guesses": best.tolist(),
                "scores": actions[best].round(4).tolist(),
                "curves": curves,
                "file": links.get(clip.clip_id),
            }
        )
    return found


def _rows(details: RecognitionDetails) -> dict[str, int]:
    return {with_suffix(name): row for row, name in enumerate(details.clip_ids)}


def _curves(curves_TK: NDArray[np.floating], annotated: int | None) -> dict[str, object]:
    """Probabilities over time of the relevant actions, in thousandths."""
    shown = likeliest_at_some_time(curves_TK, annotated)
    values = np.round(1000 * curves_TK[:, shown].T.astype(float)).astype(int)
    return {"labels": shown, "values": values.tolist()}


def _features(
    clips: Sequence[ClipRecord], details: RecognitionDetails, *, seed: int
) -> dict[str, object]:
    """Places of the clips in a plane, 0 to 1."""
    rows = _rows(details)
    features = details.features[[rows[with_suffix(clip.clip_id)] for clip in clips]]
    plane, how = places_in_a_square(features, seed=seed)
    return {"how": how, "x": plane[:, 0].round(4).tolist(), "y": plane[:, 1].round(4).tolist()}
