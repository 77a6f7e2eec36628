"""A network on stacked optical flow: its input, its starting weights, a run from end to end."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from mmad.cli.main import app
from mmad.config.reading import load_any_config, parse_any_config
from mmad.config.recognition import RecognitionConfig
from mmad.data.clips import EvaluationClips, TrainingClips
from mmad.data.samples import FailedVideo, Sample
from mmad.engine.recognition import read_clips
from mmad.engine.training import train_run
from mmad.errors import ConfigError, VideoError
from mmad.labels import MA52
from mmad.models.backbones.contract import Backbone
from mmad.models.backbones.families import build_backbone
from mmad.video.find import find_videos
from mmad.video.flow import flow_videos
from mmad.video.open import open_video
from mmad.weights.files import WeightFile
from mmad.weights.load import fill_backbone
from support.synthetic_data import tiny_clip_config

pytestmark = pytest.mark.slow

NETWORK = {
    "name": "resnet2d", "depth": 18, "base_channels": 8, "temporal": "shift", "clip_frames": 4,
    "flow_stack": 5, "statistics": "flow", "freeze": False,
}  # fmt: skip

FAMILIES = ("resnet2d", "bn_inception")


@pytest.fixture(scope="module")
def flow(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Displacements of all clips; do not change them."""
    out = tmp_path_factory.mktemp("flow") / "xy"
    flow_videos(list(find_videos(videos / "clips").values()), out, code="xy", max_pixels=0.5)
    return out


def config_of(videos: Path, flow: Path | None, **changes: object) -> RecognitionConfig:
    place = None if flow is None else str(flow)
    given = {"backbone": NETWORK, "data__flow": place, "data__sampling": "segments", **changes}
    return tiny_clip_config(videos, **given)


# ---- the network ----


def network(family: str, *, flow_stack: int | None, clip_frames: int = 4) -> Backbone:
    settings = {"name": family, "base_channels": 8, "clip_frames": clip_frames, "freeze": False}
    if family == "resnet2d":
        settings["depth"] = 18
    torch.manual_seed(0)
    given = {"data": {"train": ["x"], "clips": "y", "flow": "z"}, "training": {"epochs": 1}}
    content = {"task": "recognition", "backbone": settings | {"flow_stack": flow_stack}, **given}
    config = parse_any_config(content, source="test")
    return build_backbone(config.backbone).eval()


@pytest.mark.parametrize("family", FAMILIES)
def test_channels_are_x_and_y_of_each_image_in_turn(family: str) -> None:
    backbone = network(family, flow_stack=3, clip_frames=2)
    assert backbone.stem.conv.weight.shape == (8, 2 * 3, 7, 7)
    seen = []
    backbone.stem.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    images = torch.arange(2 * 3.0).view(1, 1, 6, 1, 1).expand(1, 3, 6, 32, 32).clone()
    images[:, 1] += 100  # y
    images[:, 2] = float("nan")  # is not read
    tokens = backbone(images, torch.tensor([0]))
    assert seen[0][:, :, 0, 0].tolist() == [[0, 100, 1, 101, 2, 102], [3, 103, 4, 104, 5, 105]]
    assert tokens.tokens_NTSC.shape[:2] == (1, 2)
    with pytest.raises(ValueError, match="expected clips of 6 frames"):
        backbone(images[:, :, :2], torch.tensor([0]))


@pytest.mark.parametrize("family", FAMILIES)
def test_kernels_for_rgb_are_averaged_and_repeated(family: str) -> None:
    rgb, own = (network(family, flow_stack=stack) for stack in (None, 5))
    file = WeightFile(source="f", container="c", tensors=rgb.state_dict(), sha256="0" * 64)
    ((name, what),) = fill_backbone(own, file).reshaped
    assert name == "stem.conv.weight"
    assert what == "mean of RGB, repeated for 10 channels of optical flow"
    mean = rgb.stem.conv.weight.mean(dim=1)
    for channel in range(10):
        torch.testing.assert_close(own.stem.conv.weight[:, channel], mean)
    again = WeightFile(source="f", container="c", tensors=own.state_dict(), sha256="0" * 64)
    assert fill_backbone(own, again).reshaped == ()


def test_the_stem_at_full_size() -> None:
    config = load_any_config("configs/recognition/tsm_flow_r50.yaml")
    with torch.device("meta"):
        backbone = build_backbone(config.backbone)
    more = (10 - 3) * 64 * 7 * 7
    assert sum(p.numel() for p in backbone.parameters()) == 23_508_032 + more


# ---- its input ----


def test_a_view_is_a_stack_from_each_segment(videos: Path, flow: Path) -> None:
    config = config_of(videos, flow, data__val_clips=1)
    clips = read_clips(config, "val", labels=MA52)
    sample = EvaluationClips(clips, config.data.views("val"), backbone=config.backbone)[0]
    assert isinstance(sample, Sample)
    assert sample.frames.shape == (4 * 5, 32, 32, 3)
    # No motion, 128, is 0 to the network.
    np.testing.assert_allclose(sample.colour @ np.array([128, 128, 128, 1.0]), 0, atol=1e-5)
    assert sample.grid.num_steps == 4
    assert len(sample.annotations) == 1


def test_mirrored_flow_inverts_its_displacement_to_the_right(videos: Path, flow: Path) -> None:
    found = []
    for flip in (0.0, 1.0):
        look = {"flip": flip, "crop_area": [1.0, 1.0], "crop_aspect": [1.0, 1.0], "erase": 1.0}
        config = config_of(videos, flow, data__augmentation=look, data__resize="squash")
        data = TrainingClips(
            read_clips(config, "train", labels=MA52), config.data, backbone=config.backbone, seed=0
        )
        sample = data[(0, 0)]
        assert isinstance(sample, Sample)
        # Colours are not jittered, nor boxes erased: that is for images.
        np.testing.assert_allclose(sample.colour @ np.array([128, 128, 128, 1.0]), 0, atol=1e-5)
        found.append(sample.frames.astype(int))
    plain, mirrored = found
    assert np.abs(plain[..., 0] - 128).max() > 10
    back = mirrored[:, :, ::-1]
    assert np.abs(255 - back[..., 0] - plain[..., 0]).max() <= 1
    assert np.abs(back[..., 1] - plain[..., 1]).max() <= 1


def test_ten_crops_mirror_flow_too(videos: Path, flow: Path) -> None:
    ten = {"data__test_crops": "ten", "data__resize": "crop", "data__short_side": 40}
    config = config_of(videos, flow, data__least_aspect=1.0, data__test_clips=1, **ten)
    clips = read_clips(config, "val", labels=MA52)
    views = config.data.views("test")
    sample = EvaluationClips(clips, views, backbone=config.backbone)[0]
    assert isinstance(sample, Sample)
    crops = sample.frames.reshape(10, 20, 32, 32, 3).astype(int)
    for plain, mirrored in zip(crops[:5], crops[5:], strict=True):
        assert (255 - mirrored[:, :, ::-1, 0] == plain[..., 0]).all()
        assert (mirrored[:, :, ::-1, 1:] == plain[..., 1:]).all()
    with pytest.raises(ConfigError, match=r"test_crops ten mirrors images, and colours of flow"):
        tiny_clip_config(videos, data__flow=str(flow), **ten)


# ---- a run ----


def test_a_run_on_flow_alone(videos: Path, flow: Path, tmp_path: Path) -> None:
    config = config_of(
        *(videos, flow),
        training__epochs=1,
        data__image_size=64,  # two cells
        data__test_clips=1,
    )
    folder = train_run(config, out=tmp_path / "run", quiet=True)
    steps = [row for row in folder.rows() if row["kind"] == "step"]
    assert np.isfinite([row["loss"] for row in steps]).all()
    scores = folder.predictions("val", ".npz")
    copied = shutil.copy(scores, tmp_path / "rgb.npz")
    fused = ("--weights", "1,1.5", "--average", "score", "--out", tmp_path / "fused.npz")
    clip = next((videos / "clips").glob("val_*"))
    for command in (
        ("predict", folder.path, "--subset", "val"),
        ("ensemble", copied, scores, *fused),
        ("recognize", clip, "--checkpoint", folder.path, "--saliency", tmp_path / "seen"),
        ("profile", folder.config, "--batch", "1", "--repeats", "1"),
    ):
        result = CliRunner().invoke(app, [str(word) for word in command])
        assert result.exit_code == 0, result.output
    assert (tmp_path / "seen" / f"{clip.stem}.png").is_file()


def test_flow_that_cannot_be_used_is_told(
    videos: Path, flow: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ConfigError, match=r"flow_stack reads optical flow; set data\.flow"):
        config_of(videos, None)
    with pytest.raises(ConfigError, match=r"flow and clips are the same folder; set data\.flow"):
        config_of(videos, videos / "clips")
    with pytest.raises(ConfigError, match=r"subtract_background is for RGB images"):
        config_of(videos, flow, data__subtract_background=True)
    colours = tmp_path / "colours"
    colours.mkdir()
    for path in flow.glob("*.mp4"):
        (colours / path.name).symlink_to(path)
    names = {path.name: {"scale": "fixed"} for path in flow.glob("*.mp4")}
    (colours / "flow.json").write_text(json.dumps({"copies": names}))
    with pytest.raises(VideoError, match=r"code colours, and backbone\.flow_stack reads xy; write"):
        read_clips(config_of(videos, colours), "val", labels=MA52)
    with pytest.raises(VideoError, match=r"code xy, and the second stream reads colours; write"):
        read_clips(tiny_clip_config(videos, data__flow=str(flow)), "val", labels=MA52)
    (colours / "flow.json").unlink()
    clips = read_clips(config_of(videos, colours), "val", labels=MA52)
    assert "its videos are taken as flow of the code xy" in caplog.text
    config = config_of(videos, colours)
    data = EvaluationClips(clips, config.data.views("val"), backbone=config.backbone)
    (colours / clips[0].clip_id).unlink()
    failed = data[0]
    assert isinstance(failed, FailedVideo)
    assert f"there is no flow of {clips[0].clip_id}; write it there" in failed.message
    (colours / clips[0].clip_id).symlink_to(videos / "videos" / "train0000.mp4")
    failed = data[0]
    assert isinstance(failed, FailedVideo)
    with open_video(videos / "videos" / "train0000.mp4") as video:
        found = video.index.num_frames
    with open_video(clips[0].path) as video:
        expected = video.index.num_frames
    assert f"has {found} frames, the clip itself {expected}; compute its flow" in failed.message


def test_detectors_and_features_read_rgb(videos: Path, flow: Path) -> None:
    with pytest.raises(ConfigError, match=r"backbone\.flow_stack is for recognition"):
        load_any_config("configs/frozen_tsm_r50.yaml", overrides=["backbone.flow_stack=5"])
    given = ["extract-features", "configs/recognition/tsm_flow_r50.yaml", str(videos / "videos")]
    result = CliRunner().invoke(app, [*given, "--out", str(flow / "f.h5"), "--random-weights"])
    assert "backbone.flow_stack reads optical flow" in str(result.exception)
