"""Teaching from the page: one worker process at a time, with its progress and its result.

It is the same command as ``mmad teach``, in a process of its own, so that the page stays fluent and
ending the server ends nothing half-way: nothing is added unless all of it is there.
"""

import json
import subprocess
import sys
from pathlib import Path
from threading import Lock
from typing import Any

from pydantic import BaseModel, ConfigDict
from starlette.routing import Route

from mmad.projects.project import Project
from mmad.review.answers import got, posted
from mmad.review.refusals import Refused
from mmad.review.requests import Name

_PLACE = "teaching.json"
_CURVE = "learning_curve.json"


class TeachRequest(BaseModel):
    """Who asks to teach; decisions of all annotators count, or of this one alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    annotator: Name
    only_mine: bool = False


class CancelRequest(BaseModel):
    """Who stops it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    annotator: Name


class Teaching:
    """The teaching of a project that one server has started.

    Args:
        project: The project.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._was_stopped = False

    @property
    def _state_path(self) -> Path:
        return self._project.folder / _PLACE

    def start(self, asked: TeachRequest) -> dict[str, Any]:
        """Start, unless it runs.

        Raises: Refused if it runs.
        """
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                raise Refused(409, "it is learning already")
            self._state_path.unlink(missing_ok=True)
            words = [sys.executable, "-m", "mmad.engine.jobs.taught_apart"]
            words += [str(self._project.folder), str(self._state_path)]
            if asked.only_mine:
                words.append(asked.annotator)
            self._was_stopped = False
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        return self.state()

    def stop(self, asked: CancelRequest) -> dict[str, Any]:
        """Stop it; nothing is added."""
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                self._was_stopped = True
                self._process.terminate()
                self._process.wait()
        return self.state()

    def state(self) -> dict[str, Any]:
        """How far it is: whether it runs, its stage, the fraction done, and in the end what it has
        given or why it failed.
        """
        process = self._process
        code = None if process is None else process.poll()
        state: dict[str, Any] = {"runs": process is not None and code is None}
        if process is None:
            return state
        if self._was_stopped:
            return state | {"error": "stopped; nothing was added"}
        try:
            state |= json.loads(self._state_path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            state |= {"stage": "starting", "fraction": 0.0}
        if code and "error" not in state and "taught" not in state:
            state["error"] = "learning ended unexpectedly; nothing was added"
        return state

    def curve(self) -> dict[str, Any]:
        """The newest learning curve."""
        runs = sorted(
            self._project.folder.glob(f"runs/*/{_CURVE}"), key=lambda path: path.stat().st_mtime
        )
        if not runs:
            return {}
        found: dict[str, Any] = json.loads(runs[-1].read_text(encoding="utf-8"))
        return found


def routes(project: Project) -> list[Route]:
    """The routes of teaching."""
    teaching = Teaching(project)
    return [
        got("/api/teaching", teaching.state),
        got("/api/teaching/curve", teaching.curve),
        posted("/api/teaching", TeachRequest, teaching.start),
        posted("/api/teaching/stop", CancelRequest, teaching.stop),
    ]
