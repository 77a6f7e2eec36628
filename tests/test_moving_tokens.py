"""Runs that compute only the tokens that move: against dense ones, split, extracted, refused."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from mmad.config.reading import dump_config, parse_any_config
from mmad.config.run import DetectionRun
from mmad.data.features.windows import open_features
from mmad.data.samples import Packer, Sample
from mmad.data.videos import TrainingVideos
from mmad.engine.detection import read_data, records_of
from mmad.engine.training import train_run
from mmad.errors import ConfigError
from mmad.models.build import build_detector
from mmad.models.detectors.whole import EndToEndDetector
from support.backbones import randomize
from support.commands import run_mmad
from support.processes import run_ranks
from support.runs import losses_of
from support.synthetic_data import tiny_clip_config, tiny_config, tiny_content

MOVING = {"keep": "moving", "block": 8}


def samples_of(config: DetectionRun) -> list[Sample]:
    annotations, _ = read_data(config)
    dataset = TrainingVideos(
        records_of(config, annotations, ["train"]),
        config.data,
        backbone=config.backbone,
        upsampling=config.upsampling,
        seed=0,
    )
    return [dataset[0, index] for index in range(3)]


def detector(config: DetectionRun) -> EndToEndDetector:
    model = build_detector(config, num_classes=52).eval()
    randomize(model)
    assert isinstance(model, EndToEndDetector)
    return model


def features_of(model: EndToEndDetector, samples: Sequence[Sample]) -> list[torch.Tensor]:
    batch, _ = Packer(clip_frames=16)(samples)
    with torch.no_grad():
        features_BCT, mask_BT = model.features(*batch.inputs)
    return [row[:, mask] for row, mask in zip(features_BCT, mask_BT, strict=True)]


def test_threshold_0_gives_the_features_of_the_dense_network(videos: Path) -> None:
    dense = tiny_config(videos)
    samples = samples_of(dense)
    expected = features_of(detector(dense), samples)
    sparse = tiny_config(videos, backbone__tokens={**MOVING, "threshold": 0})
    for found, wanted in zip(features_of(detector(sparse), samples), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-6)
    others = tiny_config(videos, backbone__tokens=MOVING)
    assert not torch.allclose(features_of(detector(others), samples)[0], expected[0], atol=1e-4)


@pytest.mark.parametrize("keep", ["moving", "random"])
def test_a_batch_gives_the_features_of_single_windows_in_any_order(videos: Path, keep: str) -> None:
    config = tiny_config(videos, backbone__tokens={**MOVING, "keep": keep})
    samples, model = samples_of(config), detector(config)
    together = features_of(model, samples)
    turned = features_of(model, samples[::-1])[::-1]
    for sample, found, other in zip(samples, together, turned, strict=True):
        (alone,) = features_of(model, [sample])
        torch.testing.assert_close(found, alone, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(other, alone, rtol=1e-5, atol=1e-5)


def test_colours_change_no_choice(videos: Path) -> None:
    """The rule reads frames before colours, so augmenting them disturbs nothing."""
    config = tiny_config(videos, backbone__tokens=MOVING)
    sample, model = samples_of(config)[0], detector(config)
    batch, _ = Packer(clip_frames=16)([sample])
    chosen = model.features.backbone.choose(batch.clips)
    assert chosen is not None
    assert 0.1 < chosen.float().mean() < 0.9


def test_a_run_trains_detects_and_extracts_with_moving_tokens(videos: Path, tmp_path: Path) -> None:
    config = tiny_config(videos, backbone__tokens=MOVING, training__epochs=1)
    run = train_run(config, out=tmp_path / "run", quiet=True).path
    assert yaml.safe_load((run / "config.yaml").read_text())["backbone"]["tokens"] == {
        **{"keep": "moving", "threshold": 3.0, "block": 8, "buckets": 16}
    }
    predict = ["predict", run, "--subset", "val", "--out"]
    run_mmad([*predict, tmp_path / "moving.csv"])
    # The same weights may be tested on all tokens, or on others.
    run_mmad([*predict, tmp_path / "all.csv", "backbone.tokens.keep=all"])
    assert (tmp_path / "all.csv").read_text() != (tmp_path / "moving.csv").read_text()
    other = [*predict, tmp_path / "x.csv", "backbone.adapter.temporal_kernel=5"]
    assert "other settings of backbone" in run_mmad(other, code=2).stderr
    manifests, stored = [], []
    for keep in ("moving", "all"):
        out = tmp_path / f"{keep}.h5"
        chosen = f"backbone.tokens.keep={keep}"
        run_mmad(["extract-features", run, videos / "videos", "--out", out, chosen])
        source = open_features(str(out))
        name = source.video_ids()[0]
        manifests.append(source.manifest)
        stored.append(source.read(name, 0, source.video(name).num_steps))
    assert "backbone.tokens.keep: moving and all" in manifests[0].differences(manifests[1])
    assert not np.array_equal(*stored)


@pytest.mark.slow
def test_micro_batches_give_the_losses_of_one(videos: Path, tmp_path: Path) -> None:
    losses = []
    for parts in (1, 2):
        config = tiny_config(
            videos,
            backbone__tokens=MOVING,
            backbone__drop_path=0.0,
            backbone__activation_checkpointing=parts == 2,
            detector__drop_path=0.0,
            training__epochs=1,
            training__accumulate=parts,
        )
        losses.append(losses_of(train_run(config, out=tmp_path / f"{parts}", quiet=True).path))
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)


@pytest.mark.long
@pytest.mark.slow
def test_two_processes_give_the_losses_of_one(videos: Path, tmp_path: Path) -> None:
    config = tiny_config(
        videos,
        backbone__tokens=MOVING,
        backbone__drop_path=0.0,
        detector__drop_path=0.0,
        training__epochs=2,
    )
    (tmp_path / "c.yaml").write_text(dump_config(config))
    arguments = ["train", str(tmp_path / "c.yaml"), "--out"]
    run_mmad([*arguments, tmp_path / "single"])
    for rank in run_ranks(2, [*arguments, tmp_path / "double"]):
        assert rank.returncode == 0, rank.stderr
    single, double = (losses_of(tmp_path / name) for name in ("single", "double"))
    np.testing.assert_allclose(double, single, rtol=1e-5)


def test_a_recogniser_computes_moving_tokens(videos: Path, tmp_path: Path) -> None:
    config = tiny_clip_config(
        videos, backbone__tokens=MOVING, training__epochs=1, losses__mixup=0.5, losses__f1=False
    )
    train_run(config, out=tmp_path / "run", quiet=True)
    run_mmad(["predict", tmp_path / "run", "--subset", "val", "--out", tmp_path / "p.csv"])


def test_memory_falls_with_the_tokens(videos: Path) -> None:
    """Of what autograd keeps for the backward pass of the blocks."""
    kept_bytes = {}
    for keep in ("all", "moving"):
        tokens = {**MOVING, "keep": keep, "threshold": 20.0}
        config = tiny_config(videos, backbone__tokens=tokens, data__image_size=64)
        samples, model = samples_of(config), detector(config).train()
        batch, _ = Packer(clip_frames=16)(samples)
        sizes: dict[int, int] = {}

        def pack(tensor: torch.Tensor, sizes: dict[int, int] = sizes) -> torch.Tensor:
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            features_BCT, _ = model.features(*batch.inputs)
        assert features_BCT.requires_grad
        kept_bytes[keep] = sum(sizes.values())
    assert kept_bytes["moving"] < 0.5 * kept_bytes["all"]


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ({"keep": "moving", "threshold": -1}, "tokens.threshold.*greater than or equal to 0"),
        ({"keep": "moving", "block": 5}, "tokens.block 5 does not divide a patch of 16 pixels"),
        ({"keep": "some"}, "tokens.keep.*'all', 'moving' or 'random'"),
    ],
)
def test_tokens_that_cannot_be_are_refused(videos: Path, tokens: dict, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        tiny_config(videos, backbone__tokens=tokens)


def test_a_backbone_that_cannot_names_those_that_can(videos: Path) -> None:
    content = tiny_content(videos)
    content["backbone"] = {"name": "video_swin", "size": "tiny", "tokens": MOVING}
    with pytest.raises(ConfigError, match=r"tokens.keep moving: video_swin .*\(umt, videomae\)"):
        parse_any_config(content, source="test")
    content["backbone"]["tokens"] = {"keep": "all"}
    parse_any_config(content, source="test")


def test_optical_flow_has_no_moving_tokens(videos: Path) -> None:
    with pytest.raises(ConfigError, match="not optical flow; set it to all"):
        tiny_clip_config(videos, backbone__tokens=MOVING, data__flow="flow")


@pytest.mark.slow
def test_an_exported_file_computes_all_tokens(videos: Path, tmp_path: Path) -> None:
    config = tiny_config(videos, backbone__tokens=MOVING, training__epochs=1)
    run = train_run(config, out=tmp_path / "run", quiet=True).path
    refused = run_mmad(["export", run, "--out", tmp_path / "net.onnx"], code=2)
    assert "train it with backbone.tokens.keep=all" in refused.stderr
