"""SlowFast: sizes, both rates, connections, names of weights, and a start from 2D weights."""

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from mmad.config.backbones.i3d import I3DSettings
from mmad.config.backbones.slowfast import SlowFastSettings
from mmad.models.backbones.contract import Backbone
from mmad.models.backbones.families import build_backbone
from mmad.models.backbones.naming import rename_tensors
from mmad.models.backbones.slowfast.build import FAMILY
from mmad.models.backbones.slowfast.network import SlowFast
from mmad.weights.files import WeightFile
from mmad.weights.load import fill_backbone


def randomised(backbone: Backbone) -> Backbone:
    """The network with random statistics, in evaluation mode."""
    for name, value in backbone.state_dict().items():
        if name.endswith(("norm.weight", "running_var")):
            value.uniform_(0.5, 1.5)
        elif name.endswith(("norm.bias", "running_mean")):
            value.normal_(std=0.1)
    return backbone.eval()


def small(**settings: object) -> SlowFast:
    """A network of few channels."""
    torch.manual_seed(0)
    few = {"base_channels": 8, "channel_ratio": 4, "freeze": False}
    backbone = randomised(build_backbone(SlowFastSettings(**{**few, **settings})))
    assert isinstance(backbone, SlowFast)
    return backbone


def clips(frames: int, height: int, width: int, *, count: int = 1) -> Tensor:
    return torch.randn(count, 3, frames, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("settings", "steps", "channels"),
    [
        ({}, 32 // 8, 4 * 64 + 4 * 64 // 4),
        ({"slow_stride": 4, "speed_ratio": 4, "lateral_kernel": 7}, 32 // 4, 4 * 64 + 64),
        ({"slow_stride": 8, "speed_ratio": 4, "clip_frames": 16}, 16 // 8, 4 * 64 + 64),
        ({"depth": 18, "clip_frames": 16}, 16 // 8, 64 + 64 // 4),
        ({"depth": 101, "fast_depth": 50, "clip_frames": 8}, 1, 4 * 64 + 64),
        ({"lateral_norm": True, "lateral_ratio": 1, "clip_frames": 8}, 1, 4 * 64 + 64),
        ({"inflate_style": "3x3x3", "slow_inflate": [True] * 4, "clip_frames": 8}, 1, 4 * 64 + 64),
    ],
)
def test_the_spec_is_what_comes_out(settings: dict[str, object], steps: int, channels: int) -> None:
    backbone = small(**settings)
    spec = backbone.spec
    with torch.no_grad():
        found = backbone(clips(spec.clip_frames, 32, 64), torch.tensor([0]))
    assert found.tokens_NTSC.shape == (1, steps, 1 * 2, channels)
    assert (spec.steps_per_clip, spec.channels) == (steps, channels)


def convolutions(base: int, *, added: tuple[int, ...], inflated: tuple[bool, ...]) -> int:
    """Parameters of a ResNet-50 of that width, without its stem's convolution."""
    total, inputs = 2 * base, base
    for width, more, blocks, reach in zip(
        (base, 2 * base, 4 * base, 8 * base), added, (3, 4, 6, 3), inflated, strict=True
    ):
        outputs = 4 * width
        first = inputs + more
        total += first * outputs + 2 * outputs  # the shortcut
        for block in range(blocks):
            x = outputs if block else first
            total += (3 if reach else 1) * x * width + 9 * width * width + width * outputs
            total += 2 * (width + width + outputs)  # norms
        inputs = outputs
    return total


def test_the_published_network_has_its_parameters() -> None:
    backbone = build_backbone(SlowFastSettings())
    plain = {"added": (0, 0, 0, 0), "inflated": (False, False, False, False)}
    assert convolutions(64, **plain) + 7 * 7 * 3 * 64 == 23_508_032  # torchvision's
    fast = (8, 32, 64, 128)
    added = tuple(2 * channels for channels in fast)
    slow = 7 * 7 * 3 * 64 + convolutions(64, added=added, inflated=(False, False, True, True))
    narrow = 5 * 7 * 7 * 3 * 8 + convolutions(8, **{**plain, "inflated": (True,) * 4})
    laterals = sum(5 * channels * 2 * channels for channels in fast)
    assert sum(p.numel() for p in backbone.parameters()) == slow + narrow + laterals
    assert backbone.spec.channels == 2048 + 2048 // 8


def test_the_slow_path_sees_the_first_frame_of_each_eight() -> None:
    backbone = small(clip_frames=16)
    images = clips(16, 32, 32)
    with torch.no_grad():
        for stage in backbone.slow.stages:  # deaf to the connections, the last channels
            for conv in (stage[0].conv1.conv, stage[0].shortcut.conv):
                conv.weight[:, -conv.in_channels // 3 :] = 0
        before = backbone(images, torch.tensor([0])).tokens_NTSC
        others = [frame for frame in range(16) if frame % 8]
        images[:, :, others] += 1
        after = backbone(images, torch.tensor([0])).tokens_NTSC
        fast = 4 * 64 // 4
        assert torch.equal(before[..., fast:], after[..., fast:])
        assert not torch.allclose(before[..., :fast], after[..., :fast], rtol=0.1)
        images[:, :, 8] += 1
        after = backbone(images, torch.tensor([0])).tokens_NTSC
    assert not torch.allclose(before[:, 1, :, fast:], after[:, 1, :, fast:], rtol=0.1)


def test_a_connection_reaches_over_the_steps_around_a_frame_of_the_slow_path() -> None:
    backbone = small(clip_frames=16)
    lateral = backbone.laterals[0]
    fast = torch.randn(1, 2, 16, 1, 1)
    (kernel_OCK,) = (lateral.conv.weight[..., 0, 0],)
    with torch.no_grad():
        found = lateral(fast)[0, :, :, 0, 0]
        first = sum(kernel_OCK[:, :, k] @ fast[0, :, k - 2, 0, 0] for k in (2, 3, 4))
        second = sum(kernel_OCK[:, :, k] @ fast[0, :, 8 + k - 2, 0, 0] for k in range(5))
    torch.testing.assert_close(found, torch.stack((first, second), dim=1))


def test_a_clip_is_the_mean_of_the_fast_map_and_that_of_the_slow_one() -> None:
    backbone = small(clip_frames=16)
    images = clips(16, 64, 32, count=2)
    with torch.no_grad():
        found = backbone.pool_clips(backbone(images, torch.tensor([0, 1])))
        *_, (slow, fast) = backbone.maps(images)
    assert (slow.shape[2], fast.shape[2]) == (2, 16)
    torch.testing.assert_close(found, torch.cat((fast.mean((2, 3, 4)), slow.mean((2, 3, 4))), 1))


def stage_by_hand(stage: torch.nn.Sequential, x: Tensor) -> Tensor:
    """Re2TAL's equations of a stage."""

    def branch(block: torch.nn.Module, x: Tensor) -> Tensor:
        x = block.conv2(block.conv1(x).relu()).relu()
        return block.conv3(x).relu()

    first, *others = stage
    a = b = branch(first, x) + first.shortcut(x)
    for block in others:
        a, b = b + branch(block, a), a
    return (a + b) / 2


def test_a_reversible_network_couples_the_blocks_of_both_paths() -> None:
    backbone = small(clip_frames=8, reversible=True)
    images = clips(8, 32, 64)
    with torch.no_grad():
        _, (slow, fast), *found = backbone.maps(images)
        for lateral, *stages, maps in zip(
            backbone.laterals, backbone.slow.stages, backbone.fast.stages, found, strict=True
        ):
            slow = stage_by_hand(stages[0], torch.cat((slow, lateral(fast)), dim=1))
            fast = stage_by_hand(stages[1], fast)
            torch.testing.assert_close(maps.slow, slow)
            torch.testing.assert_close(maps.fast, fast)


@pytest.mark.parametrize("keep_statistics", [False, True])
def test_recomputing_gives_the_same_gradients_and_statistics(keep_statistics: bool) -> None:
    settings = {"depth": 18, "clip_frames": 8, "keep_statistics": keep_statistics}
    found = []
    for recompute in (False, True):
        backbone = small(reversible=True, recompute=recompute, **settings).double().train()
        *_, maps = backbone.maps(clips(8, 32, 32, count=2).double())
        (maps.slow.square().sum() + maps.fast.sum()).backward()
        gradients = {name: p.grad for name, p in backbone.named_parameters()}
        found.append(gradients | dict(backbone.named_buffers()))
    kept, again = found
    for name, value in kept.items():
        torch.testing.assert_close(again[name], value, rtol=1e-10, atol=1e-10, msg=name)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"slow_stride": 8, "speed_ratio": 3}, "slow_stride 8 is not a multiple of speed_ratio 3"),
        ({"base_channels": 12}, "base_channels 12 is not a multiple of channel_ratio 8"),
        ({"clip_frames": 12}, "clip_frames 12 is not a multiple of the 8 frames"),
        ({"fast_depth": 18}, "fast_depth 18: its blocks have other widths than those of depth 50"),
        ({"slow_inflate": [True]}, "slow_inflate: a ResNet-50 has stages of 3, 4, 6, 3 blocks"),
        ({"slow_inflate": [True] * 5}, "blocks, found flags for 3, 4, 6, 3, 1"),
        ({"fast_inflate": [[True]] * 4}, "fast_inflate: .* found flags for 1, 1, 1, 1"),
        ({"lateral_kernel": 4}, "odd"),
        ({"recompute": True}, "recompute: only a reversible network"),
        ({"recompute": True, "reversible": True}, "recompute: a frozen network has no backward"),
        ({"fast_stem_kernel": [4, 7, 7]}, "odd"),
    ],
)
def test_impossible_settings(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SlowFastSettings(**settings)


def theirs(name: str) -> str:
    """What mmaction2 calls our tensor ``name``."""
    path, *place = name.split(".")
    if path == "laterals":
        layer = f"layer{place[0]}" if place[0] != "0" else "conv1"
        where, leaf = ["slow_path", f"{layer}_lateral"], place[1:]
    elif place[0] == "stem":
        where, leaf = [f"{path}_path", "conv1"], place[1:]
    else:
        stage, block, member = place[1:4]
        where = [f"{path}_path", f"layer{int(stage) + 1}", block]
        where.append("downsample" if member == "shortcut" else member)
        leaf = place[4:]
    return ".".join([*where, "bn" if leaf[0] == "norm" else leaf[0], leaf[1]])


@pytest.mark.parametrize("settings", [{}, {"depth": 18, "lateral_norm": True}])
def test_names_of_mmaction2(settings: dict[str, object]) -> None:
    own = small(**settings).state_dict()
    file = {theirs(name): value for name, value in own.items()}
    assert len(file) == len(own)
    counts = {name.replace("running_mean", "num_batches_tracked") for name in file} - set(file)
    file |= dict.fromkeys(counts, torch.zeros(()))
    (naming,) = [naming for naming in FAMILY.namings if naming.fits(file)]
    found = rename_tensors(file, naming)
    assert naming.name == "mmaction"
    assert all(found.tensors[name] is value for name, value in own.items())
    left = [name for name in found.tensors if name not in own]
    assert len(left) == len(counts) == sum(name.endswith("running_mean") for name in own)
    assert all(name.startswith(FAMILY.optional) for name in left)


def test_names_of_re2tal() -> None:
    own = small(reversible=True).state_dict()
    file = {}
    for name, value in own.items():
        path, layer, block, *leaf = theirs(name).split(".")
        if block.isdigit():
            inside = "" if leaf[0] == "downsample" else "Fm." if block == "0" else "inv_block.Fm."
            block = f"blocks.{block}.{inside}"
        file[".".join([path, layer, block, *leaf]).replace("..", ".")] = value
    (naming,) = [naming for naming in FAMILY.namings if naming.fits(file)][:1]
    assert naming.name == "Re2TAL"
    found = rename_tensors(file, naming)
    assert found.tensors.keys() == own.keys()
    assert all(found.tensors[name] is value for name, value in own.items())


def test_a_2d_resnet_starts_the_slow_path() -> None:
    """Without the connections it computes what an inflated ResNet of the same weights does."""
    backbone = small(clip_frames=32)
    twin = build_backbone(
        I3DSettings(
            base_channels=8,
            inflate=[False, False, True, True],
            stem_kernel=(1, 7, 7),
            stem_stride=1,
            pool_stride=1,
            pools_after_first_stage=False,
            clip_frames=4,
        )
    )
    weights = {}
    for name, value in randomised(twin).state_dict().items():
        theirs_2d = name.replace("stages.3.", "layer4.").replace("stages.2.", "layer3.")
        theirs_2d = theirs_2d.replace("stages.1.", "layer2.").replace("stages.0.", "layer1.")
        for number in "123":
            theirs_2d = theirs_2d.replace(f"conv{number}.norm.", f"bn{number}.")
            theirs_2d = theirs_2d.replace(f"conv{number}.conv.", f"conv{number}.")
        theirs_2d = theirs_2d.replace("stem.conv.", "conv1.").replace("stem.norm.", "bn1.")
        theirs_2d = theirs_2d.replace("shortcut.conv.", "downsample.0.")
        theirs_2d = theirs_2d.replace("shortcut.norm.", "downsample.1.")
        weights[theirs_2d] = value.sum(dim=2) if value.ndim == 5 else value.clone()
    weights["fc.bias"] = torch.zeros(10)
    file = WeightFile("resnet.pth", weights, "the file itself", "0" * 64)
    fast = backbone.fast.stem.conv.weight.clone()
    report = fill_backbone(backbone, file)
    fill_backbone(twin, file)
    assert not report.missing
    assert not report.unexpected
    assert report.ignored == ("fc.bias",)
    done = dict(report.reshaped)
    assert done["slow.stages.2.0.conv1.conv.weight"] == "inflated to 3 steps"
    assert done["laterals.0.conv.weight"] == "left as it was; a 2D network has no such tensor"
    assert torch.equal(backbone.fast.stem.conv.weight, fast)
    images = clips(32, 32, 32)
    with torch.no_grad():
        *_, (slow, _) = backbone.maps(images)
        *_, expected = twin.maps(images[:, :, ::8])
    assert expected.std() > 0
    torch.testing.assert_close(slow, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("settings", [{"freeze": True}, {"keep_statistics": True}])
def test_statistics_that_stay(settings: dict[str, bool]) -> None:
    backbone = small(clip_frames=8, lateral_norm=True, **settings)
    before = {name: value.clone() for name, value in backbone.named_buffers()}
    # Of each path 53 (stem, 16 blocks of 3, 4 shortcuts), and 4 connections.
    assert len(before) == 2 * (53 + 53 + 4)
    backbone.train()
    backbone(clips(8, 32, 32, count=2), torch.tensor([0, 1]))
    assert all(torch.equal(before[name], value) for name, value in backbone.named_buffers())


def test_depth_grows_with_the_blocks_of_the_slow_path() -> None:
    roles = small(depth=101, fast_depth=50).roles()
    assert roles["slow.stem.conv.weight"].depth == roles["fast.stem.conv.weight"].depth == 0
    assert roles["laterals.0.conv.weight"].depth == 0
    assert roles["slow.stages.2.0.conv1.conv.weight"].depth == 1 + 3 + 4
    assert roles["fast.stages.2.0.conv1.conv.weight"].depth == 1 + 3 + 4
    assert roles["laterals.2.conv.weight"].depth == 3 + 4
    assert roles["fast.stages.3.2.conv3.norm.bias"].depth == 3 + 4 + 23 + 3
