"""The loggers of a training: what they are sent, and what happens if one fails."""

import csv
import json
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mmad.engine.loggers import collection
from mmad.engine.loggers.collection import Loggers, require_loggers
from mmad.engine.loggers.contract import Ending, LoggedRun, Row
from mmad.errors import ConfigError

STEP = {"kind": "step", "step": 1, "epoch": 0, "loss": 2.0}
VALIDATION = {"kind": "validation", "step": 1, "epoch": 0, "action_map": 0.25, "body_map": None}


class Recording:
    """A logger that keeps what it is sent; it fails at a step."""

    made: list["Recording"] = []  # noqa: RUF012

    def __init__(self, run: LoggedRun, *, fails_at: int = -1) -> None:
        self.id = run.id or "new"
        self.rows: list[Row] = []
        self.ending: Ending | None = None
        self.fails_at = fails_at
        self.thread = ""
        self.made.append(self)

    def log(self, rows: Sequence[Row]) -> None:
        self.thread = threading.current_thread().name
        if any(row["step"] == self.fails_at for row in rows):
            raise ConnectionError("no route to host")
        self.rows += rows

    def close(self, ending: Ending) -> None:
        self.ending = ending


def install(monkeypatch: pytest.MonkeyPatch, name: str, make: Any) -> None:
    Recording.made = []
    kind = collection._Kind(make, "json", "look at it")
    monkeypatch.setattr(collection, "LOGGERS", {**collection.LOGGERS, name: kind})


def test_rows_are_sent_from_a_thread_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, "wandb", Recording)
    loggers = Loggers(["wandb"], LoggedRun(tmp_path, {}))
    for step in range(1, 50):
        loggers.append({**STEP, "step": step})
    loggers.close("finished")
    (made,) = Recording.made
    assert [row["step"] for row in made.rows] == list(range(1, 50))
    assert made.ending == "finished"
    assert made.thread == "log to wandb"


def test_a_resumed_training_has_the_same_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, "mlflow", Recording)
    Loggers(["mlflow"], LoggedRun(tmp_path, {})).close("interrupted")
    assert json.loads((tmp_path / "loggers.json").read_text()) == {"mlflow": "new"}
    (tmp_path / "loggers.json").write_text('{"mlflow": "the first"}')
    Loggers(["mlflow"], LoggedRun(tmp_path, {}, first_step=3)).close("finished")
    assert [made.id for made in Recording.made] == ["new", "the first"]
    assert [made.ending for made in Recording.made] == ["interrupted", "finished"]


def test_a_failing_logger_is_told_once_and_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, "wandb", lambda run: Recording(run, fails_at=1))
    told: list[str] = []
    loggers = Loggers(["wandb"], LoggedRun(tmp_path, {}), tell=told.append)
    loggers.append(STEP)
    loggers.close("finished")
    loggers.append({**STEP, "step": 2})
    assert told == [
        "warning: wandb takes no more of the log (no route to host); training goes on, and "
        "log.jsonl has all of it"
    ]
    assert len((tmp_path / "steps.csv").read_text().splitlines()) == 3


def test_a_logger_that_hangs_does_not_keep_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = threading.Event()
    hanging = SimpleNamespace(id=None, log=lambda rows: waiting.wait(), close=lambda ending: None)
    install(monkeypatch, "wandb", lambda run: hanging)
    monkeypatch.setattr(collection, "PATIENCE_SECONDS", 0.05)
    told: list[str] = []
    loggers = Loggers(["wandb"], LoggedRun(tmp_path, {}), tell=told.append)
    loggers.append(STEP)
    loggers.close("finished")
    waiting.set()
    assert told == ["warning: wandb has not taken the last rows of the log; they are in log.jsonl"]


def test_what_cannot_start_is_an_error_in_a_new_training_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(run: LoggedRun) -> Recording:
        raise OSError("not logged in\nat all")

    install(monkeypatch, "wandb", refuse)
    with pytest.raises(ConfigError, match=r"wandb cannot start \(not logged in\); look at it, or"):
        Loggers(["wandb"], LoggedRun(tmp_path, {}))
    told: list[str] = []
    Loggers(["wandb"], LoggedRun(tmp_path, {}, first_step=1), tell=told.append).close("finished")
    assert told == ["warning: wandb cannot start (not logged in); training goes on without it"]


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "mlflow"])
def test_a_missing_package_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, collection.LOGGERS[name].module, None)
    with pytest.raises(ConfigError, match=rf"{name} cannot be imported.*'mmad\[logging\]'"):
        require_loggers([name])


def test_tables_are_the_log(tmp_path: Path) -> None:
    loggers = Loggers([], LoggedRun(tmp_path, {}), rows=[{"kind": "data", "step": 0}, STEP])
    loggers.append(VALIDATION)
    loggers.append({**STEP, "step": 2, "loss": 1.5})
    loggers.append({**STEP, "step": 3, "loss": 1.0, "scale": 8})  # a figure that is new
    loggers.append({**STEP, "step": 4, "loss": 0.5})
    with (tmp_path / "steps.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["loss"] for row in rows] == ["2.0", "1.5", "1.0", "0.5"]
    assert [row["scale"] for row in rows] == ["", "", "8", ""]
    assert (tmp_path / "validations.csv").read_text() == (
        "step,epoch,action_map,body_map\n1,0,0.25,\n"
    )
