"""2D ResNets on frames: sizes, which blocks see other frames, names of weights."""

import re

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.nn import functional

from mmad.config.backbones.resnet2d import ResNet2dSettings
from mmad.errors import CheckpointError
from mmad.models.backbones.families import BACKBONES, build_backbone
from mmad.models.backbones.naming import rename_tensors
from mmad.models.backbones.resnet2d.build import FAMILY
from mmad.models.backbones.resnet2d.network import ResNet2d
from mmad.weights.files import WeightFile
from mmad.weights.load import fill_backbone
from mmad.weights.naming import backbone_names

RESNET50 = 23_508_032


def small(**settings: object) -> ResNet2d:
    """A network of few channels with random statistics, in evaluation mode."""
    torch.manual_seed(0)
    backbone = build_backbone(
        ResNet2dSettings(**{"base_channels": 16, "freeze": False, **settings})
    )
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
        ({}, 8, 4 * 16 * 8),
        ({"temporal": "shift", "clip_frames": 3}, 3, 4 * 16 * 8),
        ({"temporal": "interlace", "clip_frames": 5}, 5, 4 * 16 * 8),
        ({"depth": 18, "temporal": "shift"}, 8, 16 * 8),
        ({"temporal": "shift", "pools_after_first_stage": True}, 8 // 2, 4 * 16 * 8),
        ({"depth": 18, "temporal": "interlace", "pools_after_first_stage": True}, 8 // 2, 16 * 8),
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
    assert backbone.pool_clips(found).shape == (2, channels)


def test_maps_of_stages_have_the_strides_of_the_paper_and_one_for_each_step() -> None:
    stages = build_backbone(ResNet2dSettings()).spec.stages
    strides = {"conv2": 4, "conv3": 8, "conv4": 16, "conv5": 32}
    assert {name: stage.side_stride for name, stage in stages.items()} == strides
    assert [stage.channels for stage in stages.values()] == [256, 512, 1024, 2048]
    backbone = small(depth=18, pools_after_first_stage=True)
    assert list(backbone.spec.stages) == ["conv3", "conv4", "conv5"]  # conv2 has all frames
    tokens = backbone.forward_stages(clips(8, 64, 64), torch.tensor([0, 0]), ["conv3"])
    assert tokens.stage_maps_NTChw["conv3"].shape == (2, 8 // 2, 32, 64 // 8, 64 // 8)


def test_clips_that_do_not_fit_are_refused() -> None:
    backbone = small(depth=18)
    message = "expected clips of 8 frames whose sides are multiples of 32 pixels, found {}"
    for shape, found in ((16, 64, 64), "16 frames of 64x64"), ((8, 64, 80), "8 frames of 64x80"):
        with pytest.raises(ValueError, match=re.escape(message.format(found))):
            backbone(clips(*shape), torch.tensor([0, 0]))


@pytest.mark.parametrize("temporal", ["none", "shift"])
def test_the_published_networks_have_the_parameters_of_a_resnet(temporal: str) -> None:
    backbone = build_backbone(ResNet2dSettings(temporal=temporal))
    assert sum(p.numel() for p in backbone.parameters()) == RESNET50
    # TSM's 24.3 M are those and a classifier of Kinetics' 400 actions.
    assert round((RESNET50 + 400 * (2048 + 1)) / 1e5) == 243


def test_the_published_tin_has_its_parameters() -> None:
    # What goes into a block: at the start of a stage the channels of the one before.
    inputs = [64, 256, 256] + [256] + [512] * 3 + [512] + [1024] * 5 + [1024] + [2048] * 2
    learned = 0
    for channels in inputs:
        moving = channels // 4
        convolutions = (3 * moving + 1) + (3 * 2 * moving + 2)
        linear = (8 * 8 + 8) + (2 * 8 + 2)
        learned += convolutions + linear
    backbone = build_backbone(ResNet2dSettings(temporal="interlace"))
    assert sum(p.numel() for p in backbone.parameters()) == RESNET50 + learned


def test_manets_backbone_has_its_parameters() -> None:
    inputs = [64, 256, 256] + [256] + [512] * 3 + [512] + [1024] * 5 + [1024] + [2048] * 2
    gates = sum(2 * channels * channels // 4 for channels in inputs)
    assert gates == 7_964_672
    settings = {"temporal": "shift", "squeeze": 4}
    backbone = build_backbone(ResNet2dSettings(**settings))
    assert sum(p.numel() for p in backbone.parameters()) == RESNET50 + gates
    with torch.device("meta"):
        printed = build_backbone(ResNet2dSettings(**settings, convolves_exchanged=True))
    convolutions = sum(9 * channels * channels + channels for channels in inputs)
    found = sum(p.numel() for p in printed.parameters())
    assert found == RESNET50 + gates + convolutions


@pytest.mark.parametrize(
    ("settings", "third_stage"),
    [
        ({"temporal": "none"}, (0,) * 6),
        ({"temporal": "none", "squeeze": 4}, (1,) * 6),
        ({"temporal": "shift"}, (1,) * 6),
        ({"temporal": "shift", "depth": 101}, (1, 0) * 11 + (1,)),
        ({"temporal": "shift", "depth": 101, "shift_place": "block"}, (1,) * 23),
        ({"temporal": "interlace", "depth": 101}, (1,) * 23),
    ],
)
def test_blocks_that_see_other_frames(
    settings: dict[str, object], third_stage: tuple[int, ...]
) -> None:
    assert ResNet2dSettings(**settings).exchanging[2] == third_stage
    if settings.get("depth") != 101:
        return
    every = 1 if all(third_stage) else 2
    expected = tuple(tuple(n % every == 0 for n in range(count)) for count in (3, 4, 23, 3))
    assert ResNet2dSettings(**settings).exchanging == expected


def test_frames_remain_apart_without_an_exchange_and_not_with_one() -> None:
    images = clips(8, 32, 32, count=1)
    changed = images.clone()
    changed[:, :, 5] += 1
    moved = {}
    for temporal in ("none", "shift"):
        backbone = small(depth=18, temporal=temporal)
        with torch.no_grad():
            before, after = (
                backbone.pool_steps(backbone(x, torch.tensor([0])))[0] for x in (images, changed)
            )
        moved[temporal] = [bool(step) for step in (before != after).any(dim=1)]
    assert moved["none"] == [step == 5 for step in range(8)]
    # Eight shifts reach every frame.
    assert moved["shift"] == [True] * 8


@pytest.mark.parametrize("place", ["branch", "block"])
def test_a_block_written_out(place: str) -> None:
    """The first block of a plain ResNet: where the shift is, and what the shortcut sees."""
    backbone = small(depth=18, temporal="shift", shift_place=place, clip_frames=3)
    block = backbone.stages[0][0]
    x = torch.randn(3, 16, 4, 4)
    shifted = x.clone()
    shifted[:, :2] = torch.cat((x[1:, :2], torch.zeros(1, 2, 4, 4)))
    shifted[:, 2:4] = torch.cat((torch.zeros(1, 2, 4, 4), x[:-1, 2:4]))
    with torch.no_grad():
        first = functional.relu(block.branch[0](shifted))
        branch = block.branch[1](first)
        expected = functional.relu(branch + (x if place == "branch" else shifted))
        torch.testing.assert_close(block(x), expected)


def test_the_gate_is_of_each_frame_and_comes_before_the_shift() -> None:
    backbone = small(depth=18, temporal="shift", squeeze=4, clip_frames=3, convolves_exchanged=True)
    block = backbone.stages[0][0]
    x = torch.randn(3, 16, 4, 4)
    with torch.no_grad():
        gate = block.exchange.gate
        hidden = (x.mean(dim=(2, 3)) @ gate.down.weight.t()).clamp(min=0)
        gated = x * torch.sigmoid(hidden @ gate.up.weight.t())[:, :, None, None]
        shifted = gated.clone()
        shifted[:, :2] = torch.cat((gated[1:, :2], torch.zeros(1, 2, 4, 4)))
        shifted[:, 2:4] = torch.cat((torch.zeros(1, 2, 4, 4), gated[:-1, 2:4]))
        convolved = functional.relu(block.exchange.convolution(shifted))
        branch = block.branch[1](functional.relu(block.branch[0](convolved)))
        torch.testing.assert_close(block(x), functional.relu(branch + x))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"temporal": "interlace", "base_channels": 24},
            r"base_channels 24 // divisor 4 = 6 is not a multiple of 4",
        ),
        ({"temporal": "interlace", "base_channels": 2}, "= 0 is not a multiple of 4"),
        (
            {"temporal": "shift", "base_channels": 7},
            "moves none of base_channels 7 with divisor 8; set a smaller divisor",
        ),
        ({"squeeze": 5, "base_channels": 4}, "squeeze 5 leaves no hidden channel"),
        ({"convolves_exchanged": True}, "convolves_exchanged needs temporal=shift or interlace"),
        ({"shift_place": "block"}, "shift_place block needs temporal=shift, found none"),
        ({"temporal": "shift", "divisor": 1}, "greater than or equal to 2"),
        (
            {"pools_after_first_stage": True, "clip_frames": 7},
            "clip_frames 7 is not a multiple of the 2 frames",
        ),
        ({"adapter": {"name": "dsta"}}, "adapter dsta: resnet2d takes none"),
    ],
)
def test_impossible_settings(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ResNet2dSettings(**settings)


# ---- weights ----


def theirs(name: str, *, project: str, settings: ResNet2dSettings) -> str:
    """What mmaction2 or torchvision calls our tensor ``name``."""
    parts = name.split(".")
    if parts[0] == "stem":
        where, (kind, leaf) = ["conv1"], parts[1:]
    else:
        stage, block, member = parts[1:4]
        layer = [f"layer{int(stage) + 1}"]
        if settings.pools_after_first_stage and stage == "1":
            layer.append("net")
        layer.append(block)
        if settings.shift_place == "block":
            layer.append("net")
        if member == "exchange":
            if parts[4] == "gate":
                inner = {"down": "0", "up": "2"}[parts[5]]
                return ".".join([*layer, "conv1.conv.fcce", inner, parts[6]])
            part, kind, leaf = parts[5:]
            inner = {"conv": "conv", "hidden": "fc1", "out": "fc2"}[kind]
            return ".".join([*layer, f"conv1.conv.net1.{part[:-1]}_net", inner, leaf])
        number = "downsample" if member == "shortcut" else f"conv{int(parts[4]) + 1}"
        where, (kind, leaf) = [*layer, number], parts[-2:]
        moves = settings.exchanging[int(stage)][int(block)] and settings.shift_place == "branch"
        if moves and number == "conv1" and kind == "conv":
            return ".".join(
                [*where, "conv", "net2" * (settings.temporal == "interlace") or "net", leaf]
            )
    if project == "mmaction":
        return ".".join([*where, "conv" if kind == "conv" else "bn", leaf])
    if where[-1] == "downsample":
        return ".".join([*where, "0" if kind == "conv" else "1", leaf])
    last = where[-1] if kind == "conv" else where[-1].replace("conv", "bn")
    return ".".join([*where[:-1], last, leaf])


@pytest.mark.parametrize(
    ("project", "settings"),
    [
        ("torchvision", {}),
        ("torchvision", {"depth": 18}),
        ("mmaction", {}),
        ("mmaction", {"depth": 18, "temporal": "shift"}),
        ("mmaction", {"depth": 18, "temporal": "shift", "shift_place": "block"}),
        ("mmaction", {"temporal": "shift", "pools_after_first_stage": True}),
        ("mmaction", {"temporal": "interlace"}),
        ("mmaction", {"temporal": "shift", "squeeze": 4}),
    ],
)
def test_names_of_other_projects(project: str, settings: dict[str, object]) -> None:
    backbone = small(**settings)
    own = backbone.state_dict()
    made = ResNet2dSettings(**settings)
    file = {theirs(name, project=project, settings=made): value for name, value in own.items()}
    assert len(file) == len(own)
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
    told = backbone_names(file)
    assert told is not None
    assert told.family == "resnet2d"


def as_file(tensors: dict[str, Tensor]) -> WeightFile:
    return WeightFile("some.pth", tensors, container="state_dict", sha256="0" * 64)


def test_what_is_learned_between_frames_starts_anew_from_a_plain_network() -> None:
    plain = small(depth=18)
    target = small(depth=18, temporal="interlace")
    before = {n: v.clone() for n, v in target.state_dict().items() if ".exchange." in n}
    report = fill_backbone(target, as_file(plain.state_dict()))
    # Convolution, two linear layers, and the convolution of the weights, each with a bias.
    assert len(report.reshaped) == len(before) == 8 * (2 + 4 + 2)
    assert report.reshaped[0][1] == "left at its start: the file is of a plain ResNet"
    state = target.state_dict()
    assert all(torch.equal(state[name], value) for name, value in before.items())
    assert all(torch.equal(state[name], value) for name, value in plain.state_dict().items())


def test_an_interlacing_network_does_not_load_into_a_plain_one() -> None:
    source = small(depth=18, temporal="interlace").state_dict()
    with pytest.raises(CheckpointError, match=r"unexpected: stages\.0\.0\.exchange\.movement"):
        fill_backbone(small(depth=18), as_file(source))


def test_offsets_for_other_clips_are_refused() -> None:
    source = small(depth=18, temporal="interlace").state_dict()
    target = small(depth=18, temporal="interlace", clip_frames=4)
    with pytest.raises(CheckpointError, match=r"exchange\.movement\.offsets\.hidden"):
        fill_backbone(target, as_file(source))


def test_a_file_of_inflated_kernels_is_of_another_family() -> None:
    file = {"layer1.0.conv1.conv.weight": torch.zeros(4, 4, 1, 1, 1)}
    file["conv1.conv.weight"] = torch.zeros(4, 3, 5, 7, 7)
    with pytest.raises(CheckpointError, match="holds no 2D ResNet in a known naming; found a i3d"):
        fill_backbone(small(depth=18), as_file(file))


def test_files_are_described() -> None:
    describe = BACKBONES["resnet2d"].describe
    assert describe(small(depth=18).state_dict()) == "ResNet of 8 blocks, 16 channels in the stem"
    learned = describe(small(depth=18, temporal="interlace").state_dict())
    assert learned.endswith(", with learned offsets between frames")
    gated = describe(small(depth=18, temporal="shift", squeeze=4).state_dict())
    assert gated.endswith("16 channels in the stem, with gates")


# ---- what training changes ----


def test_statistics_move_unless_they_are_kept() -> None:
    for settings, moves in (
        ({}, True),
        ({"keep_statistics": True}, False),
        ({"freeze": True}, False),
    ):
        backbone = small(depth=18, **settings)
        before = {n: b.clone() for n, b in backbone.named_buffers()}
        assert len(before) == 2 * (1 + 2 * 8 + 3)  # mean and variance of stem, blocks, shortcuts
        backbone.train()(clips(8, 32, 32), torch.tensor([0, 1]))
        for name, value in backbone.named_buffers():
            assert torch.equal(value, before[name]) != moves, name


def test_depth_grows_with_the_blocks() -> None:
    roles = small(depth=18, temporal="interlace").roles()
    assert roles["stem.conv.weight"].depth == 0
    assert roles["stages.0.0.exchange.movement.offsets.conv.weight"].depth == 1
    assert roles["stages.1.0.branch.0.conv.weight"].depth == 1 + 2
    assert roles["stages.3.1.branch.1.norm.bias"].depth == 2 + 2 + 2 + 2


@pytest.mark.parametrize("temporal", ["shift", "interlace"])
def test_the_smallest_network_moves_channels_and_keeps_the_rest(temporal: str) -> None:
    settings, side = ResNet2dSettings(temporal=temporal).tiny()
    backbone = build_backbone(settings)
    assert backbone.stages[0][0].exchange.movement.fold == {"shift": 1, "interlace": 4}[temporal]
    assert side == 64
