"""One HTML file to look at: figures, classes, and the timeline of every video.

The numbers go in as JSON, and the scripts of ``page/`` draw them. Nothing is fetched from
anywhere, and names of files and labels are only ever shown as text.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from mmad.evaluation.detection import DetectionReport, LevelReport
from mmad.evaluation.error_analysis import CHARACTERISTICS, OUTCOMES, ErrorReport, LevelErrors
from mmad.evaluation.error_details import (
    CO_OCCURRENCES,
    boundary_errors,
    calibration,
    co_occurrence,
    confusions,
    errors_by_video,
    missed_by_co_occurrence,
)
from mmad.labels import LabelMap
from mmad.report.colours import OUTCOME_COLOURS
from mmad.report.error_tables import bucket_names
from mmad.report.html_page import write_page
from mmad.report.tables import PAPER_TIOU
from mmad.structures import VideoRecord

# What a bar says where it is wide enough, beside its colour.
OUTCOME_LETTERS = ("✓", "D", "W", "L", "C", "B")
_SCRIPTS = ("charts.js", "parts.js", "timeline.js", "app.js")
_NUM_BINS = 41
_NUM_CONFUSIONS = 15


def write_web_page(
    path: str | Path,
    *,
    title: str,
    records: Sequence[VideoRecord],
    labels: LabelMap,
    scores: DetectionReport,
    errors: ErrorReport,
    videos: Mapping[str, Path] | None = None,
) -> None:
    """Write the page.

    Args:
        path: of the HTML file.
        title: of the page.
        records: the annotated videos.
        labels: of annotations and detections.
        scores: mAP of the detections.
        errors: of the same detections.
        videos: files by video id, for those that are at hand; the page links to them relatively.
    """
    path = Path(path)
    content = page_content(
        records=records,
        labels=labels,
        scores=scores,
        errors=errors,
        links=links_from(videos or {}, folder=path.parent),
    )
    write_page(path, body="detection.html", title=title, content=content, scripts=_SCRIPTS)


def links_from(videos: Mapping[str, Path], *, folder: Path) -> dict[str, str]:
    """Address of each video as seen from the page."""
    links = {}
    for video_id, file in videos.items():
        try:
            relative = Path(os.path.relpath(file.resolve(), folder.resolve())).as_posix()
            links[video_id] = quote(relative)
        except ValueError:  # another drive
            links[video_id] = file.resolve().as_uri()
    return links


def page_content(
    *,
    records: Sequence[VideoRecord],
    labels: LabelMap,
    scores: DetectionReport,
    errors: ErrorReport,
    links: Mapping[str, str],
) -> dict[str, object]:
    """What the page shows: fractions, times in hundredths and scores in thousandths."""
    first = next(iter(errors.levels.values()))
    found, truth = first.matches.found, first.matches.truth
    return {
        "facts": (
            f"{len(records)} videos, {len(truth)} annotations, {len(found)} detections. mAP by "
            f"protocol {scores.protocol}; errors at tIoU "
            f"{', '.join(f'{tiou:g}' for tiou in first.matches.table.tiou)}."
        ),
        "tiou": next(iter(scores.levels.values())).tiou.tolist(),
        "shown_tiou": _shown_tiou(next(iter(scores.levels.values()))),
        "threshold": _sensible_threshold(found.scores, len(truth)),
        "highest": max(1.0, float(found.scores.max(initial=0.0))),
        "colours": list(OUTCOME_COLOURS),
        "letters": list(OUTCOME_LETTERS),
        "outcomes": list(OUTCOMES),
        "co_occurrences": list(CO_OCCURRENCES),
        "buckets": {name: bucket_names(name) for name in CHARACTERISTICS},
        "lengths": _lengths(truth.segments[:, 1] - truth.segments[:, 0]),
        "actions": [labels.title(label) for label in range(len(labels))],
        "parents": list(labels.parents) if labels.has_parents else [0] * len(labels),
        "parts": list(labels.parent_names) if labels.has_parents else ["actions"],
        "levels": {
            name: _level(scores.levels[name], item, report=errors, name=name)
            for name, item in errors.levels.items()
        },
        "videos": [
            {
                "id": record.video_id,
                "duration": round(record.duration_seconds, 3),
                "file": links.get(record.video_id),
            }
            for record in records
        ],
        "truth": _truth_rows(errors, num_videos=len(records)),
        "found": _found_rows(errors, num_videos=len(records)),
    }


def _shown_tiou(level: LevelReport) -> list[float]:
    return [tiou for tiou in PAPER_TIOU if level.map_at(tiou) is not None]


def _sensible_threshold(scores: NDArray[np.float64], num_annotations: int) -> float:
    """The score above which there are as many detections as annotations, in hundredths."""
    if not len(scores) or len(scores) <= num_annotations:
        return 0.0
    return float(np.floor(100 * np.sort(scores)[-max(num_annotations, 1)]) / 100)


def _lengths(seconds: NDArray[np.float64]) -> dict[str, object]:
    top = max(1.0, float(np.quantile(seconds, 0.99)) if len(seconds) else 1.0)
    counts, edges = np.histogram(np.minimum(seconds, top), bins=30, range=(0, top))
    mean = float(seconds.mean()) if len(seconds) else None
    return {"edges": edges.round(3).tolist(), "counts": counts.tolist(), "mean": mean}


def _signed_histogram(seconds: NDArray[np.float64]) -> dict[str, object]:
    reach = max(0.1, float(np.quantile(np.abs(seconds), 0.98)) if len(seconds) else 0.1)
    clipped = np.clip(seconds, -reach, reach)
    counts, edges = np.histogram(clipped, bins=_NUM_BINS, range=(-reach, reach))
    mean = float(seconds.mean()) if len(seconds) else None
    return {"edges": edges.round(3).tolist(), "counts": counts.tolist(), "mean": mean}


def _level(
    level: LevelReport, errors: LevelErrors, *, report: ErrorReport, name: str
) -> dict[str, object]:
    boundaries, sure = boundary_errors(errors), calibration(errors)
    kinds = co_occurrence(errors.matches.truth, errors.labels)
    by_video = {row.video_id: row.num_errors for row in errors_by_video(report, level=name)}
    return {
        "labels": [level.labels.title(label) for label in range(len(level.labels))],
        "map": level.map.tolist(),
        "average": level.average,
        "tiles": [[f"mAP @{tiou:g}", level.map_at(tiou)] for tiou in _shown_tiou(level)],
        "base": errors.base,
        "gain": errors.gain.tolist(),
        "false_positives": errors.false_positives.tolist(),
        "missed": errors.missed(),
        "false_negatives": {c: errors.false_negatives(c) for c in CHARACTERISTICS},
        "sensitivity": {c: errors.sensitivity(c) for c in CHARACTERISTICS},
        "sensitivity_base": errors.sensitivity_base,
        "confusions": [
            [pair.annotated, pair.detected, pair.count, pair.same_part]
            for pair in confusions(errors)[:_NUM_CONFUSIONS]
        ],
        "co_occurrence": missed_by_co_occurrence(errors, kinds),
        "boundaries": {
            "start": _signed_histogram(boundaries.starts),
            "end": _signed_histogram(boundaries.ends),
        },
        "calibration": {
            "score": sure.mean_score[sure.counts > 0].tolist(),
            "precision": sure.precision[sure.counts > 0].tolist(),
            "error": sure.expected_error,
        },
        "classes": _classes(level, errors),
        "errors": [by_video[video] for video in report.videos],
    }


def _classes(level: LevelReport, errors: LevelErrors) -> list[dict[str, object]]:
    rows = []
    for label in range(len(level.labels)):
        row: dict[str, object] = {
            "name": level.labels.title(label),
            "annotations": int(level.matches.num_annotations[label]),
            "detections": len(level.matches.ranked[label]),
            "ap": float(level.per_class[:, label].mean()),
            "missed": errors.missed(errors.matches.truth.labels == label),
        }
        for place, tiou in enumerate(_shown_tiou(level)):
            column = int(np.argmin(np.abs(level.tiou - tiou)))
            row[f"ap{place}"] = float(level.per_class[column, label])
        rows.append(row)
    return rows


def _offsets(videos: NDArray[np.int64], num_videos: int) -> list[int]:
    """Where the rows of each video begin, in a table sorted by video, and where the last ends."""
    return [0, *np.cumsum(np.bincount(videos, minlength=num_videos)).tolist()]


def _hundredths(seconds: NDArray[np.float64]) -> list[int]:
    return np.round(100 * seconds).astype(np.int64).tolist()


def _actions(errors: ErrorReport) -> LevelErrors:
    """The level whose labels the timeline shows; the body level alone knows only body parts."""
    return errors.levels.get("action", next(iter(errors.levels.values())))


def _truth_rows(errors: ErrorReport, *, num_videos: int) -> dict[str, object]:
    truth = _actions(errors).matches.truth
    return {
        "offsets": _offsets(truth.videos, num_videos),
        "start": _hundredths(truth.segments[:, 0]),
        "end": _hundredths(truth.segments[:, 1]),
        "label": truth.labels.tolist(),
        "missed": {
            name: (~item.is_found[:, 0]).astype(int).tolist()
            for name, item in errors.levels.items()
        },
    }


def _found_rows(errors: ErrorReport, *, num_videos: int) -> dict[str, object]:
    level = _actions(errors)
    order = np.argsort(level.matches.found.videos, kind="stable")
    found = level.matches.found.take(order)
    return {
        "offsets": _offsets(found.videos, num_videos),
        "start": _hundredths(found.segments[:, 0]),
        "end": _hundredths(found.segments[:, 1]),
        "label": found.labels.tolist(),
        "score": np.floor(1000 * found.scores).astype(np.int64).tolist(),
        "nearest": level.nearest[order].tolist(),
        "overlap": np.round(100 * level.nearest_tiou[order]).astype(np.int64).tolist(),
        "outcome": {name: item.outcome[order, 0].tolist() for name, item in errors.levels.items()},
    }
