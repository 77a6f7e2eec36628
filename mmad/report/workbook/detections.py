"""The detections of videos as a table that people read: CSV and xlsx."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmad import __version__
from mmad.evaluation.thresholds import Thresholds
from mmad.files import write_csv
from mmad.labels import LabelMap
from mmad.report.workbook.writing import Cell, Column, Sheet, harmless, write_workbook
from mmad.structures import Detections

_COLUMNS = (
    Column("video"),
    Column("behaviour"),
    Column("body part"),
    Column("start (s)", "seconds"),
    Column("end (s)", "seconds"),
    Column("duration (s)", "seconds"),
    Column("score", "score"),
)


@dataclass(frozen=True)
class TableFacts:
    """What a reader of the table should know.

    Attributes:
        model: Name of the run.
        thresholds: Lowest score of each behaviour.
        warnings: What the model cannot know, a sentence each.
        failed: Why videos could not be read, by their ids.
    """

    model: str
    thresholds: Thresholds
    warnings: Sequence[str] = ()
    failed: Mapping[str, str] | None = None


def write_detection_tables(
    path: Path, found: Mapping[str, Detections], labels: LabelMap, facts: TableFacts
) -> None:
    """Write the detections that reach their thresholds, by video and start, as CSV and xlsx.

    Times are rounded to milliseconds.

    Args:
        path: The CSV; the workbook has the same name and ends in .xlsx.
        found: All detections of each video, by its id.
        labels: Names and body parts.
        facts: What is told beside them.

    Raises: OutputError if a file cannot be written.
    """
    sure = {name: facts.thresholds.sure(one) for name, one in found.items()}
    rows = [row for name, one in sure.items() for row in _rows(name, one, labels)]
    columns = [column for column in _COLUMNS if labels.has_parents or column.name != "body part"]
    if not labels.has_parents:
        rows = [(*row[:2], *row[3:]) for row in rows]
    write_csv(
        path,
        header=[column.name for column in columns],
        rows=[
            [_plain(value, column) for value, column in zip(row, columns, strict=True)]
            for row in rows
        ],
    )
    sheets = [
        Sheet("Detections", columns, rows),
        _videos(found, sure, facts),
        _behaviours(sure, labels, facts.thresholds),
        _about(facts),
    ]
    write_workbook(path.with_suffix(".xlsx"), sheets, title="Detections")


def _rows(name: str, found: Detections, labels: LabelMap) -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = []
    for (start, end), label, score in zip(
        found.segments_seconds.tolist(), found.labels.tolist(), found.scores.tolist(), strict=True
    ):
        start, end = round(start, 3), round(end, 3)
        part = labels.parent_names[labels.parents[label]] if labels.has_parents else ""
        duration = round(end - start, 3)
        rows.append((name, labels.names[label], part, start, end, duration, round(score, 3)))
    return sorted(rows, key=lambda row: (row[3], row[4], row[1]))


def _plain(value: Cell, column: Column) -> str:
    return harmless(str(value)) if column.kind == "text" else f"{value:.3f}"


def _videos(
    found: Mapping[str, Detections], sure: Mapping[str, Detections], facts: TableFacts
) -> Sheet:
    columns = (
        Column("video"),
        Column("detections", "count"),
        Column("below the threshold", "count"),
        Column("could not be read"),
    )
    rows: list[tuple[Cell, ...]] = [
        (name, len(sure[name]), len(one) - len(sure[name]), "") for name, one in found.items()
    ]
    rows += [(name, None, None, message) for name, message in (facts.failed or {}).items()]
    return Sheet("Videos", columns, rows)


def _behaviours(sure: Mapping[str, Detections], labels: LabelMap, thresholds: Thresholds) -> Sheet:
    columns = (
        Column("behaviour"),
        Column("threshold", "score"),
        Column("detections", "count"),
        Column("videos", "count"),
        Column("total duration (s)", "seconds"),
    )
    counts, videos, seconds = ([0.0] * len(labels) for _ in range(3))
    for one in sure.values():
        durations = one.segments_seconds[:, 1] - one.segments_seconds[:, 0]
        for label, duration in zip(one.labels.tolist(), durations.tolist(), strict=True):
            counts[label] += 1
            seconds[label] += duration
        for label in set(one.labels.tolist()):
            videos[label] += 1
    totals = [round(total, 3) for total in seconds]
    numbers = zip(labels.names, thresholds.values, counts, videos, totals, strict=True)
    return Sheet("Behaviours", columns, list(numbers))


def _about(facts: TableFacts) -> Sheet:
    rows: list[tuple[Cell, ...]] = [
        ("made by", f"mmad {__version__}"),
        ("model", facts.model),
        ("threshold", facts.thresholds.text),
        ("times", "seconds from the first image of the video, rounded to milliseconds"),
        ("score", "the model's own, 0 to 1; not a probability, and not comparable across models"),
        ("all detections", "detections.csv beside this file, with all digits"),
        *(("note", warning) for warning in facts.warnings),
    ]
    return Sheet("About", (Column("what"), Column("value")), rows, is_table=False)
