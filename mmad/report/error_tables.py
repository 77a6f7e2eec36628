"""Tables of the error analysis for the terminal and CSV, and its JSON."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.markup import escape
from rich.table import Table

from mmad.evaluation.beyond_detad import (
    CO_OCCURRENCES,
    boundary_errors,
    calibration,
    co_occurrence,
    confusions,
    errors_by_video,
    missed_by_co_occurrence,
)
from mmad.evaluation.error_analysis import (
    BUCKETS,
    CHARACTERISTICS,
    OUTCOMES,
    ErrorReport,
    LevelErrors,
)
from mmad.files import finite
from mmad.wording import rounded

Cell = str | int | float


@dataclass(frozen=True)
class NamedTable:
    """A table with a name, a title and a header.

    Attributes:
        name: Name of the file.
        title: Title with units, for the terminal.
        header: Names of the columns.
        rows: Cells with unrounded numbers; the terminal shows two digits.
    """

    name: str
    title: str
    header: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]

    def for_terminal(self, *, limit: int = 15) -> Table:
        """The first rows as a table of rich."""
        cut = f" (first {limit} of {len(self.rows)})" if len(self.rows) > limit else ""
        table = Table(title=self.title + cut, title_justify="left")
        for place, column in enumerate(self.header):
            table.add_column(column, justify="right" if place else "left")
        for row in self.rows[:limit]:
            table.add_row(*(_shown(cell) for cell in row))
        return table


def _shown(cell: Cell) -> str:
    return rounded(cell) if isinstance(cell, float) else escape(str(cell))


def error_tables(report: ErrorReport) -> list[NamedTable]:
    """Every table of every level, shares and precisions in percent."""
    tables = []
    for level, errors in report.levels.items():
        tables += [
            _false_positives(level, errors),
            _gains(level, errors),
            _by_bucket(level, errors),
            _confusions(level, errors),
            _co_occurrence(level, errors),
            _boundaries(level, errors),
            _calibration(level, errors),
            _videos(level, report),
        ]
    return tables


def _false_positives(level: str, errors: LevelErrors) -> NamedTable:
    rows = [
        (f"{number + 1}G", *(100 * shares).tolist())
        for number, shares in enumerate(errors.false_positives)
    ]
    title = f"{level}: what the best detections are (%; G = annotations of a class)"
    return NamedTable(f"{level}_false_positives", title, ("rank", *OUTCOMES), rows)


def _gains(level: str, errors: LevelErrors) -> NamedTable:
    rows: list[tuple[Cell, ...]] = [("normalised mAP", 100 * errors.base)]
    for name, gain in zip(OUTCOMES[1:], errors.gain.tolist(), strict=True):
        rows.append((f"gain without {name}", 100 * gain))
    title = f"{level}: what fixing each error gains (points)"
    return NamedTable(f"{level}_gain", title, ("figure", "%"), rows)


# What the buckets of each characteristic measure, with the unit of their limits.
CHARACTERISTIC_TITLES = {
    "coverage": "share of the video (%)",
    "length": "length (s)",
    "instances": "annotations in the video",
}


def bucket_ranges(characteristic: str) -> list[str]:
    """The limits of XS to XL; lower ones are excluded, upper ones included.

    >>> bucket_ranges("coverage"), bucket_ranges("instances")
    (['≤ 20', '20–40', '40–60', '60–80', '80–100'], ['≤ 2', '3–5', '6–7', '> 7'])
    """
    edges = CHARACTERISTICS[characteristic]
    factor = 100 if characteristic == "coverage" else 1
    above = 1 if characteristic == "instances" else 0  # counts above 2 start at 3
    limits = [factor * edge for edge in edges]
    between = [f"{low + above:g}–{high:g}" for low, high in itertools.pairwise(limits[1:])]
    last = [f"> {limits[-2]:g}"] if math.isinf(limits[-1]) else between[-1:]
    return [f"≤ {limits[1]:g}", *between[:-1], *last]


def _by_bucket(level: str, errors: LevelErrors) -> NamedTable:
    rows: list[tuple[Cell, ...]] = [
        ("all", "", len(errors.is_found), 100 * errors.missed(), 100 * errors.sensitivity_base)
    ]
    for name in CHARACTERISTICS:
        missed, sensitivity = errors.false_negatives(name), errors.sensitivity(name)
        for number, limits in enumerate(bucket_ranges(name)):
            bucket = f"{BUCKETS[number]} ({limits})"
            count = int((errors.buckets[name] == number).sum())
            rows.append(
                (
                    CHARACTERISTIC_TITLES[name],
                    bucket,
                    count,
                    100 * missed[number],
                    100 * sensitivity[number],
                )
            )
    return NamedTable(
        f"{level}_characteristics",
        f"{level}: missed annotations and normalised mAP by characteristic (%)",
        ("characteristic", "bucket", "annotations", "missed", "normalised mAP"),
        rows,
    )


def _confusions(level: str, errors: LevelErrors) -> NamedTable:
    title = errors.labels.title
    rows: list[tuple[Cell, ...]] = [
        (title(c.annotated), title(c.detected), c.count, "inside" if c.same_part else "across")
        for c in confusions(errors)
    ]
    return NamedTable(
        f"{level}_confusions",
        f"{level}: detections with another label, among the top 1G of their class",
        ("annotated", "detected", "count", "body part"),
        rows,
    )


def _co_occurrence(level: str, errors: LevelErrors) -> NamedTable:
    kinds = co_occurrence(errors.matches.annotations, errors.labels)
    missed = missed_by_co_occurrence(errors, kinds)
    rows = [
        (name, int((kinds == number).sum()), 100 * missed[number])
        for number, name in enumerate(CO_OCCURRENCES)
    ]
    return NamedTable(
        f"{level}_co_occurrence",
        f"{level}: missed annotations by what they overlap (%)",
        ("overlaps", "annotations", "missed"),
        rows,
    )


def _boundaries(level: str, errors: LevelErrors) -> NamedTable:
    summary = boundary_errors(errors).summary()
    rows: list[tuple[Cell, ...]] = [(name, *values.values()) for name, values in summary.items()]
    return NamedTable(
        f"{level}_boundaries",
        f"{level}: ends of true positives, detected minus annotated (seconds; above 0 is late)",
        ("end", "mean", "median", "mean absolute", "10 % below", "10 % above"),
        rows,
    )


def _calibration(level: str, errors: LevelErrors) -> NamedTable:
    found = calibration(errors)
    rows: list[tuple[Cell, ...]] = [
        (f"{low:.1f} to {high:.1f}", count, score, precision)
        for low, high, count, score, precision in zip(
            found.edges[:-1].tolist(),
            found.edges[1:].tolist(),
            found.counts.tolist(),
            found.mean_score.tolist(),
            found.precision.tolist(),
            strict=True,
        )
    ]
    return NamedTable(
        f"{level}_calibration",
        f"{level}: calibration of scores; expected calibration error "
        f"{_shown(found.expected_error)}",
        ("score", "detections", "mean score", "precision"),
        rows,
    )


def _videos(level: str, report: ErrorReport) -> NamedTable:
    rows: list[tuple[Cell, ...]] = [
        (row.video_id, row.num_errors, row.num_annotations, row.missed, *row.outcomes)
        for row in errors_by_video(report, level=level)
    ]
    return NamedTable(
        f"{level}_videos",
        f"{level}: videos with the most errors (detections among the top 1G of their class)",
        ("video", "errors", "annotations", "missed", *OUTCOMES),
        rows,
    )


def error_json(report: ErrorReport) -> dict[str, object]:
    """The numbers: shares in percent, gains and precisions as fractions; None where undefined."""
    content: dict[str, object] = {}
    for level, errors in report.levels.items():
        kinds = co_occurrence(errors.matches.annotations, errors.labels)
        found = calibration(errors)
        content[level] = finite(
            {
                "tiou": errors.matches.table.tiou.tolist(),
                "false_positives": (100 * errors.false_positives).tolist(),
                "base": errors.base,
                "gain": errors.gain.tolist(),
                "false_negatives": {
                    "total": 100 * errors.missed(),
                    **{
                        name: [100 * share for share in errors.false_negatives(name)]
                        for name in CHARACTERISTICS
                    },
                },
                "sensitivity": {
                    "base": errors.sensitivity_base,
                    **{name: errors.sensitivity(name) for name in CHARACTERISTICS},
                },
                "confusions": [[c.annotated, c.detected, c.count] for c in confusions(errors)],
                "missed_by_co_occurrence": [
                    100 * share for share in missed_by_co_occurrence(errors, kinds)
                ],
                "boundaries_seconds": boundary_errors(errors).summary(),
                "calibration": {
                    "counts": found.counts.tolist(),
                    "mean_score": found.mean_score.tolist(),
                    "precision": found.precision.tolist(),
                    "expected_error": found.expected_error,
                },
            }
        )
    return content
