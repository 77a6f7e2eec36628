"""The tables of a time budget as rows: one row for each group, behaviour and bin."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mmad.evaluation.budget.budget import VIDEOS, BudgetTable, Relations, TimeBudget
from mmad.files import write_csv
from mmad.labels import LabelMap

Cell = str | int | float | None
Row = list[Cell]

MEASURES = (
    "observations",
    "videos",
    "observed_minutes",
    "count",
    "rate_per_minute",
    "rate_low",
    "rate_high",
    "total_seconds",
    "mean_seconds",
    "mean_low",
    "mean_high",
    "median_seconds",
    "sd_seconds",
    "min_seconds",
    "max_seconds",
    "share_of_time",
    "share_low",
    "share_high",
    "showing",
    "latency_mean_seconds",
    "latency_median_seconds",
    "gap_mean_seconds",
    "gap_sd_seconds",
)
# Of one person in one video there are no intervals over videos, and one latency.
OF_VIDEOS = tuple(
    name
    for name in MEASURES
    if not name.endswith(("_low", "_high", "_median_seconds"))
    and name not in ("observations", "videos", "showing")
)
_OBSERVED = ("observations", "videos", "observed_minutes")
# Measures of a behaviour that is not shown; the others are undefined.
_NEVER = {
    **dict.fromkeys(("count", "showing"), 0),
    **dict.fromkeys(("rate_per_minute", "total_seconds", "share_of_time"), 0.0),
}
TOGETHER = ("seconds", "expected_seconds", "jaccard", "share_of_first", "share_of_second", "events")
# Seconds together, or transitions, below which a pair that is not seen is left out.
_LEAST_EXPECTED = 1.0
LAGS = ("events", "followed", "share_followed", "transitions", "expected", "adjusted_residual")


def group_columns(budget: TimeBudget) -> tuple[str, ...]:
    """The columns that say which observations a row is about."""
    person = ("person",) if budget.coding.has_persons else ()
    return (*person, *budget.coding.conditions)


def write_tables(folder: Path, budget: TimeBudget) -> list[Path]:
    """Write each table as a CSV file with one header line; returns the paths.

    Raises: OutputError if they cannot be written.
    """
    columns = group_columns(budget)
    groups = [one for one in budget.tables if one.name != VIDEOS]
    videos = [one for one in budget.tables if one.name == VIDEOS]
    head = ("table", "level", "behaviour", "body_part")
    contents: dict[str, tuple[Sequence[str], Iterator[Row]]] = {
        "budget.csv": ((*head, *columns, *MEASURES), rows_of(groups, columns)),
        "budget_videos.csv": (
            (*head, VIDEOS, *columns, *OF_VIDEOS),
            rows_of(videos, (VIDEOS, *columns), names=OF_VIDEOS),
        ),
        "together.csv": (
            ("table", "level", "behaviour", "other", *columns, *TOGETHER),
            rows_of_together(budget.relations, columns),
        ),
        "lags.csv": (
            ("table", "level", "behaviour", "then", *columns, *LAGS),
            rows_of_lags(budget.relations, columns),
        ),
    }
    if budget.bins:
        bins = ("bin_start_seconds", "bin_end_seconds")
        contents["budget_bins.csv"] = (
            (*head, VIDEOS, *columns, *bins, *MEASURES),
            rows_of(budget.bins, (VIDEOS, *columns), has_bins=True),
        )
    for name, (header, rows) in contents.items():
        write_csv(folder / name, header=header, rows=list(rows))
    return [folder / name for name in contents]


def rows_of(
    tables: Sequence[BudgetTable],
    columns: Sequence[str],
    *,
    names: Sequence[str] = MEASURES,
    has_bins: bool = False,
) -> Iterator[Row]:
    """The rows of tables, in the order of groups, bins and behaviours.

    Bins that no observation of a group reaches have no row.
    """
    of_time = [name for name in names if name in _OBSERVED]
    others = [name for name in names if name not in _OBSERVED]
    never = [_NEVER.get(name) for name in others]
    for table in tables:
        is_shown = (table.measures.count > 0) | (table.measures.total_seconds > 0)
        is_shown = is_shown.transpose(0, 2, 1)
        measured = zip(*_measures(table, others, is_shown), strict=True)
        observed = _observed(table)
        edges = table.edges.tolist()
        behaviours = list(zip(table.labels.names, _body_parts(table.labels), strict=True))
        for group, row_columns in enumerate(_group_cells(table, columns)):
            for time in range(len(edges) - 1):
                if not observed["observed_minutes"][group][time]:
                    continue
                head = [*row_columns, *(edges[time : time + 2] if has_bins else ())]
                head += [observed[name][group][time] for name in of_time]
                for behaviour, shown in zip(
                    behaviours, is_shown[group, time].tolist(), strict=True
                ):
                    values = next(measured) if shown else never
                    yield [table.name, table.level, *behaviour, *head, *values]


def _observed(table: BudgetTable) -> dict[str, list[list[Cell]]]:
    """What is observed in each group and bin, [group][bin]."""
    found = table.measures
    return {
        "observations": found.num_observations.tolist(),
        "videos": found.num_videos.tolist(),
        "observed_minutes": np.round(found.observed_seconds / 60, 9).tolist(),
    }


def _measures(table: BudgetTable, names: Sequence[str], is_shown: np.ndarray) -> list[list[Cell]]:
    """The measures of these names, each for the cells of ``is_shown`` (G, B, K) in order."""
    found = table.measures
    blank = np.full(found.count.shape, np.nan)
    ranges = [(blank, blank)] * 3
    if found.intervals is not None:
        some = (found.intervals.rate, found.intervals.mean, found.intervals.share)
        ranges = [(one.low, one.high) for one in some]
    # A behaviour that was only ever coded as points has no duration, not one of 0 seconds.
    is_point = (found.durations.count == 0) & (found.total_seconds == 0)
    by_name = {
        "count": found.count,
        "rate_per_minute": found.rate_per_minute,
        "rate_low": ranges[0][0],
        "rate_high": ranges[0][1],
        "total_seconds": np.where(is_point, np.nan, found.total_seconds),
        "mean_seconds": found.durations.mean,
        "mean_low": ranges[1][0],
        "mean_high": ranges[1][1],
        "median_seconds": found.durations.median,
        "sd_seconds": found.durations.sd,
        "min_seconds": found.durations.lowest,
        "max_seconds": found.durations.highest,
        "share_of_time": np.where(is_point, np.nan, found.share_of_time),
        "share_low": np.where(is_point, np.nan, ranges[2][0]),
        "share_high": np.where(is_point, np.nan, ranges[2][1]),
        "showing": found.latencies.count,
        "latency_mean_seconds": found.latencies.mean,
        "latency_median_seconds": found.latencies.median,
        "gap_mean_seconds": found.gaps.mean,
        "gap_sd_seconds": found.gaps.sd,
    }
    return [_plain(by_name[name].transpose(0, 2, 1)[is_shown]) for name in names]


def _plain(values: np.ndarray) -> list[Cell]:
    """A list with nine decimals at most, and None for NaN."""
    if values.dtype.kind in "iu":
        return values.tolist()
    return [None if value != value else value for value in np.round(values, 9).tolist()]


def _group_cells(table: BudgetTable | Relations, columns: Sequence[str]) -> list[list[str]]:
    """For each group, its value of each column, "" where it does not differ in it."""
    found = []
    for values in table.groups:
        known = dict(zip(table.columns, values, strict=False))
        found.append([known.get(name, "") for name in columns])
    return found


def _body_parts(labels: LabelMap) -> list[str]:
    if not labels.has_parents:
        return [""] * len(labels)
    return [labels.parent_names[parent] for parent in labels.parents]


def rows_of_together(relations: Sequence[Relations], columns: Sequence[str]) -> Iterator[Row]:
    """A row for each group and each two behaviours that it shows, unordered.

    Pairs that are never shown together, and would hardly be by chance, have none.
    """
    for one in relations:
        together = one.together
        seconds, expected = together.seconds, together.expected_seconds
        jaccard = together.jaccard
        for group, row_columns in enumerate(_group_cells(one, columns)):
            alone = np.diagonal(seconds[group])
            for a, b in _pairs(alone > 0):
                both = seconds[group, a, b]
                if not both and expected[group, a, b] < _LEAST_EXPECTED:
                    continue
                values = (both, expected[group, a, b], jaccard[group, a, b])
                shares = (both / alone[a], both / alone[b])
                yield [
                    *(one.name, one.level, one.labels.names[a], one.labels.names[b]),
                    *row_columns,
                    *_plain(np.array([*values, *shares])),
                    int(together.events[group, a, b]),
                ]


def _pairs(is_shown: np.ndarray) -> Iterator[tuple[int, int]]:
    used = np.flatnonzero(is_shown).tolist()
    for place, a in enumerate(used):
        for b in used[place + 1 :]:
            yield a, b


def rows_of_lags(relations: Sequence[Relations], columns: Sequence[str]) -> Iterator[Row]:
    """A row for each group and each ordered two behaviours that it shows, also one with itself.

    Pairs that never follow each other, and would hardly by chance, have none.
    """
    for one in relations:
        lags = one.lags
        expected, residual = lags.expected, lags.adjusted_residual
        for group, row_columns in enumerate(_group_cells(one, columns)):
            used = np.flatnonzero(lags.events[group]).tolist()
            for a in used:
                for b in used:
                    events, followed = lags.events[group, a], lags.followed[group, a, b]
                    if not followed and not expected[group, a, b] >= _LEAST_EXPECTED:
                        continue
                    values = (followed / events, expected[group, a, b], residual[group, a, b])
                    share, chance, apart = _plain(np.array(values))
                    yield [
                        *(one.name, one.level, one.labels.names[a], one.labels.names[b]),
                        *row_columns,
                        *(int(events), int(followed), share),
                        *(int(lags.transitions[group, a, b]), chance, apart),
                    ]
