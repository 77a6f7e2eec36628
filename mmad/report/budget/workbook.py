"""A time budget as a workbook."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmad.evaluation.budget.budget import VIDEOS, TimeBudget
from mmad.evaluation.budget.tables import (
    LAGS,
    MEASURES,
    OF_VIDEOS,
    TOGETHER,
    Row,
    group_columns,
    rows_of,
    rows_of_lags,
    rows_of_together,
)
from mmad.report.budget.corrected import corrected_text
from mmad.report.budget.terminal import budget_text
from mmad.report.workbook.writing import Column, Kind, Sheet, write_workbook

if TYPE_CHECKING:
    from mmad.projects.budget import CorrectedFigures

# A sheet of more rows takes minutes to write, and programs minutes to open.
MOST_ROWS = 50_000

_KINDS: dict[str, Kind] = {
    **dict.fromkeys(
        ("observations", "videos", "count", "showing", "events", "followed", "transitions"), "count"
    ),
    **dict.fromkeys(
        ("share_of_time", "share_low", "share_high", "share_of_first", "share_of_second"), "share"
    ),
    **dict.fromkeys(("jaccard", "share_followed"), "share"),
    **dict.fromkeys(
        ("observed_minutes", "rate_per_minute", "rate_low", "rate_high", "expected"), "number"
    ),
    "adjusted_residual": "number",
    **dict.fromkeys(("raw_count", "blind_stretches"), "count"),
    **dict.fromkeys(("count_low", "count_high"), "number"),
    **dict.fromkeys(("coded_minutes", "blind_minutes", "raw_rate_per_minute"), "number"),
    **dict.fromkeys(("raw_share_of_time",), "share"),
    **dict.fromkeys(("total_low", "total_high"), "seconds"),
}

_NOTES = (
    "Corrected (of projects): raw is what the model found; beside it the same corrected by the "
    "blind share, with 95 % intervals of what coding everything would give.",
    "Budget: one row for each group and behaviour; 'table' says what makes the groups.",
    "Videos: one row for each person in each video and behaviour.",
    "Bins: the same in bins of time; an event counts where it starts, time is cut at the edges.",
    "Together: time in which one person shows both behaviours; expected: if they were independent.",
    "Follows: 'followed' events of a behaviour have a start of 'then' within the window; "
    "'transitions' count what starts next; adjusted residuals above 1.96 are more than chance.",
    "rate per minute: count / observed minutes. total seconds, share of time: events of one person "
    "that overlap count once. mean, median, sd, min, max: of single events, without points.",
    "latency: from the start of the video (bin) to the first event, of those that have one. "
    "gap: from the end of the behaviour to its next start.",
    "low, high: 95 % interval over videos.",
    "An empty cell is undefined: no duration of points, no interval of a single video.",
)


def write_budget_workbook(
    path: Path, budget: TimeBudget, *, corrected: "CorrectedFigures | None" = None
) -> list[str]:
    """Write the tables as sheets, and a sheet on what they mean.

    Returns: which tables are too long for a sheet, one sentence each.

    Raises: OutputError if it cannot be written.
    """
    columns = group_columns(budget)
    groups = [one for one in budget.tables if one.name != VIDEOS]
    videos = [one for one in budget.tables if one.name == VIDEOS]
    head = ("table", "level", "behaviour", "body_part")
    with_video = (VIDEOS, *columns)
    bins = ("bin_start_seconds", "bin_end_seconds")
    tables: list[tuple[str, Sequence[str], Iterable[Row]]] = [
        ("Budget", (*head, *columns, *MEASURES), rows_of(groups, columns)),
        ("Videos", (*head, *with_video, *OF_VIDEOS), rows_of(videos, with_video, names=OF_VIDEOS)),
    ]
    if budget.bins:
        rows = rows_of(budget.bins, with_video, has_bins=True)
        tables.append(("Bins", (*head, *with_video, *bins, *MEASURES), rows))
    pairs = ("table", "level", "behaviour")
    tables += [
        (
            "Together",
            (*pairs, "other", *columns, *TOGETHER),
            rows_of_together(budget.relations, columns),
        ),
        ("Follows", (*pairs, "then", *columns, *LAGS), rows_of_lags(budget.relations, columns)),
    ]
    if corrected is not None:
        tables.insert(0, ("Corrected", corrected.header, corrected.rows))
    sheets, left_out = [], []
    for title, names, found in tables:
        cells = list(found)
        if len(cells) > MOST_ROWS:
            left_out.append(
                f"{title}: {len(cells):,} rows are too many for a sheet; they are in the CSV"
            )
            continue
        sheets.append(_sheet(title, names, cells, columns))
    said = [] if corrected is None else corrected_text(corrected).splitlines()
    notes = [*budget_text(budget).splitlines(), *said, *_NOTES, *budget.notices, *left_out]
    about = Sheet("About", [Column("About this workbook")], [[one] for one in notes], False)
    write_workbook(path, [*sheets, about], title="Time budget")
    return left_out


def _sheet(
    title: str, names: Sequence[str], rows: Sequence[Row], conditions: Sequence[str]
) -> Sheet:
    """A sheet without the columns that are empty in all of its rows."""
    used = [
        place
        for place, name in enumerate(names)
        if not rows or name in conditions or any(row[place] not in (None, "") for row in rows)
    ]
    columns = [_column(names[place], conditions) for place in used]
    return Sheet(title, columns, [[row[place] for place in used] for row in rows])


def _column(name: str, conditions: Sequence[str]) -> Column:
    if name in conditions:
        return Column(name)
    words = name.replace("_", " ")
    kind: Kind = (
        "seconds" if name.endswith("seconds") or name in ("mean_low", "mean_high") else "text"
    )
    return Column(words, _KINDS.get(name, kind))
