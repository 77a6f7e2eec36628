"""Teaching in a process of its own, for the page: how far it is, and what it has given, in a file.

``python -m mmad.engine.jobs.taught_apart PROJECT STATE [ANNOTATOR]``; a signal to end ends it, and
nothing is added.
"""

import sys
import time
from pathlib import Path
from typing import Any

from mmad.engine.jobs.learning import write_learning_curve
from mmad.engine.jobs.teaching import Hearer, teach
from mmad.errors import MmadError
from mmad.files import write_json
from mmad.projects.project import Project

_SECONDS_BETWEEN = 0.5


class _State:
    """What the page reads, written at most twice a second."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._content: dict[str, Any] = {"stage": "starting", "fraction": 0.0}
        self._written = 0.0

    def set(self, *, now: bool = False, **content: Any) -> None:
        """Change some of it."""
        self._content |= content
        if now or time.monotonic() - self._written > _SECONDS_BETWEEN:
            self._written = time.monotonic()
            write_json(self._path, self._content)


def main(folder: Path, path: Path, annotators: tuple[str, ...]) -> int:
    """Teach, then compute the learning curve; the exit code."""
    state = _State(path)
    hearer = Hearer(
        stage=lambda text: state.set(now=True, stage=text),
        progress=lambda fraction: state.set(fraction=fraction),
    )
    try:
        with Project.open(folder) as project:
            done = teach(project, annotators=annotators, hearer=hearer)
            state.set(now=True, taught=done.to_json(), stage="measuring what more decisions bring")
            if done.run is not None:
                curve, _ = write_learning_curve(
                    project, done, progress=lambda fraction: state.set(fraction=fraction)
                )
                state.set(curve=curve.sentence)
    except MmadError as error:
        state.set(now=True, **{"error": _without(str(error), folder)})
        return 1
    state.set(now=True, stage="done", fraction=1.0)
    return 0


def _without(text: str, folder: Path) -> str:
    """A message without the path of the project, which the page does not show."""
    return text.removeprefix(f"{folder}: ").replace(str(folder), "this project")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), tuple(sys.argv[3:])))
