"""Runs on the Hub: pushed, fetched by id, and refused with one message where they cannot be."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml

from mmad import __version__
from mmad.checkpoint import load_tensors, save_state
from mmad.config.paths import without_folders
from mmad.engine.runs.folder import RunFolder
from mmad.engine.runs.hub import local_run, write_run_for_hub
from mmad.engine.runs.load import load_run, run_weights
from mmad.errors import CheckpointError
from support.commands import run_mmad
from support.hub_server import COMMIT, Hub, served, use

# A run that an older version wrote, without predictions.
RUN = Path(__file__).parents[2] / "golden/files/run_videos"
NAME = "lab/tiny"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.chdir(tmp_path)
    with served(monkeypatch, tmp_path / "cache") as hub:
        yield hub


@pytest.fixture
def pushed(hub: Hub, tmp_path: Path) -> Hub:
    folder = tmp_path / "pushed"
    write_run_for_hub(RunFolder(RUN), folder, card="---\nlicense: mit\n---\n")
    hub.add(NAME, folder)
    return hub


@pytest.mark.slow
def test_pushed_and_loaded_by_id(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "a-token")
    said = run_mmad(["push", RUN, NAME, "--private", "--licence", "cc-by-nc-4.0"])
    assert f"{NAME}/commit/{COMMIT}" in said.stdout
    assert f"next: mmad detect VIDEO --checkpoint {NAME}" in said.stdout
    assert hub.made_private == {NAME}
    assert set(hub.repositories[NAME]) == {
        *("README.md", "best.safetensors", "config.yaml", "frozen.safetensors", "labels.json"),
        *("log.jsonl", "mmad.json"),
    }
    folder = local_run(f"{NAME}@main")
    found, expected = run_weights(RunFolder(folder)), run_weights(RunFolder(RUN))
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert RunFolder(folder).training_fps() == RunFolder(RUN).training_fps()
    assert load_run(folder)[2] == load_run(RUN)[2]
    # What is predicted with it goes to the working folder, not to the cache.
    assert RunFolder(folder).predictions("val", ".csv") == Path("predictions/lab_tiny/val.csv")
    use(monkeypatch, "http://127.0.0.1:9", tmp_path / "cache")
    assert local_run(NAME) == folder


def test_a_dry_run_needs_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, "http://127.0.0.1:9", tmp_path / "cache")
    said = run_mmad(["push", RUN, NAME, "--dry-run", "--licence", "mit"], folder=tmp_path)
    assert "nothing was pushed" in said.stdout
    assert load_run(tmp_path / "hub/tiny")[1].task == "detection"
    again = run_mmad(["push", RUN, NAME, "--dry-run"], folder=tmp_path, code=2)
    assert "hub/tiny: exists already" in again.stderr
    (tmp_path / "file").write_text("")
    taken = run_mmad(["push", RUN, NAME, "--dry-run", "--out", tmp_path / "file"], code=2)
    assert "file: exists already" in taken.stderr


def test_who_may_not_write_is_told(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    for token in (None, "another"):
        if token is not None:
            monkeypatch.setenv("HF_TOKEN", token)
        said = run_mmad(["push", RUN, NAME], code=2).stderr
        assert "does not let you write there; log in with `hf auth login`" in said
    wrong = run_mmad(["push", RUN, "tiny"], code=2).stderr
    assert "tiny: expected ORG/NAME" in wrong


def test_a_folder_here_comes_first(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    assert local_run("runs/dsta") == Path("runs/dsta")
    assert local_run(tmp_path / "elsewhere/run") == tmp_path / "elsewhere/run"
    assert hub.requests == []
    with pytest.raises(CheckpointError, match="no such repository on the Hub"):
        local_run("lab/dsta")


def test_without_best_weights_the_last_are_pushed(tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(RUN, run)
    trained, information = load_tensors(run / "best.safetensors")
    (run / "best.safetensors").unlink()
    state = {
        **dict(step=3, best=0.0, best_step=-1, average_updates=3),
        **dict(trained=trained, average=trained, optimizer={}, scaler={}),
        **dict(normalizer=torch.ones(()), frozen_sha256=information["frozen_sha256"]),
    }
    save_state(run / "last.pt", state)
    write_run_for_hub(RunFolder(run), tmp_path / "out", card="")
    assert not list((tmp_path / "out").glob("*.pt"))
    found, expected = run_weights(RunFolder(tmp_path / "out")), run_weights(RunFolder(run))
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_nothing_tells_of_this_machine() -> None:
    settings = {
        "data": {
            "annotations": ["/home/anna/mma52.json"],
            "videos": "data/videos",
            "labels": "ma52",
        },
        "backbone": {"pretrained": "../weights/a.pth"},
        "heads": {"flow_pretrained": "MCG-NJU/videomae-base"},
    }
    assert without_folders(settings) == {
        "data": {"annotations": ["mma52.json"], "videos": "data/videos", "labels": "ma52"},
        "backbone": {"pretrained": "a.pth"},
        "heads": {"flow_pretrained": "MCG-NJU/videomae-base"},
    }


def test_pickled_weights_are_refused(pushed: Hub) -> None:
    files = pushed.repositories[NAME]
    files["last.pt"] = b"pickle"
    local_run(NAME)  # a pickle that is not needed is not even fetched
    assert not any("last.pt" in request for request in pushed.requests)
    del files["best.safetensors"]
    pushed.repositories["lab/pickled"] = files
    with pytest.raises(CheckpointError, match=r"its weights are in last\.pt, a pickle"):
        local_run("lab/pickled")
    del files["last.pt"]
    pushed.repositories["lab/cut"] = files
    with pytest.raises(CheckpointError, match=r"lab/cut: lacks best\.safetensors"):
        local_run("lab/cut")


@pytest.mark.parametrize("change", ["format", "setting"])
def test_a_run_of_a_newer_version_is_named(pushed: Hub, change: str) -> None:
    files = pushed.repositories[NAME]
    manifest = json.loads(files["mmad.json"]) | {"mmad": "9.9.0"}
    if change == "format":
        manifest["format"] = 99
    else:
        config = yaml.safe_load(files["config.yaml"]) | {"clairvoyance": True}
        files["config.yaml"] = yaml.safe_dump(config).encode()
    files["mmad.json"] = json.dumps(manifest).encode()
    expected = f"lab/tiny: was pushed by mmad 9.9.0, this is {__version__}; pip install -U mmad"
    with pytest.raises(CheckpointError, match=expected):
        local_run(NAME)


def test_other_files_than_were_pushed_are_refused(pushed: Hub) -> None:
    pushed.repositories[NAME]["labels.json"] += b"\n"
    with pytest.raises(CheckpointError, match=r"labels\.json is not what was pushed"):
        local_run(NAME)


def test_weights_are_no_run(hub: Hub, tmp_path: Path) -> None:
    hub.repositories["lab/weights"] = {"model.safetensors": (RUN / "best.safetensors").read_bytes()}
    with pytest.raises(CheckpointError, match=r"is no run of mmad.*backbone\.pretrained"):
        local_run("lab/weights")
    said = run_mmad(["detect", tmp_path / "v.mp4", "--checkpoint", "lab/weights"], code=2).stderr
    assert "lab/weights: is no run of mmad" in said


def test_pushed_metadata_is_that_of_the_run(pushed: Hub) -> None:
    folder = local_run(NAME)
    assert load_tensors(folder / "best.safetensors")[1] == load_tensors(RUN / "best.safetensors")[1]
