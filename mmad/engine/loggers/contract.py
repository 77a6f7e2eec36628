"""What a logger is, and what all of them are given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

Row = Mapping[str, Any]
Ending = Literal["finished", "failed", "interrupted"]


@dataclass(frozen=True)
class LoggedRun:
    """The training that a logger is opened for.

    Attributes:
        folder: Run folder.
        settings: All settings, by their names with dots.
        first_step: Steps that are done already: 0, or more of a resumed training.
        id: Id of the same training at the service of the logger, if it was there before.
    """

    folder: Path
    settings: Mapping[str, Any]
    first_step: int = 0
    id: str | None = None


class Logger(Protocol):
    """A place that rows of the log are sent to; whatever it raises never stops a training."""

    @property
    def id(self) -> str | None:
        """Id of the training at its service, to resume it there; None if it needs none."""

    def log(self, rows: Sequence[Row]) -> None:
        """Send rows, each with its ``kind``, ``step`` and figures."""

    def close(self, ending: Ending) -> None:
        """Send what is left; the training is over."""


def figures_of(row: Row) -> dict[str, float]:
    """The numbers of a row as ``<kind>/<name>``.

    >>> figures_of({"kind": "step", "step": 3, "epoch": 0, "loss": 0.5, "note": "x"})
    {'step/loss': 0.5}
    """
    return {
        f"{row['kind']}/{name}": value
        for name, value in row.items()
        if name not in ("step", "epoch") and isinstance(value, int | float)
    }
