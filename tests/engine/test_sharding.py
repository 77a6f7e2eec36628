"""A backbone divided among two processes: the losses and files of one, loaded from a file, resumed
from either into either.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file

from mmad.checkpoint import frozen_state, hash_state
from mmad.config.backbones.c3d import C3DSettings
from mmad.config.backbones.internvideo2 import InternVideo2Settings
from mmad.config.backbones.vit import ViTSettings
from mmad.config.reading import dump_config, parse_config
from mmad.config.run import DetectionRun
from mmad.config.training import TrainingSettings
from mmad.engine.distributed import Processes
from mmad.engine.loop import Loop
from mmad.engine.runs.folder import RunFolder, read_state
from mmad.engine.runs.load import load_run
from mmad.engine.sharding import require_shardable, shard_backbones
from mmad.engine.task import StartingBackbone
from mmad.engine.training import train_run
from mmad.errors import ConfigError
from mmad.models.backbones.families import build_backbone
from mmad.sharded import is_sharded, whole
from mmad.weights.load import load_backbone
from support.processes import run_ranks
from support.runs import losses_of
from support.synthetic_data import change, tiny_content

CPU = torch.device("cpu")


def config_of(videos: Path, **changes: object) -> DetectionRun:
    fixed = {"backbone__drop_path": 0.0, "detector__drop_path": 0.0, "training__epochs": 2}
    rarely = {"training__validate_every": 2, "training__checkpoint_steps": 2}
    content = change(tiny_content(videos), {**fixed, **rarely, **changes})
    return parse_config(content, source="test")


class Stopped(Exception):  # noqa: N818
    pass


def stopped_run(config: DetectionRun, out: Path) -> None:
    """A training that is interrupted before its third step."""
    step = Loop.step

    def step_or_stop(self: Loop, batches: object) -> dict:
        if self.position.step == 2:
            raise Stopped
        return step(self, batches)  # type: ignore[arg-type]

    Loop.step = step_or_stop  # type: ignore[method-assign,assignment]
    try:
        with pytest.raises(Stopped):
            train_run(config, out=out, quiet=True)
    finally:
        Loop.step = step  # type: ignore[method-assign]


TRAINED = {
    "training__epochs": 1,
    "backbone__freeze": False,
    "backbone__activation_checkpointing": True,
    "training__clip_gradient": 0.05,
    "training__layer_decay": 0.75,
}


def train_in_two(config: DetectionRun, out: Path, *options: str) -> None:
    """The training with a share of the backbone in each of two processes."""
    file = out.with_name(f"{out.name}.yaml")
    file.write_text(dump_config(config))
    words = ["train", file, "training.sharding=full", "--out", out, "--device", "cpu", *options]
    for ended in run_ranks(2, words):
        assert ended.returncode == 0, ended.stderr


@pytest.mark.slow
@pytest.mark.long
def test_losses_and_files_are_those_of_one_process(videos: Path, tmp_path: Path) -> None:
    config = config_of(videos, **TRAINED)
    found, expected = tmp_path / "found", tmp_path / "expected"
    train_in_two(config, found)
    train_run(config, out=expected, quiet=True)
    compare(found, expected)
    model, *_ = load_run(found)
    assert not any(map(is_sharded, model.state_dict().values()))
    before = read_state(RunFolder(found))
    train_run(config, out=found, quiet=True, resume=True)  # at its end, in one process
    for name, value in read_state(RunFolder(found)).trained.items():
        assert torch.equal(value, before.trained[name])


@pytest.mark.slow
@pytest.mark.long
def test_two_processes_resume_what_one_has_begun(videos: Path, tmp_path: Path) -> None:
    config = config_of(videos)
    found, expected = tmp_path / "found", tmp_path / "expected"
    stopped_run(config, found)
    train_in_two(config, found, "--resume")
    assert len(losses_of(found)) == 4
    train_run(config, out=expected, quiet=True)
    compare(found, expected)


@pytest.fixture
def group() -> Iterator[Processes]:
    """A group of this process alone, in which tensors can be sharded all the same."""
    dist.init_process_group("gloo", rank=0, world_size=1, store=dist.HashStore())
    yield Processes(0, 1, CPU)
    dist.destroy_process_group()


def test_a_large_network_gets_memory_for_its_shares_alone(
    group: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ViTSettings, "is_large", True)
    size = {"width": 16, "depth": 3, "num_heads": 2}
    settings = InternVideo2Settings(size=size, adapter={"name": "tia"}, pretrained="x")
    torch.manual_seed(0)
    expected = build_backbone(settings)
    body = {key: value for key, value in expected.state_dict().items() if "adapter" not in key}
    save_file(body, tmp_path / "weights.safetensors")
    torch.manual_seed(0)
    backbone = build_backbone(settings, weights_follow=True)
    shard_backbones([StartingBackbone(backbone, settings)], group)
    assert all(map(is_sharded, dict(backbone.named_parameters()).values()))
    load_backbone(backbone, str(tmp_path / "weights.safetensors"))
    for name, value in backbone.state_dict().items():
        if name in body:
            assert torch.equal(whole(value), body[name]), name
    assert hash_state(frozen_state(backbone)) == hash_state(frozen_state(expected))
    expected.load_state_dict({key: whole(value) for key, value in backbone.state_dict().items()})
    images, videos = torch.ones(1, 3, 8, 32, 32), torch.zeros(1, dtype=torch.long)
    found = [network(images, videos).tokens_NTSC for network in (backbone, expected)]
    torch.testing.assert_close(*found)


def compare(found: Path, expected: Path) -> None:
    np.testing.assert_allclose(losses_of(found), losses_of(expected), rtol=1e-5)
    one, other = RunFolder(found), RunFolder(expected)
    assert one.frozen.read_bytes() == other.frozen.read_bytes()
    states = read_state(one), read_state(other)
    for name in ("trained", "average"):
        mine, theirs = (getattr(state, name) for state in states)
        assert mine.keys() == theirs.keys()
        for key, value in mine.items():
            torch.testing.assert_close(value, theirs[key], rtol=1e-3, atol=1e-5)
    mine, theirs = (state.optimizer for state in states)
    assert mine["param_groups"] == theirs["param_groups"]
    for key, entries in mine["state"].items():
        assert {k: v.shape for k, v in entries.items()} == {
            k: v.shape for k, v in theirs["state"][key].items()
        }
    assert load_file(one.best).keys() == load_file(other.best).keys()


@pytest.mark.parametrize(
    ("count", "precision", "expected"),
    [
        (1, "fp32", "there is one; start several with torchrun --nproc-per-node N"),
        (2, "fp16", "fp16 is not supported; set training.precision=bf16 or fp32"),
    ],
)
def test_what_cannot_be_sharded_is_refused(count: int, precision: str, expected: str) -> None:
    settings = TrainingSettings(epochs=1, sharding="full", precision=precision)
    with pytest.raises(ConfigError, match=expected):
        require_shardable(settings, Processes(0, count, CPU))


def test_a_backbone_without_blocks_is_refused() -> None:
    settings = C3DSettings()
    with torch.device("meta"):
        backbone = build_backbone(settings)
    processes = Processes(0, 2, CPU)
    with pytest.raises(ConfigError, match="C3D has no plain stack of blocks"):
        shard_backbones([StartingBackbone(backbone, settings)], processes)
    with pytest.raises(ConfigError, match="a run on stored features has none"):
        shard_backbones([], processes)
