"""Weights & Biases and MLflow themselves, with what they write to disk instead of a server."""

from pathlib import Path

import pytest

from mmad.engine.loggers.collection import Loggers
from mmad.engine.loggers.contract import LoggedRun

pytestmark = [pytest.mark.slow, pytest.mark.long]

ROW = {"kind": "step", "step": 1, "epoch": 0, "loss": 2.0, "mAP@0.5": 0.25}
SETTINGS = {"seed": 0, "training.epochs": 3}


def test_mlflow_has_one_run_before_and_after_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracking = pytest.importorskip("mlflow.tracking")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "store").as_uri())
    for first, ending in ((0, "interrupted"), (1, "finished")):
        loggers = Loggers(["mlflow"], LoggedRun(tmp_path, SETTINGS, first_step=first))
        loggers.append({**ROW, "step": first + 1})
        loggers.close(ending)
    client = tracking.MlflowClient()
    experiment = client.get_experiment_by_name("mmad")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params == {"seed": "0", "training.epochs": "3"}
    history = client.get_metric_history(run.info.run_id, "step/loss")
    assert [(point.step, point.value) for point in history] == [(1, 2.0), (2, 2.0)]
    assert run.data.metrics["step/mAP_0.5"] == 0.25


def test_wandb_has_one_id_before_and_after_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    told: list[str] = []
    for first, ending in ((0, "interrupted"), (1, "finished")):
        run = LoggedRun(tmp_path, SETTINGS, first_step=first)
        loggers = Loggers(["wandb"], run, tell=told.append)
        loggers.append({**ROW, "step": first + 1})
        loggers.close(ending)
    files = sorted((tmp_path / "wandb").glob("offline-run-*/*.wandb"))
    assert told == []
    assert len(files) == 2
    assert len({file.name for file in files}) == 1
    assert b"mAP@0.5" in files[0].read_bytes()
