"""Corrected figures of a project for the terminal, as CSV, and for the page of its budget."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from mmad.files import write_csv
from mmad.report.tables import percent
from mmad.wording import count, rounded

if TYPE_CHECKING:
    from mmad.projects.budget import CorrectedFigures

_Row = Mapping[str, str | int | float | None]
# What the page shows: beside its column, those of its limits begin with another word.
_ON_PAGE = {
    "count": "count",
    "rate": "rate_per_minute",
    "share": "share_of_time",
    "mean": "mean_seconds",
}


def write_corrected(path: Path, corrected: "CorrectedFigures") -> Path:
    """Write a row for each group and behaviour as CSV; returns the path.

    Raises: OutputError if it cannot be written.
    """
    write_csv(path, header=list(corrected.header), rows=corrected.rows)
    return path


def corrected_table(corrected: "CorrectedFigures") -> Table:
    """One row for each behaviour, over all videos: raw and corrected."""
    table = Table(title="Corrected by the blind share", title_justify="left")
    table.add_column("behaviour")
    names = ("found", "count", "95 %", "a minute", "95 %", "% of time", "95 %", "mean (s)", "95 %")
    for name in names:
        table.add_column(name, justify="right")
    for cells in corrected.rows:
        row = dict(zip(corrected.header, cells, strict=True))
        if row["table"] != "all":
            continue
        table.add_row(
            escape(str(row["behaviour"])),
            rounded(_number(row, "raw_count"), 0),
            rounded(_number(row, "count"), 1),
            _range(row, "count", digits=1),
            rounded(_number(row, "rate_per_minute")),
            _range(row, "rate"),
            percent(_number(row, "share_of_time")),
            _range(row, "share", unit=100),
            rounded(_number(row, "mean_seconds")),
            _range(row, "mean"),
        )
    return table


def _number(row: _Row, name: str) -> float | None:
    value = row[name]
    return None if value is None else float(value)


def _range(row: _Row, name: str, *, digits: int = 2, unit: float = 1.0) -> str:
    low, high = (_number(row, f"{name}_{side}") for side in ("low", "high"))
    if low is None or high is None:
        return "-"
    return f"{rounded(unit * low, digits)} to {rounded(unit * high, digits)}"


def corrected_text(corrected: "CorrectedFigures") -> str:
    """Text on what was corrected by what."""
    study = corrected.study
    minutes = sum(one.end_seconds - one.start_seconds for one in study.blind) / 60
    lines = [
        f"corrected: source {study.source.id} ({study.source.model}), from a score of "
        f"{study.min_score:g}, by {count(len(study.blind), 'stretch')} that {study.annotator} "
        f"coded blind ({rounded(minutes, 1)} min)",
        "95 %: of what coding all of these videos would give, by the same person",
    ]
    if study.shown:
        lines.append(
            f"{count(len(study.shown), 'stretch', 'was')} reviewed with suggestions: there, what "
            "was coded counts"
        )
    return "\n".join(lines)


def corrected_content(
    corrected: "CorrectedFigures", *, titles: Mapping[str, str], most_groups: int
) -> dict[str, object]:
    """The content of the page: a sentence, and rows of found, corrected, low and high.

    Args:
        corrected: The figures.
        titles: What behaviours are called on the page, where that is not their name.
        most_groups: Tables with more groups are left out.
    """
    study = corrected.study
    minutes = sum(one.end_seconds - one.start_seconds for one in study.blind) / 60
    shown = {one.name for one in corrected.tables if len(one.groups) <= most_groups}
    rows = [dict(zip(corrected.header, cells, strict=True)) for cells in corrected.rows]
    return {
        "about": f"{study.annotator} coded {count(len(study.blind), 'stretch')} "
        f"({rounded(minutes, 1)} min) without seeing what the model found; the mean difference "
        "between the two there, taken for all of the time that nobody coded, is added to what was "
        "coded and found.",
        "rows": [
            {
                "table": row["table"],
                "group": ", ".join(str(row[one]) for one in corrected.columns if row[one]),
                "name": titles.get(str(row["behaviour"]), row["behaviour"]),
                "values": {
                    key: [row[f"raw_{name}"], row[name], row[f"{key}_low"], row[f"{key}_high"]]
                    for key, name in _ON_PAGE.items()
                },
            }
            for row in rows
            if row["table"] in shown
        ],
    }
