"""HTML report of a detector: worst videos with their timelines, figures, classes.

The numbers are embedded as JSON and drawn by the scripts of ``page/``. Nothing is fetched from
outside, and names of files and labels are shown as plain text only.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmad.evaluation.beyond_detad import CO_OCCURRENCES, Histogram
from mmad.evaluation.detection import DetectionReport, LevelReport
from mmad.evaluation.error_analysis import (
    BUCKETS,
    CHARACTERISTICS,
    OUTCOMES,
    ErrorReport,
    LevelErrors,
)
from mmad.evaluation.page_figures import ClassFigures, LevelFigures, detector_figures
from mmad.labels import LabelMap
from mmad.report.colours import OUTCOME_COLOURS
from mmad.report.error_tables import CHARACTERISTIC_TITLES, bucket_ranges
from mmad.report.html_page import links_from, write_page
from mmad.report.tables import PAPER_TIOU
from mmad.structures import VideoRecord
from mmad.wording import count

# Text of a bar besides its colour.
OUTCOME_LETTERS = ("✓", "D", "W", "L", "C", "B")
# Explanations of OUTCOMES for new users.
OUTCOME_MEANINGS = (
    "right: overlaps an annotation of its class enough",
    "overlaps an annotation that a detection with a higher score has already taken",
    "right time, but another class is annotated there",
    "right class, but start or end is too far off",
    "another class is annotated there, and start or end is off as well",
    "nothing is annotated there",
)
_SCRIPTS = ("charts.js", "parts.js", "timeline.js", "figures.js", "app.js")


def write_web_page(
    path: str | Path,
    *,
    title: str,
    records: Sequence[VideoRecord],
    labels: LabelMap,
    scores: DetectionReport,
    errors: ErrorReport,
    videos: Mapping[str, Path] | None = None,
    facts: Mapping[str, str] | None = None,
) -> None:
    """Write the page.

    Args:
        path: Path of the HTML file.
        title: Title of the page.
        records: Annotated videos.
        labels: Labels of annotations and detections.
        scores: The mAP of the detections.
        errors: Errors of the same detections.
        videos: Available video files by id, which are linked relatively.
        facts: Name and value of further facts in the head of the page, such as the date.
    """
    path = Path(path)
    content = page_content(
        records=records,
        labels=labels,
        scores=scores,
        errors=errors,
        links=links_from(videos or {}, folder=path.parent),
        facts=facts,
    )
    write_page(path, body="detection.html", title=title, content=content, scripts=_SCRIPTS)


def page_content(
    *,
    records: Sequence[VideoRecord],
    labels: LabelMap,
    scores: DetectionReport,
    errors: ErrorReport,
    links: Mapping[str, str],
    facts: Mapping[str, str] | None = None,
) -> dict[str, object]:
    """The content of the page: fractions, times in hundredths and scores in thousandths."""
    first = next(iter(errors.levels.values()))
    detections, annotations = first.matches.detections, first.matches.annotations
    shown = _shown_tiou(next(iter(scores.levels.values())))
    figures = detector_figures(scores, errors, shown_tiou=shown)
    tiou = next(iter(scores.levels.values())).tiou
    counts = {"video": len(records), "annotation": len(annotations), "detection": len(detections)}
    return {
        "facts": [
            ["", ", ".join(count(number, noun) for noun, number in counts.items())],
            ["mAP", f"protocol {scores.protocol}, mean of tIoU {tiou[0]:g} to {tiou[-1]:g}"],
            ["errors", f"at tIoU {', '.join(f'{one:g}' for one in first.matches.table.tiou)}"],
            *(list(fact) for fact in (facts or {}).items()),
        ],
        "tiou": tiou.tolist(),
        "shown_tiou": shown,
        "threshold": figures.threshold,
        "highest": figures.highest_score,
        "colours": list(OUTCOME_COLOURS),
        "letters": list(OUTCOME_LETTERS),
        "outcomes": list(OUTCOMES),
        "meanings": list(OUTCOME_MEANINGS),
        "co_occurrences": list(CO_OCCURRENCES),
        "buckets": {
            name: {
                "title": CHARACTERISTIC_TITLES[name],
                "names": [list(pair) for pair in zip(BUCKETS, bucket_ranges(name), strict=False)],
            }
            for name in CHARACTERISTICS
        },
        "lengths": _bars(figures.lengths),
        "actions": [labels.title(label) for label in range(len(labels))],
        "parents": list(labels.parents) if labels.has_parents else [0] * len(labels),
        "parts": list(labels.parent_names) if labels.has_parents else ["actions"],
        "levels": {
            name: _level(scores.levels[name], item, figures.levels[name])
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
        "truth": _annotation_rows(errors, num_videos=len(records)),
        "found": _detection_rows(errors, num_videos=len(records)),
    }


def _shown_tiou(level: LevelReport) -> list[float]:
    return [tiou for tiou in PAPER_TIOU if level.map_at(tiou) is not None]


def _bars(bins: Histogram) -> dict[str, object]:
    return {
        "edges": bins.edges.round(3).tolist(),
        "counts": bins.counts.tolist(),
        "mean": bins.mean,
    }


def _level(level: LevelReport, errors: LevelErrors, figures: LevelFigures) -> dict[str, object]:
    sure = figures.calibration
    return {
        "labels": [level.labels.title(label) for label in range(len(level.labels))],
        "map": level.map.tolist(),
        "average": level.average,
        "tiles": [[f"mAP at tIoU {tiou:g}", level.map_at(tiou)] for tiou in _shown_tiou(level)],
        "base": errors.base,
        "gain": errors.gain.tolist(),
        "false_positives": errors.false_positives.tolist(),
        "missed": errors.missed(),
        "false_negatives": {c: errors.false_negatives(c) for c in CHARACTERISTICS},
        "sensitivity": {c: errors.sensitivity(c) for c in CHARACTERISTICS},
        "sensitivity_base": errors.sensitivity_base,
        "confusions": [
            [pair.annotated, pair.detected, pair.count, pair.same_part]
            for pair in figures.confusions
        ],
        "co_occurrence": figures.missed_by_co_occurrence,
        "boundaries": {
            "start": _bars(figures.starts),
            "end": _bars(figures.ends),
        },
        "calibration": {
            "score": sure.mean_score[sure.counts > 0].tolist(),
            "precision": sure.precision[sure.counts > 0].tolist(),
            "error": sure.expected_error,
        },
        "classes": [
            _class(level.labels.title(label), one) for label, one in enumerate(figures.classes)
        ],
    }


def _class(title: str, figures: ClassFigures) -> dict[str, object]:
    return {
        "name": title,
        "annotations": figures.num_annotations,
        "detections": figures.num_detections,
        "ap": figures.average_precision,
        "missed": figures.missed,
        **{f"ap{place}": value for place, value in enumerate(figures.precision_at)},
    }


def _offsets(videos: NDArray[np.int64], num_videos: int) -> list[int]:
    """Start of the rows of each video, in a table sorted by video, and the end of the last."""
    return [0, *np.cumsum(np.bincount(videos, minlength=num_videos)).tolist()]


def _hundredths(seconds: NDArray[np.float64]) -> list[int]:
    return np.round(100 * seconds).astype(np.int64).tolist()


def _actions(errors: ErrorReport) -> LevelErrors:
    """The level whose labels the timeline shows; with the body level alone, these are body
    parts.
    """
    return errors.levels.get("action", next(iter(errors.levels.values())))


def _annotation_rows(errors: ErrorReport, *, num_videos: int) -> dict[str, object]:
    annotations = _actions(errors).matches.annotations
    return {
        "offsets": _offsets(annotations.videos, num_videos),
        "start": _hundredths(annotations.segments[:, 0]),
        "end": _hundredths(annotations.segments[:, 1]),
        "label": annotations.labels.tolist(),
        "missed": {name: _letters(~item.is_found[:, 0]) for name, item in errors.levels.items()},
    }


def _detection_rows(errors: ErrorReport, *, num_videos: int) -> dict[str, object]:
    level = _actions(errors)
    order = np.argsort(level.matches.detections.videos, kind="stable")
    detections = level.matches.detections.take(order)
    return {
        "offsets": _offsets(detections.videos, num_videos),
        "start": _hundredths(detections.segments[:, 0]),
        "end": _hundredths(detections.segments[:, 1]),
        "label": detections.labels.tolist(),
        "score": np.floor(1000 * detections.scores).astype(np.int64).tolist(),
        "nearest": level.nearest[order].tolist(),
        "overlap": np.round(100 * level.nearest_tiou[order]).astype(np.int64).tolist(),
        # -1 to 5, plus 7 for those among the top 1 G of their class, whose errors count.
        "outcome": {
            name: _letters((item.outcome[:, 0] + 1 + 7 * (item.multiple == 0))[order])
            for name, item in errors.levels.items()
        },
    }


def _letters(values: NDArray[np.integer] | NDArray[np.bool_]) -> str:
    """Small numbers as one letter each, "a" for 0, at a third of the size of a list."""
    return (values.astype(np.uint8) + ord("a")).tobytes().decode("ascii")
