"""A time budget: measures of behaviours, of body parts, and of both in groups and bins of time."""

from collections.abc import Iterator
from dataclasses import dataclass

from mmad.errors import AnnotationError
from mmad.evaluation.budget.coding import Coding
from mmad.evaluation.budget.lags import Lags, measure_lags
from mmad.evaluation.budget.measures import Measures, bin_edges, group_of_each, measure
from mmad.evaluation.budget.together import Together, measure_together
from mmad.labels import LabelMap
from mmad.structures import Floats

VIDEOS = "video"
# Rows of videos and bins beyond which only groups of videos are cut into bins.
MOST_ROWS_OF_BINS = 1_000_000


@dataclass(frozen=True, eq=False)
class BudgetTable:
    """The measures of the observations in groups.

    Attributes:
        name: What makes the groups: "all", "video", "person", or names of conditions.
        level: "action" or "body".
        columns: Names of what the groups differ in.
        groups: Its values in each group, (G,).
        labels: Labels of the level.
        edges: Edges of the bins in seconds, (B + 1,).
        measures: The measures.
    """

    name: str
    level: str
    columns: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    labels: LabelMap
    edges: Floats
    measures: Measures


@dataclass(frozen=True, eq=False)
class Relations:
    """What is shown together, and what follows what, in groups.

    Attributes:
        name: What makes the groups.
        level: "action" or "body".
        columns: Names of what the groups differ in.
        groups: Its values in each group, (G,).
        labels: Labels of the level.
        together: Behaviours at the same time.
        lags: Behaviours after each other.
    """

    name: str
    level: str
    columns: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    labels: LabelMap
    together: Together
    lags: Lags


@dataclass(frozen=True, eq=False)
class TimeBudget:
    """All tables of a time budget.

    Attributes:
        coding: Observations and events.
        tables: Measures over whole videos; those of groups have intervals over videos.
        bins: The same in bins of time; empty if there are none.
        relations: Behaviours together and after each other.
        bin_seconds: Length of a bin, or None.
        lag_seconds: The window after an event.
        num_resamples: Bootstrap resamples of the intervals; 0 for no intervals.
        seed: Their seed.
        notices: What was assumed or left out, one sentence each.
    """

    coding: Coding
    tables: tuple[BudgetTable, ...]
    bins: tuple[BudgetTable, ...]
    relations: tuple[Relations, ...]
    bin_seconds: float | None
    lag_seconds: float
    num_resamples: int
    seed: int
    notices: tuple[str, ...] = ()

    def table(self, name: str, *, level: str = "action") -> BudgetTable:
        """The table of this name over whole videos."""
        return next(one for one in self.tables if (one.name, one.level) == (name, level))


def make_budget(
    coding: Coding,
    *,
    bin_seconds: float | None = None,
    lag_seconds: float = 2.0,
    num_resamples: int = 1000,
    seed: int = 0,
) -> TimeBudget:
    """The time budget of ``coding``.

    Groups are: all; the values of each condition, and of all conditions together; the persons, also
    by condition; and each person in each video. The first three have intervals over videos.

    Args:
        coding: Observations and events.
        bin_seconds: Length of bins of time, for tables of bins.
        lag_seconds: Longest time from the start of an event to that of a following one.
        num_resamples: Bootstrap resamples of the videos of each group; 0 for no intervals.
        seed: Seed of the resamples.

    Raises: AnnotationError if there are no videos, or a length of time is not above 0.
    """
    if not len(coding):
        raise AnnotationError("there is no video, so there is nothing to count")
    tables, bins, relations, notices = [], [], [], list(coding.notices)
    for level, of_level in _levels(coding).items():
        for name, columns, has_intervals in groupings(coding):
            groups, values = group_of_each(_values(coding, columns))
            head = (name, level, columns, tuple(values), of_level.labels)
            some = num_resamples if has_intervals else 0
            whole = measure(of_level, groups, num_resamples=some, seed=seed)
            tables.append(BudgetTable(*head, bin_edges(coding, None), whole))
            if bin_seconds is not None:
                edges = bin_edges(coding, bin_seconds)
                rows = len(values) * len(of_level.labels) * (len(edges) - 1)
                if name == VIDEOS and rows > MOST_ROWS_OF_BINS:
                    notices.append(
                        f"{rows:,} rows of videos in bins ({level} level) are left out; bins of "
                        "groups of videos are there"
                    )
                    continue
                found = measure(
                    of_level, groups, bin_seconds=bin_seconds, num_resamples=some, seed=seed
                )
                bins.append(BudgetTable(*head, edges, found))
            if has_intervals:
                together = measure_together(of_level, groups)
                lags = measure_lags(of_level, groups, window_seconds=lag_seconds)
                relations.append(Relations(*head, together, lags))
    return TimeBudget(
        coding=coding,
        tables=tuple(tables),
        bins=tuple(bins),
        relations=tuple(relations),
        bin_seconds=bin_seconds,
        lag_seconds=lag_seconds,
        num_resamples=num_resamples,
        seed=seed,
        notices=tuple(notices),
    )


def _levels(coding: Coding) -> dict[str, Coding]:
    body = {"body": coding.of_body_parts()} if coding.labels.has_parents else {}
    return {"action": coding} | body


def groupings(coding: Coding) -> Iterator[tuple[str, tuple[str, ...], bool]]:
    """Name and columns of each grouping, and whether its groups are of many videos each."""
    conditions = tuple(coding.conditions)
    yield "all", (), True
    for name in conditions:
        yield name, (name,), True
    if len(conditions) > 1:
        yield " x ".join(conditions), conditions, True
    if coding.has_persons:
        yield "person", ("person",), False
        if conditions:
            yield " x ".join(("person", *conditions)), ("person", *conditions), False
    persons = ("person",) if coding.has_persons else ()
    yield VIDEOS, (VIDEOS, *persons, *conditions), False


def _values(coding: Coding, columns: tuple[str, ...]) -> list[tuple[str, ...]]:
    known = {VIDEOS: coding.videos, "person": coding.persons, **coding.conditions}
    # Without columns, all observations have the same, empty values.
    return [known[name] for name in columns] or [("",) * len(coding)]
