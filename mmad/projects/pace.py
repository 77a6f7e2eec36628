"""How fast people decide."""

from collections.abc import Collection
from datetime import datetime
from itertools import pairwise

from mmad.projects.project import Project

# A longer time between two decisions is a break.
BREAK_SECONDS = 60.0
_LEAST_DECISIONS = 10


def decisions_an_hour(project: Project, *, annotators: Collection[str] = ()) -> float | None:
    """Decisions in an hour of work, breaks left out; None with fewer than ten decisions.

    Args:
        project: The project.
        annotators: Whose decisions; everybody's if empty.
    """
    seconds, number = 0.0, 0
    for annotator in annotators or project.decisions.annotators():
        times = [
            datetime.fromisoformat(change.made)
            for change in project.decisions.history(annotator=annotator)
            if change.what not in ("undo", "redo")
        ]
        for before, after in pairwise(times):
            gap = (after - before).total_seconds()
            if gap <= BREAK_SECONDS:
                seconds, number = seconds + gap, number + 1
    if number < _LEAST_DECISIONS or seconds <= 0:
        return None
    return 3600 * number / seconds
