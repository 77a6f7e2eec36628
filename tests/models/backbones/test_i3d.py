"""I3D: sizes, strides, inflation, names of weights, and what stays as it is while it is frozen."""

import re

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.nn import functional

from mmad.checkpoint import frozen_state, trainable_state
from mmad.config.backbones.i3d import I3DSettings
from mmad.models.backbones.families import build_backbone
from mmad.models.backbones.i3d.build import FAMILY
from mmad.models.backbones.i3d.network import I3D
from mmad.models.backbones.naming import rename_tensors


def small(**settings: object) -> I3D:
    """A network of few channels with random statistics, in evaluation mode."""
    torch.manual_seed(0)
    backbone = build_backbone(I3DSettings(**{"base_channels": 4, "freeze": False, **settings}))
    for name, value in backbone.state_dict().items():
        if name.endswith((".norm.weight", "running_var")):
            value.uniform_(0.5, 1.5)
        elif name.endswith((".norm.bias", "running_mean")):
            value.normal_(std=0.1)
    return backbone.eval()


def clips(frames: int, height: int, width: int, *, count: int = 2) -> Tensor:
    return torch.randn(count, 3, frames, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("settings", "steps", "channels"),
    [
        ({}, 32 // 8, 4 * 4 * 8),
        ({"clip_frames": 16}, 16 // 8, 4 * 4 * 8),
        ({"depth": 18, "clip_frames": 16}, 16 // 8, 4 * 8),
        ({"pools_after_first_stage": False, "clip_frames": 16}, 16 // 4, 4 * 4 * 8),
        ({"stem_stride": 1, "pool_stride": 1, "clip_frames": 8}, 8 // 2, 4 * 4 * 8),
        ({"inflate": "all", "inflate_style": "3x3x3", "clip_frames": 16}, 16 // 8, 4 * 4 * 8),
        ({"stem_kernel": (1, 7, 7), "inflate": "none", "clip_frames": 16}, 16 // 8, 4 * 4 * 8),
    ],
)
def test_the_spec_is_what_comes_out(settings: dict[str, object], steps: int, channels: int) -> None:
    backbone = small(**settings)
    spec = backbone.spec
    with torch.no_grad():
        found = backbone(clips(spec.clip_frames, 64, 96), torch.tensor([0, 0]))
    assert found.tokens_NTSC.shape == (2, steps, 2 * 3, channels)
    assert found.grid_hw == (64 // 32, 96 // 32) == spec.grid_hw((64, 96))
    assert (spec.steps_per_clip, spec.channels) == (steps, channels)
    expected = I3DSettings(**settings)
    assert (spec.frames_per_step, spec.side_multiple) == (
        expected.frames_per_step,
        expected.side_multiple,
    )
    assert backbone.pool_clips(found).shape == (2, channels)


def test_clips_that_do_not_fit_are_refused() -> None:
    backbone = small()
    message = "expected clips of 32 frames whose sides are multiples of 32 pixels, found {}"
    for shape, found in ((16, 64, 64), "16 frames of 64x64"), ((32, 64, 80), "32 frames of 64x80"):
        with pytest.raises(ValueError, match=re.escape(message.format(found))):
            backbone(clips(*shape), torch.tensor([0, 0]))


def test_the_published_network_has_its_parameters() -> None:
    backbone = build_backbone(I3DSettings())
    resnet50 = 23_508_032
    # What 3x1x1 has more than 1x1x1, and 5x7x7 more than 7x7, for each (inputs, outputs).
    stem = (5 - 1) * 7 * 7 * 3 * 64
    first = [(64, 64), (256, 64), (256, 64)]
    second = [(256, 128), (512, 128)]
    third = [(512, 256), (1024, 256), (1024, 256)]
    fourth = [(2048, 512)]
    inflated = stem + sum(2 * a * b for a, b in first + second + third + fourth)
    assert sum(p.numel() for p in backbone.parameters()) == resnet50 + inflated
    assert backbone.spec.channels == 2048


def test_flags_of_the_published_network() -> None:
    flags = ((1, 1, 1), (1, 0, 1, 0), (1, 0, 1, 0, 1, 0), (0, 1, 0))
    assert I3DSettings().inflated == flags
    assert I3DSettings(inflate=[True, [1, 0, 1, 0], [1, 0] * 3, [0, 1, 0]]).inflated == flags
    assert I3DSettings(depth=101).inflated[2] == (1, 0) * 11 + (1,)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"inflate": [True, True]}, "stages of 3, 4, 6, 3 blocks, found flags for 3, 4"),
        ({"inflate": [[True], True, True, True]}, "found flags for 1, 4, 6, 3"),
        ({"stem_kernel": (4, 7, 7)}, r"stem_kernel: expected odd numbers, found \[4, 7, 7\]"),
        ({"clip_frames": 12}, "clip_frames 12 is not a multiple of the 8 frames"),
        ({"adapter": {"name": "dsta"}}, "adapter dsta: i3d takes none"),
    ],
)
def test_impossible_settings(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        I3DSettings(**settings)


# ---- weights ----


def theirs(name: str, *, project: str) -> str:
    """What mmaction2 or torchvision calls our tensor ``name``."""
    parts = name.split(".")
    conv, norm = ("conv", "bn")
    if parts[0] == "stem":
        where, kind, leaf = ["conv1"], parts[1], parts[2]
    else:
        stage, block, member = parts[1:4]
        where = [f"layer{int(stage) + 1}", block, member.replace("shortcut", "downsample")]
        kind, leaf = parts[4:]
    is_norm = kind == "norm"
    if project == "mmaction":
        return ".".join([*where, norm if is_norm else conv, leaf])
    if where[-1] == "downsample":
        return ".".join([*where, "1" if is_norm else "0", leaf])
    last = where[-1].replace("conv", "bn") if is_norm else where[-1]
    return ".".join([*where[:-1], last, leaf])


@pytest.mark.parametrize("project", ["mmaction", "torchvision"])
@pytest.mark.parametrize("depth", [18, 50])
def test_names_of_other_projects(project: str, depth: int) -> None:
    own = small(depth=depth).state_dict()
    file = {theirs(name, project=project): value for name, value in own.items()}
    counts = {name.replace("running_mean", "num_batches_tracked") for name in file} - set(file)
    file |= dict.fromkeys(counts, torch.zeros(()))
    (naming,) = [naming for naming in FAMILY.namings if naming.fits(file)]
    found = rename_tensors(file, naming)
    assert naming.name == project
    assert found.tensors.keys() >= own.keys()
    assert all(found.tensors[name] is value for name, value in own.items())
    left = [name for name in found.tensors if name not in own]
    assert len(left) == len(counts) == sum(name.endswith("running_mean") for name in own)
    assert all(name.startswith(FAMILY.optional) for name in left)


def resnet2d(x: Tensor, weights: dict[str, Tensor], *, blocks: tuple[int, ...]) -> Tensor:
    """The feature map of a 2D ResNet of plain blocks, written from torchvision's names alone."""

    def norm(x: Tensor, name: str) -> Tensor:
        mean, var, weight, bias = (
            weights[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return functional.batch_norm(x, mean, var, weight, bias)

    def conv(x: Tensor, name: str, stride: int = 1) -> Tensor:
        kernel = weights[f"{name}.weight"]
        return functional.conv2d(x, kernel, stride=stride, padding=kernel.shape[-1] // 2)

    x = functional.relu(norm(conv(x, "conv1", 2), "bn1"))
    x = functional.max_pool2d(x, 3, stride=2, padding=1)
    for stage, count in enumerate(blocks, start=1):
        for block in range(count):
            name = f"layer{stage}.{block}"
            stride = 2 if stage > 1 and block == 0 else 1
            branch = functional.relu(norm(conv(x, f"{name}.conv1", stride), f"{name}.bn1"))
            branch = norm(conv(branch, f"{name}.conv2"), f"{name}.bn2")
            if f"{name}.downsample.0.weight" in weights:
                x = norm(conv(x, f"{name}.downsample.0", stride), f"{name}.downsample.1")
            x = functional.relu(branch + x)
    return x


def test_an_inflated_network_sees_a_still_clip_as_the_2d_one_its_picture() -> None:
    backbone = small(depth=18, inflate="all", clip_frames=320)
    own = backbone.state_dict()
    # A 2D network: the middle slice of every kernel.
    weights = {
        theirs(name, project="torchvision"): value[:, :, value.shape[2] // 2].clone()
        if value.ndim == 5
        else value.clone()
        for name, value in own.items()
    }
    (naming,) = [naming for naming in FAMILY.namings if naming.fits(weights)]
    tensors = dict(rename_tensors(weights, naming).tensors)
    done = backbone.fit_weights(tensors, source="a file")
    # Stem, two convolutions in each of 8 blocks, three shortcuts.
    assert len(done) == 1 + 2 * 8 + 3
    assert done["stem.conv.weight"] == "inflated to 5 steps"
    assert done["stages.1.0.shortcut.conv.weight"] == "inflated to one step"
    backbone.load_state_dict(tensors)
    picture = clips(1, 64, 64, count=1)
    with torch.no_grad():
        *_, map_NCThw = backbone.maps(picture.expand(-1, -1, 320, -1, -1))
        expected = resnet2d(picture[:, :, 0], weights, blocks=(2, 2, 2, 2))
    # Zeros before and after the clip reach 1 step of 160 through the stem, 4 of 80 more through the
    # first stage, 12 of 40 through the others: at most 15 from either side.
    torch.testing.assert_close(map_NCThw[:, :, 20], expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(map_NCThw[:, :, 0], expected, rtol=1e-2)


def test_tensors_that_fit_are_left_alone() -> None:
    backbone = small()
    tensors = {name: value.clone() for name, value in backbone.state_dict().items()}
    assert backbone.fit_weights(tensors, source="a file") == {}


# ---- what training changes ----


def trained(backbone: I3D) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The statistics before and after two training steps."""
    before = {n: b.clone() for n, b in backbone.named_buffers()}
    backbone.train()
    with torch.set_grad_enabled(any(p.requires_grad for p in backbone.parameters())):
        backbone(clips(16, 32, 32), torch.tensor([0, 1]))
    return before, dict(backbone.named_buffers())


@pytest.mark.parametrize("settings", [{"freeze": True}, {"keep_statistics": True}])
def test_statistics_that_stay(settings: dict[str, bool]) -> None:
    backbone = small(clip_frames=16, **settings)
    images, video = clips(16, 32, 32), torch.tensor([0, 1])
    expected = backbone(images, video).tokens_NTSC
    before, after = trained(backbone)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    torch.testing.assert_close(backbone(images, video).tokens_NTSC, expected)


def test_a_frozen_network_keeps_its_statistics_before_any_call_of_train() -> None:
    backbone = build_backbone(I3DSettings(base_channels=4, clip_frames=16, freeze=True))
    assert not any(m.training for m in backbone.modules() if isinstance(m, torch.nn.BatchNorm3d))


def test_statistics_that_are_trained_move() -> None:
    before, after = trained(small(clip_frames=16))
    assert len(before) == 2 * 53  # mean and variance of stem, 16 blocks of 3, and 4 shortcuts
    assert not any(torch.equal(before[name], after[name]) for name in before)


def test_statistics_belong_to_the_trained_state() -> None:
    whole = small(freeze=False)
    assert trainable_state(whole).keys() == whole.state_dict().keys()
    assert frozen_state(whole) == {}
    frozen = small(freeze=True)
    assert trainable_state(frozen) == {}
    assert frozen_state(frozen).keys() == frozen.state_dict().keys()


def test_depth_grows_with_the_blocks() -> None:
    backbone = small(depth=18)
    roles = backbone.roles()
    assert {role.role for role in roles.values()} == {"body"}
    assert roles["stem.conv.weight"].depth == 0
    assert roles["stages.0.0.conv1.conv.weight"].depth == 1
    assert roles["stages.1.0.conv1.conv.weight"].depth == 1 + 2
    assert roles["stages.3.1.conv2.norm.bias"].depth == 2 + 2 + 2 + 2
