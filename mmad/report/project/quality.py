"""Quality of a model on the videos of a project: for the terminal, as CSV and as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from mmad.evaluation.blind.intervals import Estimates
from mmad.evaluation.blind.pull import Pull
from mmad.evaluation.blind.quality import FIGURES, Quality
from mmad.files import finite, write_csv
from mmad.projects.study import Study
from mmad.wording import count, rounded

ALL = "all behaviours"
_TITLES = {"precision": "precision", "recall": "recall", "f1": "F1", "kappa": "kappa"}


@dataclass(frozen=True, eq=False)
class QualityReport:
    """What a blind share says about a source and a person.

    Attributes:
        study: What was compared.
        quality: The figures.
        pull: Agreement with and without suggestions, or None if nothing was reviewed with them.
        tiou: Lowest tIoU of a match.
        step_seconds: Time between two samples of kappa.
    """

    study: Study
    quality: Quality
    pull: Pull | None
    tiou: float
    step_seconds: float


def rows_of(report: QualityReport) -> list[dict[str, Any]]:
    """A row for all behaviours, and one for each that was coded or found in the blind share."""
    names = [*report.study.labels.names, ALL]
    quality = report.quality
    order = [len(names) - 1, *range(len(names) - 1)]
    return [
        {
            "behaviour": names[place],
            "coded": int(quality.coded[place]),
            "found": int(quality.found[place]),
            "right": int(quality.right[place]),
            "stretches": int(quality.stretches[place]),
            **_cells(quality.figures, place),
            **({} if report.pull is None else _cells({"pull": report.pull.difference}, place)),
        }
        for place in order
        if place == len(names) - 1 or quality.coded[place] or quality.found[place]
    ]


def _cells(figures: Mapping[Any, Estimates], place: int) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for name, one in figures.items():
        for ending, values in (("", one.value), ("_low", one.low), ("_high", one.high)):
            value = float(values[place])
            found[f"{name}{ending}"] = None if value != value else round(value, 6)
    return found


def quality_table(report: QualityReport) -> Table:
    """The rows for the terminal."""
    table = Table(title="The model on these videos, from the blind share", title_justify="left")
    table.add_column("behaviour")
    for name in ("coded", "found", *_TITLES.values()):
        table.add_column(name, justify="right")
    for place, row in enumerate(rows_of(report)):
        table.add_row(
            escape(row["behaviour"]),
            str(row["coded"]),
            str(row["found"]),
            *(_cell(row, name) for name in FIGURES),
            end_section=place == 0,
        )
    return table


def _cell(row: Mapping[str, Any], name: str) -> str:
    if row[name] is None:
        return "-"
    value, low, high = (rounded(row[f"{name}{end}"]) for end in ("", "_low", "_high"))
    return f"{value} \\[{low}, {high}]"


def quality_text(report: QualityReport) -> str:
    """What was compared and how, in a few lines."""
    study = report.study
    minutes = sum(one.end_seconds - one.start_seconds for one in study.blind) / 60
    lines = [
        f"{study.annotator} coded {count(len(study.blind), 'stretch')} blind, "
        f"{rounded(minutes, 1)} min of {count(len(study.videos), 'video')} "
        f"({rounded(100 * study.fraction, 1)} % of the stretches); source {study.source.id}, "
        f"{study.source.model}, from a score of {study.min_score:g}",
        f"matched at tIoU {report.tiou:g}; kappa compares every {report.step_seconds:g} s; "
        "[95 % interval] of what coding everything would give, with the same person",
        *(f"note: {told}" for told in study.notices),
    ]
    if report.pull is None:
        lines.append("pull of suggestions: unknown; no stretch is marked as reviewed with them")
    else:
        pull = report.pull
        parts = [
            "{} [{}, {}]".format(*(rounded(float(one[-1])) for one in vars(each).values()))
            for each in (pull.shown, pull.hidden, pull.difference)
        ]
        lines.append(
            f"pull of suggestions: F1 with the model {parts[0]} in "
            f"{count(len(study.shown), 'stretch')} with suggestions, {parts[1]} blind; "
            f"difference {parts[2]}"
        )
    return "\n".join(lines)


def quality_json(report: QualityReport) -> dict[str, Any]:
    """The numbers for a JSON file."""
    study = report.study
    found = finite(
        {
            "annotator": study.annotator,
            "source": study.source.id,
            "model": study.source.model,
            "min_score": study.min_score,
            "tiou": report.tiou,
            "step_seconds": report.step_seconds,
            "blind_stretches": len(study.blind),
            "blind_seconds": sum(one.end_seconds - one.start_seconds for one in study.blind),
            "share_of_stretches": study.fraction,
            "shown_stretches": len(study.shown),
            "notices": list(study.notices),
            "rows": rows_of(report),
        }
    )
    assert isinstance(found, dict)
    return found


def write_quality(path: Path, report: QualityReport) -> None:
    """Write the rows as CSV.

    Raises: OutputError if it cannot be written.
    """
    rows = rows_of(report)
    write_csv(path, header=list(rows[0]), rows=[list(row.values()) for row in rows])
