"""A training run from its start to its folder."""

import sys
from pathlib import Path

import pytest
import yaml

from mmad.config.reading import load_any_config
from mmad.config.run import VideoRun
from mmad.engine.runs.folder import RunFolder
from mmad.engine.training import train_run
from mmad.errors import CheckpointError, ConfigError
from support.runs import losses_of
from support.synthetic_data import tiny_config

pytestmark = pytest.mark.slow


def test_run_folder_is_complete(detection_run: Path) -> None:
    names = {
        str(path.relative_to(detection_run)) for path in detection_run.rglob("*") if path.is_file()
    }
    assert names == {
        *(
            "config.yaml",
            "labels.json",
            "environment.json",
            "log.jsonl",
            "steps.csv",
            "validations.csv",
            "curves.png",
            "frozen.safetensors",
        ),
        *("last.pt", "best.safetensors", "predictions/val.csv", "predictions/val.json"),
    }
    kinds = [row["kind"] for row in RunFolder(detection_run).rows()]
    assert kinds.count("step") == 3 * 2
    assert kinds.count("validation") == 3


def test_tensorboard_gets_the_log(videos: Path, tmp_path: Path) -> None:
    event_files = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    config = tiny_config(videos, training__loggers=["tensorboard"], training__epochs=1)
    train_run(config, out=tmp_path / "run", quiet=True)
    events = event_files.EventAccumulator(str(tmp_path / "run/tensorboard"))
    events.Reload()
    losses = [event.value for event in events.Scalars("step/loss")]
    assert losses == pytest.approx(losses_of(tmp_path / "run"))
    assert len(events.Scalars("validation/action_map")) == 1


def test_tensorboard_that_is_not_installed_is_named(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    config = tiny_config(videos, training__loggers=["tensorboard"])
    with pytest.raises(ConfigError, match=r"pip install 'mmad\[logging\]'"):
        train_run(config, out=tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


def test_missing_weights_leave_no_run_folder(videos: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no such file"):
        train_run(tiny_config(videos, backbone__pretrained="no.safetensors"), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_existing_folder_needs_resume(detection_run: Path, videos: Path) -> None:
    with pytest.raises(ConfigError, match="exists already; choose another --out"):
        train_run(tiny_config(videos), out=detection_run, quiet=True)
    with pytest.raises(CheckpointError, match="was started with other settings"):
        train_run(tiny_config(videos, seed=9), out=detection_run, resume=True, quiet=True)


def test_config_is_written_whole(detection_run: Path, videos: Path) -> None:
    assert load_any_config(detection_run / "config.yaml") == tiny_config(videos)
    content = yaml.safe_load((detection_run / "config.yaml").read_text())
    assert content.keys() == {"paths_relative_to", *VideoRun.model_fields}
