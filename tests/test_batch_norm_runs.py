"""Runs of a backbone with batch norms: statistics are trained, saved and averaged, or stay."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mmad.checkpoint import load_tensors
from mmad.config.reading import dump_config
from mmad.config.run import DetectionRun
from mmad.engine.loop import Loop
from mmad.engine.runs.folder import RunFolder
from mmad.engine.runs.load import load_run
from mmad.engine.training import train_run
from support.processes import run_ranks
from support.runs import losses_of
from support.synthetic_data import tiny_config

pytestmark = pytest.mark.slow


def i3d_config(videos: Path, **changes: object) -> DetectionRun:
    backbone = {"name": "i3d", "base_channels": 4, "clip_frames": 16, "freeze": False}
    changes = {"upsampling": 4, "training__epochs": 2, "detector__drop_path": 0.0, **changes}
    return tiny_config(videos, backbone=backbone, **changes)


@pytest.fixture(scope="module")
def run(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("i3d") / "run"
    train_run(i3d_config(videos), out=out, quiet=True)
    return out


def test_what_is_validated_is_what_is_loaded(run: Path) -> None:
    """Statistics are in the checkpoint of trained weights, averaged as these are."""
    frozen, _ = load_tensors(RunFolder(run).frozen)
    best, _ = load_tensors(RunFolder(run).best)
    assert not any("backbone" in name for name in frozen)
    statistics = {name for name in best if name.endswith(("running_mean", "running_var"))}
    assert len(statistics) == 2 * 53
    model, _, _ = load_run(run)
    state = model.state_dict()
    assert all(torch.equal(state[name], best[name]) for name in best)
    assert not torch.equal(
        state["features.backbone.stem.norm.running_mean"], torch.zeros_like(best[min(statistics)])
    )


def test_a_run_that_stopped_goes_on_to_the_same_losses(
    run: Path, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole_step = Loop.step

    def stop(self: Loop, batches: object) -> dict:
        if self.position.step == 3:
            raise KeyboardInterrupt
        return whole_step(self, batches)  # type: ignore[arg-type]

    config, out = i3d_config(videos, training__checkpoint_steps=1), tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr(Loop, "step", stop)
        with pytest.raises(KeyboardInterrupt):
            train_run(config, out=out, quiet=True)
    train_run(config, out=out, resume=True, quiet=True)
    assert losses_of(out) == losses_of(run)
    first, second = (load_tensors(RunFolder(folder).best)[0] for folder in (run, out))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.long
def test_two_processes_give_the_losses_of_one(run: Path, videos: Path, tmp_path: Path) -> None:
    config, out = tmp_path / "c.yaml", tmp_path / "double"
    config.write_text(dump_config(i3d_config(videos)))
    for rank in run_ranks(2, ["train", config, "--out", out]):
        assert rank.returncode == 0, rank.stderr
    np.testing.assert_allclose(losses_of(out), losses_of(run), rtol=1e-5)
    one, two = (load_tensors(RunFolder(folder).best)[0] for folder in (run, out))
    for name, value in one.items():
        if name.endswith(("running_mean", "running_var")):
            torch.testing.assert_close(two[name], value, rtol=1e-3, atol=1e-5)


def test_a_frozen_backbone_is_the_same_after_training(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[dict[str, torch.Tensor]] = []
    whole_run = Loop.run

    def keep(self: Loop) -> None:
        whole_run(self)
        trained.append(self.model.state_dict())

    monkeypatch.setattr(Loop, "run", keep)
    config = i3d_config(videos, training__epochs=1)
    backbone = config.backbone.model_copy(update={"freeze": True})
    out = tmp_path / "run"
    train_run(config.model_copy(update={"backbone": backbone}), out=out, quiet=True)
    before, _ = load_tensors(RunFolder(out).frozen)
    (after,) = trained
    names = {name for name in after if name.startswith("features.backbone.")}
    assert set(before) == names
    assert all(torch.equal(after[name], before[name]) for name in names)
