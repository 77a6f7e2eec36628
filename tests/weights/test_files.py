import argparse
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

from mmad.cli.main import app
from mmad.errors import CheckpointError
from mmad.weights.describe import describe
from mmad.weights.files import read_weights
from mmad.weights.load import load_backbone
from support.backbones import official, perturbed_backbone


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return (Path.touch, (self.path,))


def write_broken(kind: str, path: Path, trap: Path) -> None:
    tensors = official(perturbed_backbone(seed=1))
    if kind == "one key removed":
        del tensors["blocks.1.mlp.fc2.bias"]
    elif kind == "one key renamed":
        tensors["blocks.1.mlp.fc3.bias"] = tensors.pop("blocks.1.mlp.fc2.bias")
    elif kind == "another shape":
        tensors["blocks.0.norm1.weight"] = torch.ones(17)
    elif kind == "other model":
        tensors = {"conv1.weight": torch.zeros(3)}
    torch.save({"model": tensors}, path)
    if kind == "truncated":
        path.write_bytes(path.read_bytes()[:-500])
    elif kind == "text":
        path.write_text("these are not weights\n")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "pickle with code":
        torch.save({"model": tensors, "hook": Bomb(trap)}, path)
    elif kind == "plain pickle with code":
        path.write_bytes(pickle.dumps({"model": Bomb(trap)}))
    elif kind == "not weights":
        torch.save({"epoch": 3}, path)


BROKEN = {
    "one key removed": r"missing: blocks\.1\.mlp\.fc2\.bias; unexpected: none",
    "one key renamed": r"missing: blocks\.1\.mlp\.fc2\.bias; unexpected: blocks\.1\.mlp\.fc3\.bias",
    "another shape": r"blocks\.0\.norm1\.weight \(17,\) for \(16,\)",
    "other model": "holds no VideoMAE",
    "truncated": "cut off",
    "text": "not a file of weights",
    "empty": "not a file of weights",
    "pickle with code": "more than weights",
    "plain pickle with code": "more than weights|not a file of weights",
    "not weights": "holds no weights; found epoch",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_refused_and_nothing_of_it_runs(kind: str, tmp_path: Path) -> None:
    path, trap = tmp_path / "w.pth", tmp_path / "it-ran"
    write_broken(kind, path, trap)
    before = official(model := perturbed_backbone(seed=2))
    with pytest.raises(CheckpointError, match=BROKEN[kind]):
        load_backbone(model, str(path))
    assert not trap.exists()
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    config = "configs/dsta_videomae_s.yaml"
    sizes = ("--set", "backbone.size={width: 16, depth: 2, num_heads: 2}")
    arguments = ["weights", "inspect", str(path), "--config", config, *sizes]
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, CheckpointError)


def test_what_may_be_missing_is_allowed_by_name(tmp_path: Path) -> None:
    write_broken("one key renamed", tmp_path / "w.pth", tmp_path / "trap")
    report = load_backbone(
        perturbed_backbone(), str(tmp_path / "w.pth"), allow=["blocks.1.mlp.fc*.bias"]
    )
    assert report.missing == ("blocks.1.mlp.fc2.bias",)
    assert report.unexpected == ("blocks.1.mlp.fc3.bias",)


def test_a_truncated_safetensors_file_is_refused(tmp_path: Path) -> None:
    save_file(official(perturbed_backbone()), tmp_path / "w.safetensors")
    whole = (tmp_path / "w.safetensors").read_bytes()
    (tmp_path / "w.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="expected a complete safetensors file"):
        read_weights(tmp_path / "w.safetensors")


def test_inert_types_of_official_files_are_read(tmp_path: Path) -> None:
    content = {
        "model": official(perturbed_backbone()),
        "args": argparse.Namespace(model="vit", lr=0.1),
        "best": np.float64(0.7),
        "history": np.arange(3),
    }
    torch.save(content, tmp_path / "w.pth")
    assert read_weights(tmp_path / "w.pth").other == ("args", "best", "history")


def test_the_files_of_a_run_are_told_as_such(tmp_path: Path) -> None:
    tensors = {
        "features.backbone.blocks.0.adapter.alpha": torch.ones(1),
        "network.a": torch.ones(2),
    }
    save_file(tensors, tmp_path / "best.safetensors")
    lines = describe(read_weights(tmp_path / "best.safetensors"))
    assert lines[-1] == "  weights of an mmad run: 1 of its backbone, 1 of the other parts"
    (tmp_path / "config.yaml").write_text("task: detection\n")
    with pytest.raises(CheckpointError, match="is a run folder; mmad weights export"):
        read_weights(tmp_path)
