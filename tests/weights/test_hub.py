"""Weights by hub id: fetched from a server of the hub's kind, and then without one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from mmad.errors import CheckpointError
from mmad.weights.export import write_hugging_face
from mmad.weights.files import read_weights
from mmad.weights.hub import fetch, source_of
from mmad.weights.load import find_weights, load_backbone
from support.backbones import perturbed_backbone
from support.commands import run_mmad
from support.hub_server import COMMIT, Hub, served, use

NAME = "lab/videomae-tiny"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    folder = tmp_path / "repository"
    write_hugging_face(folder, perturbed_backbone(seed=1))
    (folder / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n# Tiny\n")
    monkeypatch.chdir(tmp_path)
    with served(monkeypatch, tmp_path / "cache") as hub:
        hub.add(NAME, folder)
        yield hub


def without_a_hub(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    use(monkeypatch, "http://127.0.0.1:9", cache)


@pytest.mark.slow
def test_fetched_once_then_offline(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    said = run_mmad(["weights", "fetch", NAME])
    assert "VideoMAE in hugging face naming: width 16, 2 blocks" in said.stdout
    assert f"{NAME} at {COMMIT[:12]}: licence cc-by-nc-4.0" in said.stderr
    assert "licence" not in run_mmad(["weights", "fetch", NAME]).stderr  # said once
    without_a_hub(monkeypatch, tmp_path / "cache")
    backbone = perturbed_backbone(seed=2)
    report = load_backbone(backbone, NAME)
    assert report.missing == report.unexpected == ()
    assert report.sha256 == read_weights(tmp_path / "repository").sha256
    source = source_of(Path(report.source))
    assert source is not None
    assert (source.repository, source.commit, source.licence) == (NAME, COMMIT, "cc-by-nc-4.0")


def test_without_a_connection_both_ways_out_are_said(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_mmad(["weights", "fetch", NAME, "--out", "taken"])
    assert (tmp_path / "taken/model.safetensors").is_file()
    assert not (tmp_path / "taken/model.safetensors").is_symlink()
    without_a_hub(monkeypatch, tmp_path / "other cache")
    with pytest.raises(CheckpointError, match=r"Where .*weights fetch lab/videomae-tiny --out"):
        fetch(NAME)
    with pytest.raises(CheckpointError, match=r"Two ways .*; or, .* backbone\.pretrained=null"):
        find_weights(NAME)
    assert "VideoMAE in hugging" in run_mmad(["weights", "inspect", "taken"]).stdout


def test_one_file_of_a_repository(hub: Hub) -> None:
    tensors = {"module": {"patch_embed.proj.bias": torch.arange(4.0)}}
    torch.save(tensors, "v2.pth")
    hub.repositories["lab/many"] = {"mae-b/v2.pth": Path("v2.pth").read_bytes()}
    path = fetch("hf://lab/many/mae-b/v2.pth")
    assert read_weights(path).container == "module"
    source = source_of(path)
    assert source is not None
    assert (source.repository, source.licence) == ("lab/many", None)
    with pytest.raises(CheckpointError, match=r"no such file; see http.*/lab/many/tree/main"):
        fetch("hf://lab/many/mae-c/v2.pth")
    with pytest.raises(CheckpointError, match=r"has no weights.*hf://ORG/NAME/FILE"):
        fetch("lab/many")


def test_what_cannot_be_fetched_is_said(hub: Hub) -> None:
    said = run_mmad(["weights", "fetch", "lab/other"], code=2).stderr
    assert "mmad: lab/other: there is no such file or folder here, and no such repository" in said
    with pytest.raises(CheckpointError, match="has no revision 'v9'; see http"):
        fetch(f"{NAME}@v9")
    hub.private.add(NAME)
    with pytest.raises(CheckpointError, match=r"or it is private.*hf auth login.*HF_TOKEN"):
        fetch(NAME)
    hub.private.clear()
    hub.gated.add(NAME)
    with pytest.raises(CheckpointError, match=r"consent.*http\S+/lab/videomae-tiny"):
        fetch(NAME)
    assert "expected a Hub id" in run_mmad(["weights", "fetch", "a.pth"], code=2).stderr


def test_damage_on_the_way_is_found(hub: Hub) -> None:
    hub.damaged.add("model.safetensors")
    with pytest.raises(CheckpointError, match=r"model\.safetensors was damaged on its way"):
        fetch(NAME)
