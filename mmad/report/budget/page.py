"""HTML page of a time budget: bars, rasters of events over time, ethograms, what follows what.

The numbers are embedded as JSON and drawn by ``page/budget.js``; nothing is fetched.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mmad.evaluation.budget.budget import VIDEOS, BudgetTable, Relations, TimeBudget
from mmad.evaluation.budget.tables import group_columns
from mmad.labels import LabelMap
from mmad.report.budget.corrected import corrected_content
from mmad.report.colours import PART_COLOURS
from mmad.report.html_page import write_page
from mmad.structures import Floats
from mmad.wording import count, rounded

if TYPE_CHECKING:
    from mmad.projects.budget import CorrectedFigures

# Observations and events that a page can draw and a browser can hold.
MOST_OBSERVATIONS = 300
MOST_EVENTS = 60_000
_MOST_PAIRS = 25
_MOST_GROUPS = 8


def write_budget_page(
    path: Path,
    budget: TimeBudget,
    *,
    title: str,
    facts: Mapping[str, str] | None = None,
    notices: Sequence[str] = (),
    corrected: "CorrectedFigures | None" = None,
) -> None:
    """Write the page.

    Args:
        path: Path of the HTML file.
        budget: The time budget.
        title: Title of the page.
        facts: Name and value of further facts in its head.
        notices: Further sentences about the figures, before those of the budget.
        corrected: Figures corrected by the blind share of a project.

    Raises: OutputError if it cannot be written.
    """
    content = page_content(budget, facts=facts or {})
    content["notices"] = [*notices, *budget.notices]
    if corrected is not None:
        labels = budget.coding.labels
        titles = {name: labels.title(label) for label, name in enumerate(labels.names)}
        content["corrected"] = corrected_content(corrected, titles=titles, most_groups=_MOST_GROUPS)
    scripts = ("charts.js", "parts.js", "corrected.js", "budget.js")
    write_page(path, body="budget.html", title=title, content=content, scripts=scripts)


def page_content(budget: TimeBudget, *, facts: Mapping[str, str]) -> dict[str, object]:
    """The content of the page; times in hundredths of a second."""
    coding = budget.coding
    minutes = rounded(float(coding.seconds.sum()) / 60, 1)
    shown = _shown(budget)
    used = np.unique(coding.behaviours).tolist()
    interval = f"95 %, bootstrap over videos ({budget.num_resamples}, seed {budget.seed})"
    known = [
        ["", count(len(coding.segments), "event")],
        ["", count(len(set(coding.videos)), "video")],
        ["", f"{count(len(coding), 'observation')} of {minutes} min in all"],
        *([["intervals", interval]] if budget.num_resamples else []),
        ["follows", f"within {budget.lag_seconds:g} s"],
        *(list(fact) for fact in facts.items()),
    ]
    tables = [one for one in budget.tables if one.name != VIDEOS and _is_shown(one)]
    whole = [one for one in budget.relations if one.name == "all"]
    return {
        "facts": known,
        "behaviours": [coding.labels.title(label) for label in range(len(coding.labels))],
        "used": used,
        "colours": _colours(coding.labels, used),
        "parts": _parts(coding.labels, used),
        "conditions": list(group_columns(budget)),
        "observations": _observations(budget, shown),
        "left_out": len(coding) - len(shown),
        "longest": round(float(coding.seconds.max()), 3),
        "tables": [_table(one) for one in tables],
        "bins": [_bins(one) for one in budget.bins if one.name != VIDEOS and _is_shown(one)],
        "together": {one.level: _together(one) for one in whole},
        "follows": {one.level: _follows(one) for one in whole},
        "lag": budget.lag_seconds,
    }


def _is_shown(table: BudgetTable) -> bool:
    return len(table.groups) <= _MOST_GROUPS


def _shown(budget: TimeBudget) -> list[int]:
    """The observations that are drawn, sorted by their conditions, then as in the files."""
    coding = budget.coding
    numbers = np.bincount(coding.observations, minlength=len(coding))
    kept = np.flatnonzero(np.cumsum(numbers) <= MOST_EVENTS)[:MOST_OBSERVATIONS].tolist()
    columns = list(coding.conditions.values())
    return sorted(kept or [0], key=lambda i: [column[i] for column in columns])


def _observations(budget: TimeBudget, shown: list[int]) -> list[dict[str, object]]:
    coding = budget.coding
    bounds = np.searchsorted(coding.observations, np.arange(len(coding) + 1))
    times = np.round(100 * coding.segments).astype(np.int64)
    found = []
    for i in shown:
        rows = slice(bounds[i], min(bounds[i + 1], bounds[i] + MOST_EVENTS))
        person = (coding.persons[i],) if coding.has_persons else ()
        found.append(
            {
                "video": coding.videos[i],
                "seconds": round(float(coding.seconds[i]), 3),
                "values": [*person, *(column[i] for column in coding.conditions.values())],
                "start": times[rows, 0].tolist(),
                "end": times[rows, 1].tolist(),
                "label": coding.behaviours[rows].tolist(),
            }
        )
    return found


def _colours(labels: LabelMap, used: list[int]) -> list[str]:
    """A colour for each label: that of its body part, else its own."""
    place = {label: i for i, label in enumerate(used)}
    return [
        PART_COLOURS[
            (labels.parents[label] if labels.has_parents else place.get(label, 0))
            % len(PART_COLOURS)
        ]
        for label in range(len(labels))
    ]


def _parts(labels: LabelMap, used: list[int]) -> list[list[str]]:
    """Names and colours of a legend: of body parts, or of the labels if colours differ."""
    if labels.has_parents:
        parts = sorted({labels.parents[label] for label in used})
        return [[labels.parent_map.title(i), PART_COLOURS[i % len(PART_COLOURS)]] for i in parts]
    if len(used) > len(PART_COLOURS):
        return []
    return [[labels.title(label), PART_COLOURS[i]] for i, label in enumerate(used)]


def _table(table: BudgetTable) -> dict[str, object]:
    found = table.measures
    blank = np.full(found.count.shape, np.nan)
    ranges = [(blank, blank)] * 3
    if found.intervals is not None:
        some = (found.intervals.rate, found.intervals.share, found.intervals.mean)
        ranges = [(one.low, one.high) for one in some]
    lasts = (found.durations.count > 0) | (found.total_seconds > 0)
    share = np.where(lasts | (found.count == 0), found.share_of_time, np.nan)
    measures = {
        "rate": (found.rate_per_minute, *ranges[0]),
        "share": (share, *ranges[1]),
        "mean": (found.durations.mean, *ranges[2]),
        "latency": (found.latencies.mean, blank, blank),
    }
    return {
        "name": table.name,
        "level": table.level,
        "groups": [", ".join(values) for values in table.groups],
        "labels": [table.labels.title(label) for label in range(len(table.labels))],
        "count": found.count[..., 0].tolist(),
        "sd": _numbers(found.durations.sd[..., 0]),
        "measures": {
            name: [_numbers(one[..., 0]) for one in values] for name, values in measures.items()
        },
    }


def _bins(table: BudgetTable) -> dict[str, object]:
    return {
        "name": table.name,
        "level": table.level,
        "groups": [", ".join(values) for values in table.groups],
        "labels": [table.labels.title(label) for label in range(len(table.labels))],
        "edges": table.edges.round(3).tolist(),
        "rate": _numbers(table.measures.rate_per_minute),
        "share": _numbers(table.measures.share_of_time),
    }


def _together(one: Relations) -> list[list[object]]:
    """The pairs with most time together: names, seconds, expected seconds, Jaccard."""
    seconds, jaccard = one.together.seconds[0], one.together.jaccard[0]
    first, second = np.triu_indices(len(seconds), k=1)
    order = np.argsort(-seconds[first, second], kind="stable")[:_MOST_PAIRS]
    return [
        [
            one.labels.title(int(a)),
            one.labels.title(int(b)),
            round(float(seconds[a, b]), 3),
            round(float(one.together.expected_seconds[0, a, b]), 3),
            round(float(jaccard[a, b]), 6),
        ]
        for a, b in zip(first[order], second[order], strict=True)
        if seconds[a, b] > 0
    ]


def _follows(one: Relations) -> list[list[object]]:
    """The most frequent transitions: names, number, expected, residual, share followed."""
    lags = one.lags
    number = lags.transitions[0]
    first, second = np.unravel_index(np.argsort(-number, axis=None, kind="stable"), number.shape)
    expected, residual = lags.expected[0], lags.adjusted_residual[0]
    return [
        [
            one.labels.title(int(a)),
            one.labels.title(int(b)),
            int(number[a, b]),
            *_numbers(np.array([expected[a, b], residual[a, b]])),
            round(float(lags.followed[0, a, b] / lags.events[0, a]), 6),
        ]
        for a, b in list(zip(first.tolist(), second.tolist(), strict=True))[:_MOST_PAIRS]
        if number[a, b]
    ]


def _numbers(values: Floats) -> list:
    """Nested lists with six decimals, and NaN, which becomes null."""
    return np.round(values, 6).tolist()
