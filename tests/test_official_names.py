"""Names that authors gave the tensors of their own files: every tensor finds its place."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from mmad.config.backbones.c3d import C3DSettings
from mmad.config.backbones.family import BackboneFamilySettings
from mmad.config.backbones.i3d import I3DSettings
from mmad.config.backbones.resnet2d import ResNet2dSettings
from mmad.config.backbones.slowfast import SlowFastSettings
from mmad.errors import CheckpointError
from mmad.models.backbones.contract import Backbone
from mmad.models.backbones.families import build_backbone
from mmad.weights.describe import describe
from mmad.weights.files import WeightFile
from mmad.weights.load import fill_backbone

pytestmark = pytest.mark.slow

LETTERS = {"1": "a", "2": "b", "3": "c"}


def tsn_name(name: str, *, shift: str = "") -> str:
    """As torchvision, inside ``base_model``; TSM wraps what follows its shift."""
    if name.startswith("stem."):
        _, kind, value = name.split(".")
        return f"base_model.{'conv1' if kind == 'conv' else 'bn1'}.{value}"
    *place, layer, kind, value = name.removeprefix("stages.").replace("branch.", "").split(".")
    block = f"base_model.layer{int(place[0]) + 1}.{'net.' if shift == 'pool' else ''}{place[1]}."
    block += "net." if shift == "block" else ""
    if layer == "shortcut":
        return f"{block}downsample.{'0' if kind == 'conv' else '1'}.{value}"
    number = int(layer) + 1
    net = "net." if shift == "branch" and number == 1 and kind == "conv" else ""
    return f"{block}{'conv' if kind == 'conv' else 'bn'}{number}.{net}{value}"


def pyslowfast_name(name: str, *, stem: str = "pathway") -> str:
    path, place = {"slow": ("0", ""), "fast": ("1", "")}.get(name.split(".")[0], ("", name))
    if path:
        place = name.partition(".")[2]
    elif not name.startswith("laterals."):
        path = "0"
    if not path:
        _, number, kind, value = name.split(".")
        return f"s{int(number) + 1}_fuse.{'conv_f2s' if kind == 'conv' else 'bn'}.{value}"
    if place.startswith("stem."):
        kind, value = place.split(".")[1:]
        return f"s1.{stem}{path}_stem.{'conv' if kind == 'conv' else 'bn'}.{value}"
    _, stage, block, layer, kind, value = place.split(".")
    end = "" if kind == "conv" else "_bn"
    inside = "branch1" if layer == "shortcut" else f"branch2.{LETTERS[layer[-1]]}"
    return f"s{int(stage) + 2}.pathway{path}_res{block}.{inside}{end}.{value}"


def pytorchvideo_name(name: str, *, stages: tuple[int, ...] = (1, 2, 3, 4)) -> str:
    path = {"slow": "multipathway_blocks.0.", "fast": "multipathway_blocks.1."}.get(
        name.split(".")[0], ""
    )
    place = name.partition(".")[2] if path else name
    part, *rest = place.split(".")
    if part == "laterals":
        number, kind, value = rest
        inside = "conv_fast_to_slow" if kind == "conv" else "norm"
        return f"blocks.{number}.multipathway_fusion.{inside}.{value}"
    if part == "stem":
        return f"blocks.0.{path}{'.'.join(rest)}"
    stage, block, layer, kind, value = rest
    inside = f"branch1_{kind}" if layer == "shortcut" else f"branch2.{kind}_{LETTERS[layer[-1]]}"
    return f"blocks.{stages[int(stage)]}.{path}res_blocks.{block}.{inside}.{value}"


def sports_name(name: str) -> str:
    found = re.fullmatch(r"stages\.(\d)\.(\d)\.conv\.(weight|bias)", name)
    if found is None:
        return name
    stage, number = int(found[1]), int(found[2])
    return f"conv{stage + 1}{'' if stage < 2 else 'ab'[number]}.{found[3]}"


@dataclass(frozen=True)
class Case:
    settings: BackboneFamilySettings
    name: Callable[[str], str]
    naming: str
    classifier: str
    # Names in the code of the authors, besides those of the rules above.
    known: tuple[str, ...]
    counts: bool = True


def resnet(**settings: object) -> ResNet2dSettings:
    return ResNet2dSettings(base_channels=8, clip_frames=2, freeze=False, **settings)


def i3d(**settings: object) -> I3DSettings:
    return I3DSettings(
        base_channels=4, clip_frames=2, stem_stride=1, pool_stride=1, freeze=False, **settings
    )


SLOWFAST = SlowFastSettings(
    **{"depth": 50, "base_channels": 8, "channel_ratio": 4, "clip_frames": 4, "freeze": False},
    **{"slow_stride": 4, "speed_ratio": 4, "lateral_kernel": 7, "lateral_norm": True},
)

CASES = {
    "TSN": Case(
        resnet(),
        tsn_name,
        "TSN and TSM",
        "new_fc",
        ("base_model.conv1.weight", "base_model.bn1.bias", "base_model.layer4.2.conv3.weight"),
    ),
    "TSM": Case(
        resnet(temporal="shift"),
        lambda name: tsn_name(name, shift="branch"),
        "TSN and TSM",
        "new_fc",
        ("base_model.layer1.0.conv1.net.weight", "base_model.layer1.0.downsample.0.weight"),
    ),
    "TSM, whole blocks": Case(
        resnet(temporal="shift", shift_place="block"),
        lambda name: tsn_name(name, shift="block"),
        "TSN and TSM",
        "new_fc",
        ("base_model.layer1.0.net.conv1.weight", "base_model.layer2.0.net.downsample.1.bias"),
    ),
    "PySlowFast's SlowFast": Case(
        SLOWFAST,
        pyslowfast_name,
        "PySlowFast",
        "head.projection",
        (
            *("s1.pathway0_stem.conv.weight", "s1.pathway1_stem.bn.running_mean"),
            *("s1_fuse.conv_f2s.weight", "s4_fuse.bn.weight", "s2.pathway0_res0.branch1.weight"),
            *("s2.pathway1_res0.branch1_bn.bias", "s5.pathway1_res2.branch2.c_bn.weight"),
        ),
    ),
    "PySlowFast's I3D": Case(
        i3d(),
        pyslowfast_name,
        "PySlowFast",
        "head.projection",
        ("s1.pathway0_stem.conv.weight", "s4.pathway0_res5.branch2.a_bn.running_var"),
    ),
    "PySlowFast's C2D, older": Case(
        i3d(inflate="none", stem_kernel=(1, 7, 7)),
        lambda name: pyslowfast_name(name, stem="s"),
        "PySlowFast",
        "head.projection",
        ("s1.s0_stem.bn.weight", "s5.pathway0_res0.branch2.b.weight"),
    ),
    "PyTorchVideo's SlowFast": Case(
        SLOWFAST,
        pytorchvideo_name,
        "PyTorchVideo",
        "blocks.6.proj",
        (
            *("blocks.0.multipathway_blocks.1.conv.weight",),
            *("blocks.3.multipathway_fusion.conv_fast_to_slow.weight",),
            *("blocks.0.multipathway_fusion.norm.running_mean",),
            *("blocks.4.multipathway_blocks.1.res_blocks.2.branch2.norm_c.weight",),
            *("blocks.1.multipathway_blocks.0.res_blocks.0.branch1_conv.weight",),
        ),
    ),
    "PyTorchVideo's I3D": Case(
        i3d(),
        lambda name: pytorchvideo_name(name, stages=(1, 3, 4, 5)),
        "PyTorchVideo",
        "blocks.6.proj",
        ("blocks.0.conv.weight", "blocks.5.res_blocks.0.branch2.conv_a.weight"),
    ),
    "PyTorchVideo's Slow": Case(
        i3d(inflate=[False, False, True, True], pools_after_first_stage=False),
        pytorchvideo_name,
        "PyTorchVideo",
        "blocks.5.proj",
        ("blocks.0.norm.weight", "blocks.4.res_blocks.2.branch2.conv_c.weight"),
    ),
    "Sports-1M's C3D": Case(
        C3DSettings(
            **{"base_channels": 2, "hidden_channels": 4, "image_size": 32, "freeze": False}
        ),
        sports_name,
        "Sports-1M",
        "fc8",
        ("conv1.weight", "conv2.bias", "conv3a.weight", "conv5b.bias", "fc6.weight", "fc7.bias"),
        counts=False,
    ),
}


def randomised(settings: BackboneFamilySettings, *, seed: int) -> Backbone:
    torch.manual_seed(seed)
    backbone = build_backbone(settings)
    for name, value in backbone.state_dict().items():
        if name.endswith(("norm.weight", "running_var")):
            value.uniform_(0.5, 1.5)
        elif name.endswith(("norm.bias", "running_mean")):
            value.normal_(std=0.1)
    return backbone.eval()


def official(case: Case, backbone: Backbone) -> dict[str, Tensor]:
    tensors = {case.name(name): value for name, value in backbone.state_dict().items()}
    assert len(tensors) == len(backbone.state_dict())
    norms = [name for name in tensors if name.endswith("running_var")]
    if case.counts:
        for name in norms:
            tensors[name.replace("running_var", "num_batches_tracked")] = torch.tensor(7)
    width = backbone.spec.channels
    tensors[f"{case.classifier}.weight"] = torch.zeros(3, width)
    tensors[f"{case.classifier}.bias"] = torch.zeros(3)
    return tensors


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_tensor_of_an_official_file_finds_its_place(case: Case) -> None:
    source = randomised(case.settings, seed=1)
    tensors = official(case, source)
    assert set(case.known) <= tensors.keys()
    file = WeightFile("w.pth", tensors, "state_dict", "0" * 64)
    copy = randomised(case.settings, seed=2)
    report = fill_backbone(copy, file)
    assert report.naming == case.naming
    assert (report.missing, report.unexpected) == ((), ())
    counts = sum(name.endswith("num_batches_tracked") for name in tensors)
    assert len(report.ignored) == counts + 2
    assert len(report.matched) + len(report.renamed) == len(source.state_dict())
    for name, value in source.state_dict().items():
        assert torch.equal(copy.state_dict()[name], value), name
    frames = source.spec.clip_frames
    images = torch.randn(1, 3, frames, 32, 32)
    video = torch.tensor([0])
    with torch.no_grad():
        assert torch.equal(source(images, video).tokens_NTSC, copy(images, video).tokens_NTSC)
    assert f"in {case.naming} naming" in "\n".join(describe(file))
    # What is lost or added is named.
    lost = list(source.state_dict())[-1]
    del tensors[case.name(lost)]
    tensors["extra.weight"] = torch.zeros(1)
    with pytest.raises(CheckpointError) as caught:
        fill_backbone(copy, file)
    assert f"missing: {lost}; unexpected: extra.weight." in str(caught.value)
