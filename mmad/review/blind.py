"""Coding the blind share on the page: what is hidden from a person, what to code next."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeVar

import numpy as np

from mmad.projects.blind import CONTEXT_SECONDS
from mmad.projects.project import Project
from mmad.projects.records import Curves


class _Timed(Protocol):
    @property
    def start_seconds(self) -> float: ...
    @property
    def end_seconds(self) -> float: ...


_One = TypeVar("_One", bound=_Timed)


def shown(items: Iterable[_One], hidden: Sequence[tuple[float, float]]) -> list[_One]:
    """The items that touch none of the hidden times."""
    return [
        one
        for one in items
        if not any(one.start_seconds < end and one.end_seconds > start for start, end in hidden)
    ]


def blanked(curves: Curves, hidden: Sequence[tuple[float, float]]) -> Curves:
    """Scores over time without those of hidden times."""
    scores = curves.scores.copy()
    starts = curves.step_seconds * np.arange(len(scores))
    for start, end in hidden:
        scores[(starts < end) & (starts + curves.step_seconds > start)] = 0
    return replace(curves, scores=scores)


def progress_of(project: Project, annotator: str, playable: Collection[int]) -> dict[str, Any]:
    """How far a person is with the blind share, and the stretch that is next.

    Args:
        project: The project.
        annotator: Who codes.
        playable: Numbers of the videos that can be played.
    """
    numbers = {one.name: one.id for one in project.catalogue.videos()}
    waiting = project.blind.waiting(annotator)
    ready = [one for one in waiting if numbers[one.video] in playable]
    done = len(project.blind.done(annotator))
    return {
        "done": done,
        "total": done + len(ready),
        "seen": len(project.blind.seen(annotator)),
        "missing": len(waiting) - len(ready),
        "context": CONTEXT_SECONDS,
        "next": [
            {
                "id": one.id,
                "video": numbers[one.video],
                "start": one.start_seconds,
                "end": one.end_seconds,
            }
            for one in ready[:1]
        ],
    }
