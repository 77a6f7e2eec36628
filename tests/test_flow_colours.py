"""Optical flow as colours: alone, or as a second stream with its own start and statistics."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from typer.testing import CliRunner

from mmad.checkpoint import save_tensors
from mmad.cli.main import app
from mmad.config.backbones.family import STATISTICS, OwnStatistics
from mmad.config.backbones.videomae import VideoMAESettings
from mmad.config.recognition import RecognitionConfig
from mmad.data.clips import EvaluationClips, TrainingClips
from mmad.data.samples import Sample
from mmad.engine.recognition import read_clips
from mmad.engine.runs.folder import RunFolder
from mmad.engine.runs.load import load_recogniser, run_weights
from mmad.engine.training import train_run
from mmad.errors import CheckpointError, ConfigError, VideoError
from mmad.labels import MA52
from mmad.models.backbones.families import build_backbone
from mmad.models.build import build_recogniser
from mmad.video.find import find_videos
from mmad.video.flow import flow_videos
from support.synthetic_data import tiny_clip_config

OWN = {"mean": [10.0, 20.0, 30.0], "std": [2.0, 4.0, 5.0]}
NUM_CLIPS = 2
NETWORK = {"size": {"width": 16, "depth": 2, "num_heads": 2}, "position_image_size": 32}


@pytest.fixture(scope="module")
def flow(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Optical flow of the first clips of the lists as colours; do not change it."""
    out = tmp_path_factory.mktemp("flow") / "colours"
    lists = [(videos / "annotations" / f"ma52_{name}.txt").open() for name in ("train", "val")]
    names = [line.split()[0] for one in lists for line in list(one)[:NUM_CLIPS]]
    flow_videos([videos / "clips" / name for name in names], out, max_pixels=0.5)
    return out


def config_of(videos: Path, **changes: object) -> RecognitionConfig:
    return tiny_clip_config(videos, data__max_clips=NUM_CLIPS, **changes)


def first(config: RecognitionConfig) -> tuple[Sample, ...]:
    """The windows of the first training clip."""
    clips = read_clips(config, "train", labels=MA52)
    data = TrainingClips(clips, config.data, backbone=config.backbone, seed=0)
    found = data[(0, 0)]
    assert isinstance(found, Sample | tuple)
    return found if isinstance(found, tuple) else (found,)


def normalises(sample: Sample, statistics: dict) -> bool:
    """Whether the mean becomes 0, and the mean plus a deviation 1."""
    mean, std = np.array(statistics["mean"]), np.array(statistics["std"])
    ends = [sample.colour @ np.append(x, 1) for x in (mean, mean + std)]
    return bool(np.allclose(ends, [[0] * 3, [1] * 3], atol=1e-5))


def test_flow_alone_is_not_jittered_and_has_its_own_statistics(videos: Path, flow: Path) -> None:
    place = {"data__flow": str(flow), "data__flow_only": True}
    (own,) = first(config_of(videos, data__flow_statistics=OWN, **place))
    assert own.frames.shape == (16, 32, 32, 3)
    assert normalises(own, OWN)
    (usual,) = first(config_of(videos, backbone__statistics="flow_colours", **place))
    released = STATISTICS["flow_colours"]
    assert normalises(usual, {"mean": released.mean, "std": released.std})
    config = config_of(videos, data__flow_statistics=OWN, data__val_clips=1, **place)
    clips = read_clips(config, "val", labels=MA52)
    found = EvaluationClips(clips, config.data.views("val"), backbone=config.backbone)[0]
    assert isinstance(found, Sample)
    assert normalises(found, OWN)
    assert found.frames.shape == (16, 32, 32, 3)


def test_flow_alone_is_mirrored_with_its_directions(videos: Path, flow: Path) -> None:
    found = []
    for flip in (0.0, 1.0):
        look = {"flip": flip, "crop_area": [1.0, 1.0], "crop_aspect": [1.0, 1.0], "erase": 1.0}
        changes = {"data__flow": str(flow), "data__flow_only": True, "data__short_side": 32}
        (sample,) = first(config_of(videos, data__augmentation=look, **changes))
        found.append(sample.frames.astype(int))
    plain, back = found[0], found[1][:, :, ::-1]
    assert plain.max() > 100
    # Green and blue change sides between the largest and the smallest colour.
    ends = plain.max(axis=-1, keepdims=True) + plain.min(axis=-1, keepdims=True)
    assert (back == ends - plain[..., [0, 2, 1]]).all()
    assert np.abs(back - plain).max() > 50


@pytest.mark.parametrize("mirrors", [True, False])
def test_streams_are_mirrored_together_or_not_at_all(
    videos: Path, flow: Path, mirrors: bool
) -> None:
    found = []
    for flip in (0.0, 1.0):
        look = {"flip": flip, "crop_area": [1.0, 1.0], "crop_aspect": [1.0, 1.0], "erase": 0.0}
        changes = {"data__flow": str(flow), "data__mirror_flow": mirrors, "data__short_side": 32}
        found.append(first(config_of(videos, data__augmentation=look, **changes)))
    (images, colours), (other_images, other_colours) = found
    order = -1 if mirrors else 1
    assert (other_images.frames[:, :, ::order] == images.frames).all()
    assert (other_colours.frames[:, :, ::order].max(axis=-1) == colours.frames.max(axis=-1)).all()
    assert (other_colours.frames[:, :, ::order] == colours.frames).all() != mirrors


def test_the_second_stream_has_its_own_statistics(videos: Path, flow: Path) -> None:
    changes = {"data__flow": str(flow), "data__augmentation": None}
    images, colours = first(config_of(videos, data__flow_statistics=OWN, **changes))
    imagenet = STATISTICS["imagenet"]._asdict()
    assert normalises(images, imagenet)
    assert normalises(colours, OWN)
    assert normalises(first(config_of(videos, **changes))[1], imagenet)


@pytest.mark.parametrize("weights", ["shared", "separate"])
@pytest.mark.parametrize("fusion", ["add", "concat"])
def test_the_norm_of_pooled_vectors_is_that_of_each_stream(weights: str, fusion: str) -> None:
    backbone = {**NETWORK, "final_norm": "pooled"}
    heads = {"squeeze": 4, "flow_weights": weights, "flow_fusion": fusion}
    content = {"train": ["x"], "clips": "y", "image_size": 32}
    both, alone = (
        RecognitionConfig.model_validate(
            {"data": {**content, "flow": place}, "backbone": backbone, "training": {"epochs": 1}}
            | {"heads": heads if place else {"squeeze": 4}}
        )
        for place in ("z", None)
    )
    model = build_recogniser(both, labels=MA52).eval()
    single = build_recogniser(alone, labels=MA52).eval()
    norms = {"rgb": model.features.backbone, "flow": model.features.flow_backbone}
    vectors = []
    generator = torch.Generator().manual_seed(0)
    clips = torch.randint(256, (2, 16, 32, 32, 3), generator=generator, dtype=torch.uint8)
    colours = torch.eye(3, 4).expand(2, 3, 4)
    for number, network in enumerate(norms.values()):
        if network is not None:
            for parameter in network.fc_norm.parameters():
                parameter.data = torch.rand(16, generator=generator)
        single.features.backbone.load_state_dict((network or norms["rgb"]).state_dict())
        vectors.append(single(clips[[number]], colours[:1], [1]).pooled)
    pooled = model(clips, colours, [1, 1]).pooled
    expected = torch.cat(vectors, dim=1) if fusion == "concat" else vectors[0] + vectors[1]
    torch.testing.assert_close(pooled, expected)


# ---- runs ----


@pytest.mark.slow
def test_each_stream_starts_from_its_own_weights(
    videos: Path, flow: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """Of frozen backbones the start is what remains."""
    starts = {}
    for seed, stream in enumerate(("backbone", "flow_backbone")):
        torch.manual_seed(seed)
        starts[stream] = build_backbone(VideoMAESettings(**NETWORK)).state_dict()
        save_tensors(tmp_path / f"{stream}.safetensors", starts[stream])
    config = config_of(
        videos,
        data__flow=str(flow),
        backbone__pretrained=str(tmp_path / "backbone.safetensors"),
        backbone__pretrained_allow=["blocks.*.adapter.*"],
        heads__flow_weights="separate",
        heads__flow_pretrained=str(tmp_path / "flow_backbone.safetensors"),
        training__epochs=1,
    )
    found = run_weights(train_run(config, out=tmp_path / "run"))
    said = capsys.readouterr().out
    for stream, start in starts.items():
        assert f"{stream}.safetensors (" in said
        for name, value in start.items():
            assert torch.equal(found[f"features.{stream}.{name}"], value), (stream, name)


@pytest.mark.slow
def test_a_run_on_colours_alone(videos: Path, flow: Path, tmp_path: Path) -> None:
    place = {"data__flow": str(flow), "data__flow_statistics": OWN}
    config = config_of(videos, data__flow_only=True, training__epochs=1, **place)
    folder = train_run(config, out=tmp_path / "run", quiet=True)
    model, found, _ = load_recogniser(folder.path)
    assert model.num_streams == 1
    assert found.data.flow_statistics == OwnStatistics(**OWN)
    clip = next((videos / "clips").glob("val_*"))
    for command in (
        ("predict", folder.path, "--subset", "val"),
        ("recognize", clip, "--checkpoint", folder.path),
        ("profile", folder.config, "--batch", "1", "--repeats", "1"),
    ):
        result = CliRunner().invoke(app, [str(word) for word in command])
        assert result.exit_code == 0, result.output
    for change in ("data.flow_only=false", "data.flow_statistics=null"):
        result = CliRunner().invoke(app, ["predict", str(folder.path), change, "--subset", "val"])
        assert isinstance(result.exception, CheckpointError)
        assert f"{change.split('=')[0]} changes the model" in str(result.exception)
    assert RunFolder(folder.path).predictions("val", ".npz").is_file()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data__flow_only": True}, r"flow_only needs optical flow; set data\.flow to a folder"),
        ({"data__flow_statistics": "flow_colours"}, "flow_statistics needs optical flow"),
        ({"data__mirror_flow": True}, "mirror_flow needs optical flow"),
        (
            {"data__flow": "z", "data__flow_only": True, "data__mirror_flow": True},
            r"mirror_flow is for two streams; flow alone is mirrored by data\.augmentation\.flip",
        ),
        (
            {"data__flow": "z", "data__flow_only": True, "data__subtract_background": True},
            r"subtract_background is for RGB images, not for data\.flow_only",
        ),
        ({"heads__flow_pretrained": "w"}, r"flow_pretrained is for the second of two streams"),
        (
            {"data__flow": "z", "heads__flow_pretrained": "w"},
            r"flow_pretrained is for a backbone of the flow's own; set heads\.flow_weights=sep",
        ),
        (
            {"data__flow": "z", "data__flow_statistics": {"mean": [1, 2, 3], "std": [1, 0, 1]}},
            r"data\.flow_statistics\.std\.1: input should be greater than 0",
        ),
    ],
)
def test_settings_of_flow_that_do_not_fit(videos: Path, changes: dict, message: str) -> None:
    with pytest.raises((ConfigError, ValidationError), match=message):
        config_of(videos, **changes)


def test_flow_of_numbers_is_refused(videos: Path, flow: Path, tmp_path: Path) -> None:
    clip = next(path for path in find_videos(videos / "clips").values() if "val" in path.name)
    flow_videos([clip], tmp_path / "xy", code="xy")
    config = config_of(videos, data__flow=str(tmp_path / "xy"), data__flow_only=True)
    for name in (flow / path.name for path in flow.glob("*.mp4")):
        target = tmp_path / "xy" / name.name
        if not target.exists():
            target.symlink_to(name)
    with pytest.raises(VideoError, match=r"code xy, and data\.flow_only reads colours; write it"):
        read_clips(config, "val", labels=MA52)
