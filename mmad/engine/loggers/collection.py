"""The loggers of a training: opened by name, fed from one place, never in its way."""

import importlib
import queue
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from mmad.config.base import validated
from mmad.engine.loggers.contract import Ending, LoggedRun, Logger, Row
from mmad.engine.loggers.mlflow import MLflowLogger
from mmad.engine.loggers.tables import LogTables
from mmad.engine.loggers.tensorboard import TensorBoardLogger
from mmad.engine.loggers.wandb import WandbLogger
from mmad.errors import CheckpointError, ConfigError
from mmad.files import write_json
from mmad.parsing import json_value, read_text

# How long a training waits at its end for what is still to be sent, in seconds.
PATIENCE_SECONDS = 60.0
# The ids of a run at the services of its loggers.
IDS_FILE = "loggers.json"
_IDS = TypeAdapter(dict[str, str])


@dataclass(frozen=True)
class _Kind:
    """How a logger is opened, the module that it needs, and what to do if it cannot start."""

    open: Callable[[LoggedRun], Logger]
    module: str
    advice: str


LOGGERS: Mapping[str, _Kind] = {
    "tensorboard": _Kind(TensorBoardLogger, "torch.utils.tensorboard", "see the message"),
    "wandb": _Kind(WandbLogger, "wandb", "log in with `wandb login`, or set WANDB_MODE=offline"),
    "mlflow": _Kind(
        MLflowLogger,
        "mlflow",
        "set MLFLOW_TRACKING_URI to your server, or pip install mlflow for a database of its own",
    ),
}


def require_loggers(names: Sequence[str]) -> None:
    """Raise `ConfigError`, with how to install it, if the package of a logger is missing."""
    for name in names:
        try:
            importlib.import_module(LOGGERS[name].module)
        except ImportError as error:
            raise ConfigError(
                f"training.loggers: {name} cannot be imported ({error}); "
                "pip install 'mmad[logging]', or leave it out"
            ) from None


class Loggers:
    """CSV tables, and the loggers of ``training.loggers``, which run in threads of their own.

    A logger that fails is told of once and left out from then on: the run folder has the whole log.

    Args:
        names: Names in `LOGGERS`.
        run: The training.
        rows: Rows of the log so far.
        tell: Called with what the user should know.

    Raises: ConfigError if a logger of a new training cannot start; of a resumed one it is left out.
    """

    def __init__(
        self,
        names: Sequence[str],
        run: LoggedRun,
        *,
        rows: Sequence[Row] = (),
        tell: Callable[[str], None] | None = None,
    ) -> None:
        tell = tell or _tell
        self._tables = LogTables(run.folder, rows)
        self._senders: list[_Sender] = []
        ids = _read_ids(run.folder) if run.first_step else {}
        for name in names:
            try:
                logger = LOGGERS[name].open(replace(run, id=ids.get(name)))
            except Exception as error:  # of whatever the package raises
                text = f"{name} cannot start ({_reason(error)})"
                if not run.first_step:
                    raise ConfigError(
                        f"training.loggers: {text}; {LOGGERS[name].advice}, or leave it out"
                    ) from None
                tell(f"warning: {text}; training goes on without it")
                continue
            if logger.id is not None:
                ids[name] = logger.id
            self._senders.append(_Sender(name, logger, tell=tell))
        if ids:
            write_json(run.folder / IDS_FILE, ids)

    def append(self, row: Row) -> None:
        """Add a row to the tables, and send it."""
        self._tables.append(row)
        for sender in self._senders:
            sender.append(row)

    def close(self, ending: Ending) -> None:
        """Send what is left, within `PATIENCE_SECONDS`."""
        for sender in self._senders:
            sender.stop(ending)
        for sender in self._senders:
            sender.wait(PATIENCE_SECONDS)


class _Sender:
    """Hands the rows to one logger, from a thread, so that a slow service does not hold up the
    training.
    """

    def __init__(self, name: str, logger: Logger, *, tell: Callable[[str], None]) -> None:
        self._name, self._logger, self._tell = name, logger, tell
        self._rows: queue.SimpleQueue[Row | None] = queue.SimpleQueue()
        self._ending: Ending = "failed"
        self._failed = False
        self._thread = threading.Thread(target=self._work, name=f"log to {name}", daemon=True)
        self._thread.start()

    def append(self, row: Row) -> None:
        if not self._failed:
            self._rows.put(dict(row))

    def stop(self, ending: Ending) -> None:
        self._ending = ending
        self._rows.put(None)

    def wait(self, seconds: float) -> None:
        self._thread.join(seconds)
        if self._thread.is_alive():
            self._tell(
                f"warning: {self._name} has not taken the last rows of the log; they are "
                "in log.jsonl"
            )

    def _work(self) -> None:
        try:
            while (rows := self._next())[-1:] != [None]:
                self._logger.log(rows)
            if rows[:-1]:
                self._logger.log(rows[:-1])
            self._logger.close(self._ending)
        except Exception as error:  # of whatever the package raises
            self._failed = True
            self._tell(
                f"warning: {self._name} takes no more of the log ({_reason(error)}); training "
                "goes on, and log.jsonl has all of it"
            )

    def _next(self) -> list[Any]:
        """All rows that wait, at least one; None is the last."""
        rows = [self._rows.get()]
        while rows[-1] is not None and not self._rows.empty():
            rows.append(self._rows.get())
        return rows


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:160] if lines else type(error).__name__


def _read_ids(folder: Path) -> dict[str, str]:
    path = folder / IDS_FILE
    if not path.is_file():
        return {}
    content = json_value(path, read_text(path, error=CheckpointError), error=CheckpointError)
    return validated(_IDS, content, source=path, error=CheckpointError)
