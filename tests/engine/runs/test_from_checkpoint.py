"""A detector of OpenTAD as a run of our own: it predicts, is fine-tuned, resumed and exported."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from mmad.checkpoint import load_tensors
from mmad.cli.main import app
from mmad.config.reading import dump_config, load_config
from mmad.engine.runs.folder import RunFolder
from mmad.engine.runs.from_checkpoint import import_run
from mmad.engine.runs.load import load_run
from mmad.engine.training import train_run
from mmad.errors import CheckpointError
from mmad.labels import MA52
from mmad.models.build import build_detector
from mmad.models.detectors.whole import EndToEndDetector
from mmad.weights.load import load_backbone
from support.detector_checkpoints import opentad_checkpoint, random_detector
from support.detector_checkpoints import tiny_tia_config as config

pytestmark = pytest.mark.slow


@pytest.fixture
def imported(videos: Path, tmp_path: Path) -> tuple[EndToEndDetector, Path]:
    model = random_detector(videos)
    torch.save(opentad_checkpoint(model), tmp_path / "epoch_3.pth")
    report = import_run(
        tmp_path / "epoch_3.pth", config(videos), out=tmp_path / "run", labels=MA52, fps=15
    )
    assert not report.missing
    assert not report.unexpected
    return model, tmp_path / "run"


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(value.equal(b[name]) for name, value in a.items())


@pytest.mark.parametrize("fps", [float("nan"), float("inf"), 0.0, -5.0])
def test_rates_are_finite_and_positive(fps: float, tmp_path: Path) -> None:
    run = load_config("configs/demo.yaml")
    with pytest.raises(CheckpointError, match="--fps: input should be"):
        import_run(tmp_path / "w.pt", run, out=tmp_path / "run", labels=MA52, fps=fps)


def test_the_weights_are_the_same(imported: tuple[EndToEndDetector, Path]) -> None:
    model, run = imported
    loaded, _, labels = load_run(run)
    assert same(model.state_dict(), loaded.state_dict())
    assert labels == MA52
    assert RunFolder(run).training_fps() == 15


def test_it_predicts_and_is_scored(imported: tuple[EndToEndDetector, Path]) -> None:
    _, run = imported
    for arguments in (
        ["predict", str(run), "--subset", "val"],
        ["eval", str(run / "predictions/val.csv")],
    ):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output


def test_it_is_fine_tuned_and_resumed(
    imported: tuple[EndToEndDetector, Path], videos: Path, tmp_path: Path
) -> None:
    model, run = imported
    settings = config(
        videos, training__start=str(run), training__epochs=2, training__learning_rate=1e-9
    )
    tuned = train_run(settings, out=tmp_path / "tuned", quiet=True)
    after, _, _ = load_run(tmp_path / "tuned")
    moved = max(
        float((value - after.state_dict()[name]).abs().max())
        for name, value in model.network.state_dict(prefix="network.").items()
    )
    assert moved < 1e-6  # it began at the imported weights, not at random ones
    resumed = train_run(settings, out=tmp_path / "tuned", resume=True, quiet=True)
    assert resumed.rows() == tuned.rows()


def test_export_and_back_is_exact(
    imported: tuple[EndToEndDetector, Path], videos: Path, tmp_path: Path
) -> None:
    model, run = imported
    result = CliRunner().invoke(app, ["weights", "export", str(run), str(tmp_path / "hf")])
    assert result.exit_code == 0, result.output
    assert {path.name for path in (tmp_path / "hf").iterdir()} == {
        *("config.json", "model.safetensors", "mmad-config.yaml", "mmad-labels.json")
    }
    again = build_detector(config(videos, seed=3), num_classes=52)
    load_backbone(again.features.backbone, str(tmp_path / "hf"))
    assert same(model.features.backbone.state_dict(), again.features.backbone.state_dict())
    whole, _ = load_tensors(tmp_path / "hf/model.safetensors")
    head = {n.removeprefix("detector."): v for n, v in whole.items() if n.startswith("detector.")}
    assert same(model.network.state_dict(), head)

    arguments = ["weights", "export", str(run), str(tmp_path / "trained"), "--trained-only"]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    trained, _ = load_tensors(tmp_path / "trained/trained.safetensors")
    wanted = {n: v for n, v in model.state_dict().items() if ".adapter." in n or "network." in n}
    assert same(wanted, trained)


def test_other_classes_or_sizes_are_refused(videos: Path, tmp_path: Path) -> None:
    torch.save(opentad_checkpoint(random_detector(videos)), tmp_path / "epoch_3.pth")
    labels = type(MA52)(names=("nodding", "waving"))
    with pytest.raises(CheckpointError, match=r"a detector of 52 classes, the labels .* are 2"):
        import_run(tmp_path / "epoch_3.pth", config(videos), out=tmp_path / "run", labels=labels)
    other = config(videos, detector__num_stem=1)
    with pytest.raises(CheckpointError, match=r"missing: network\.pyramid\.stem\.0"):
        import_run(tmp_path / "epoch_3.pth", other, out=tmp_path / "run", labels=MA52)
    assert not (tmp_path / "run").exists()


def test_the_command_makes_a_run(videos: Path, tmp_path: Path) -> None:
    torch.save(opentad_checkpoint(random_detector(videos)), tmp_path / "epoch_3.pth")
    (tmp_path / "c.yaml").write_text(dump_config(config(videos)))
    source, run = str(tmp_path / "epoch_3.pth"), str(tmp_path / "run")
    inspected = CliRunner().invoke(app, ["weights", "inspect", source])
    assert "52 classes" in inspected.output
    arguments = ["weights", "convert", source, run, "--config", str(tmp_path / "c.yaml")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert load_run(run)[1] == config(videos)
