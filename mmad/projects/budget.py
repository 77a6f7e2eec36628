"""Time budgets of a project: what was coded and found, and figures corrected by the blind share.

Shapes: G groups, K behaviours.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mmad.evaluation.blind.correction import Corrected, Known, correct
from mmad.evaluation.blind.tally import Tally
from mmad.evaluation.budget.budget import groupings
from mmad.evaluation.budget.coding import Coding, make_coding
from mmad.evaluation.budget.conditions import Conditions
from mmad.projects.events import event_of
from mmad.projects.study import Coded, Study
from mmad.structures import Floats

# What a video is said to be in a condition that only others have.
_NOT_GIVEN = "not given"


@dataclass(frozen=True, eq=False)
class CorrectedGroup:
    """Figures of a group of videos, raw and corrected.

    Attributes:
        values: What makes the group: its value in each column.
        seconds: Observed time.
        coded_seconds: The part of it that the person has coded, blind or not.
        blind_seconds: The part coded blind.
        num_blind: Number of its blind stretches.
        raw_count: Detections, (K,).
        raw_seconds: Time in which the model found each behaviour, (K,).
        corrected: Corrected figures, or None with fewer than two blind stretches.
    """

    values: tuple[str, ...]
    seconds: float
    coded_seconds: float
    blind_seconds: float
    num_blind: int
    raw_count: Floats
    raw_seconds: Floats
    corrected: Corrected | None


@dataclass(frozen=True, eq=False)
class CorrectedTable:
    """Corrected figures of the groups of one kind.

    Attributes:
        name: What makes the groups, as in `BudgetTable`.
        columns: Names of what the groups differ in.
        groups: The groups.
    """

    name: str
    columns: tuple[str, ...]
    groups: tuple[CorrectedGroup, ...]


@dataclass(frozen=True, eq=False)
class CorrectedFigures:
    """All corrected figures of a project.

    Attributes:
        study: Whose coding, and which source.
        columns: Names of conditions.
        tables: Tables of groups; the first is of all videos.
    """

    study: Study
    columns: tuple[str, ...]
    tables: tuple[CorrectedTable, ...]

    @property
    def rows(self) -> list[list[str | int | float | None]]:
        """A row for each group and behaviour, as `corrected_rows` makes them."""
        return list(corrected_rows(self.tables, self.study.labels.names, self.columns))

    @property
    def header(self) -> tuple[str, ...]:
        """Names of the columns of a row."""
        return ("table", "behaviour", *self.columns, *CORRECTED)


def correct_study(study: Study, coding: Coding) -> CorrectedFigures | None:
    """Figures corrected with the blind share; None if there are less than two coded stretches."""
    if len(study.blind) < 2:
        return None
    tables = tuple(corrected_tables(study, coding))
    return CorrectedFigures(study, tuple(coding.conditions), tables)


def study_coding(study: Study) -> Coding:
    """What the person coded where they have coded, and what the model found elsewhere.

    Raises: AnnotationError if there is no video.
    """
    names = dict(study.behaviours)
    videos = {one.name: one for one in study.videos}
    events = []
    for some in (study.blind, study.shown):
        for stretch in some:
            video = videos[stretch.video]
            events += [
                event_of(one, video, names)
                for one in stretch.instances
                if _starts_in(one.start_seconds, stretch)
            ]
    for stretch in study.of_rest():
        video = videos[stretch.video]
        events += [
            event_of(one, video, names)
            for one in study.detections[stretch.video]
            if _starts_in(one.start_seconds, stretch)
        ]
    return make_coding(
        events,
        seconds={one.name: one.duration_seconds for one in study.videos},
        conditions=_conditions(study),
        out_of_video="clip",
    )


def _starts_in(seconds: float, stretch: Coded) -> bool:
    return stretch.start_seconds <= seconds < stretch.end_seconds


def _conditions(study: Study) -> Conditions:
    names = tuple(dict.fromkeys(name for one in study.videos for name in one.conditions))
    rows = {
        (one.name, one.person or ""): tuple(one.conditions.get(name, _NOT_GIVEN) for name in names)
        for one in study.videos
    }
    persons = {one.name: (one.person,) for one in study.videos if one.person}
    return Conditions(names=names, rows=rows, _persons=persons)


def corrected_tables(study: Study, coding: Coding) -> list[CorrectedTable]:
    """The figures of each kind of group that has intervals in a budget, raw and corrected."""
    parts = {
        "blind": (study.blind, study.tally(study.blind)),
        "shown": (study.shown, study.tally(study.shown)),
        "rest": (study.of_rest(), study.tally(study.of_rest())),
    }
    typical = _typical_seconds(parts)
    found = []
    for name, columns, has_intervals in groupings(coding):
        if not has_intervals:
            continue
        members: dict[tuple[str, ...], set[str]] = {}
        for index, video in enumerate(coding.videos):
            values = tuple(coding.conditions[column][index] for column in columns)
            members.setdefault(values, set()).add(video)
        groups = tuple(_group(values, videos, parts, typical) for values, videos in members.items())
        found.append(CorrectedTable(name, columns, groups))
    return found


_Parts = Mapping[str, tuple[Sequence[Coded], Tally]]


def _typical_seconds(parts: _Parts) -> Floats:
    """The mean duration of an instance of each behaviour; where there is none, of all."""
    seconds = sum(
        one.coded_seconds.sum(axis=0) + one.found_seconds.sum(axis=0) for _, one in parts.values()
    )
    number = sum(one.coded.sum(axis=0) + one.found.sum(axis=0) for _, one in parts.values())
    overall = float(np.sum(seconds)) / max(float(np.sum(number)), 1.0) or 1.0
    return np.where(number > 0, seconds / np.maximum(number, 1), overall)


def _group(
    values: tuple[str, ...], videos: set[str], parts: _Parts, typical: Floats
) -> CorrectedGroup:
    blind, shown, rest = (
        tallied.take(np.array([one.video in videos for one in stretches], dtype=bool))
        for stretches, tallied in parts.values()
    )
    coded = (blind, shown)
    known = Known(
        coded=sum(one.coded.sum(axis=0) for one in coded).astype(np.float64),
        coded_seconds=sum(one.coded_seconds.sum(axis=0) for one in coded),
        found=rest.found.sum(axis=0).astype(np.float64),
        found_seconds=rest.found_seconds.sum(axis=0),
        rest_seconds=float(rest.seconds.sum()),
    )
    everything = (blind, shown, rest)
    return CorrectedGroup(
        values=values,
        seconds=float(sum(one.seconds.sum() for one in everything)),
        coded_seconds=float(sum(one.seconds.sum() for one in coded)),
        blind_seconds=float(blind.seconds.sum()),
        num_blind=len(blind),
        raw_count=sum(one.found.sum(axis=0) for one in everything).astype(np.float64),
        raw_seconds=sum(one.found_seconds.sum(axis=0) for one in everything),
        corrected=correct(blind, known, typical_seconds=typical) if len(blind) > 1 else None,
    )


CORRECTED = (
    "observed_minutes",
    "coded_minutes",
    "blind_minutes",
    "blind_stretches",
    "raw_count",
    "count",
    "count_low",
    "count_high",
    "raw_rate_per_minute",
    "rate_per_minute",
    "rate_low",
    "rate_high",
    "raw_total_seconds",
    "total_seconds",
    "total_low",
    "total_high",
    "raw_share_of_time",
    "share_of_time",
    "share_low",
    "share_high",
    "raw_mean_seconds",
    "mean_seconds",
    "mean_low",
    "mean_high",
)


def corrected_rows(
    tables: Sequence[CorrectedTable], names: Sequence[str], columns: Sequence[str]
) -> Iterator[list[str | int | float | None]]:
    """A row for each group and behaviour that was coded or found; empty where nothing is known.

    Args:
        tables: Tables of groups.
        names: Names of the behaviours.
        columns: Conditions, as columns.
    """
    for table in tables:
        for group in table.groups:
            known = dict(zip(table.columns, group.values, strict=True))
            head = [known.get(column, "") for column in columns]
            minutes = [group.seconds / 60, group.coded_seconds / 60, group.blind_seconds / 60]
            for place, name in enumerate(names):
                values = _figures(group, place)
                if not values[0] and not values[1]:
                    continue
                observed = [*(round(one, 9) for one in minutes), group.num_blind]
                yield [table.name, name, *head, *observed, *values]


def _figures(group: CorrectedGroup, place: int) -> list[float | None]:
    raw_count, raw_seconds = float(group.raw_count[place]), float(group.raw_seconds[place])
    count: list[float | None] = [None] * 3
    time: list[float | None] = [None] * 3
    mean: list[float | None] = [None] * 3
    if group.corrected is not None:
        count, time, mean = (
            [_plain(float(one[place])) for one in (each.value, each.low, each.high)]
            for each in (
                group.corrected.count,
                group.corrected.seconds,
                group.corrected.mean_seconds,
            )
        )

    def per(values: list[float | None], unit: float) -> list[float | None]:
        return [None if one is None else _plain(one * unit) for one in values]

    minute, second = 60 / group.seconds, 1 / group.seconds
    raw_mean = _plain(raw_seconds / raw_count) if raw_count else None
    return [
        raw_count,
        *count,
        *per([raw_count, *count], minute),
        _plain(raw_seconds),
        *time,
        *per([raw_seconds, *time], second),
        raw_mean,
        *mean,
    ]


def _plain(value: float) -> float | None:
    return None if value != value else round(value, 9)
