"""An HTML page about a detector: its worst videos with their timelines, figures, classes.

The numbers go in as JSON, and the scripts of ``page/`` draw them. Nothing is fetched from
anywhere, and names of files and labels are only ever shown as text.
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

# What a bar says beside its colour.
OUTCOME_LETTERS = ("✓", "D", "W", "L", "C", "B")
# What each of OUTCOMES means, in words for people who see it for the first time.
OUTCOME_MEANINGS = (
    "right: overlaps an annotation of its class enough",
    "overlaps an annotation that a higher-scored detection already found",
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
        path: of the HTML file.
        title: of the page.
        records: the annotated videos.
        labels: of annotations and detections.
        scores: mAP of the detections.
        errors: of the same detections.
        videos: files by video id, for those that are at hand; the page links to them relatively.
        facts: name and value of what else the head of the page tells, such as the date.
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
    """What the page shows: fractions, times in hundredths and scores in thousandths."""
    first = next(iter(errors.levels.values()))
    found, truth = first.matches.found, first.matches.truth
    shown = _shown_tiou(next(iter(scores.levels.values())))
    figures = detector_figures(scores, errors, shown_tiou=shown)
    tiou = next(iter(scores.levels.values())).tiou
    counts = {"video": len(records), "annotation": len(truth), "detection": len(found)}
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
        "truth": _truth_rows(errors, num_videos=len(records)),
        "found": _found_rows(errors, num_videos=len(records)),
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
        "missed": {name: _letters(~item.is_found[:, 0]) for name, item in errors.levels.items()},
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
        # -1 to 5, and 7 more for those among the top 1 G of their class, whose errors count.
        "outcome": {
            name: _letters((item.outcome[:, 0] + 1 + 7 * (item.multiple == 0))[order])
            for name, item in errors.levels.items()
        },
    }


def _letters(values: NDArray[np.integer] | NDArray[np.bool_]) -> str:
    """Small numbers as one letter each, "a" for 0: a third of the size of a list."""
    return (values.astype(np.uint8) + ord("a")).tobytes().decode("ascii")
