"""BN-Inception: its size, its branches and poolings, colours of its weights, and shifts."""

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.nn import functional

from mmad.config.backbones.bn_inception import BNInceptionSettings
from mmad.config.backbones.family import STATISTICS
from mmad.errors import CheckpointError
from mmad.models.backbones.bn_inception.network import BNInception
from mmad.models.backbones.families import build_backbone
from mmad.weights.files import WeightFile
from mmad.weights.load import fill_backbone

# Channels of the output of each unit: 1x1, 3x3 reduce, 3x3, double 3x3 reduce, double 3x3, pool.
WIDTHS = {
    "3a": (64, 64, 64, 64, 96, 32),
    "3b": (64, 64, 96, 64, 96, 64),
    "3c": (0, 128, 160, 64, 96, 0),
    "4a": (224, 64, 96, 96, 128, 128),
    "4b": (192, 96, 128, 96, 128, 128),
    "4c": (160, 128, 160, 128, 160, 128),
    "4d": (96, 128, 192, 160, 192, 128),
    "4e": (0, 128, 192, 192, 256, 0),
    "5a": (352, 192, 320, 160, 224, 128),
    "5b": (352, 192, 320, 192, 224, 128),
}
SHIFTED = ("second", *WIDTHS)
VIDEO = torch.tensor([0])


def small(**settings: object) -> BNInception:
    """A network of few channels with random statistics, in evaluation mode."""
    torch.manual_seed(0)
    few = {"base_channels": 8, "clip_frames": 2, "freeze": False}
    backbone = build_backbone(BNInceptionSettings(**{**few, **settings}))
    assert isinstance(backbone, BNInception)
    for name, value in backbone.state_dict().items():
        if name.endswith(("norm.weight", "running_var")):
            value.uniform_(0.5, 1.5)
        elif name.endswith(("norm.bias", "running_mean", "conv.bias")):
            value.normal_(std=0.1)
    return backbone.eval()


def blank() -> BNInception:
    """The same network, all zeros."""
    backbone = small()
    with torch.no_grad():
        for value in backbone.state_dict().values():
            value.zero_()
    return backbone


def caffe_name(name: str) -> str:
    *place, kind, value = name.split(".")
    plain = {"stem": "conv1_7x7_s2", "second.0": "conv2_3x3_reduce", "second.1": "conv2_3x3"}
    layer = plain.get(".".join(place))
    if layer is None:
        _, unit, *branch = place
        inside = {
            **{"one": "1x1", "pool": "pool_proj", "three.0": "3x3_reduce", "three.1": "3x3"},
            **{"five.0": "double_3x3_reduce", "five.1": "double_3x3_1", "five.2": "double_3x3_2"},
        }
        layer = f"inception_{unit}_{inside['.'.join(branch)]}"
    return f"{layer}{'_bn' if kind == 'norm' else ''}.{value}"


def caffe_file(backbone: BNInception, *, prefix: str = "", classifier: str = "fc") -> WeightFile:
    """The weights for images from blue to red, and a classifier."""
    tensors = {prefix + caffe_name(n): value for n, value in backbone.state_dict().items()}
    kernel = tensors[f"{prefix}conv1_7x7_s2.weight"]
    tensors[f"{prefix}conv1_7x7_s2.weight"] = kernel[:, [2, 1, 0]]
    tensors[f"{classifier}.weight"] = torch.zeros(1000, backbone.spec.channels)
    tensors[f"{classifier}.bias"] = torch.zeros(1000)
    return WeightFile("bn_inception.pth", tensors, "the file itself", "0" * 64)


def test_the_published_network_has_its_parameters() -> None:
    def layer(inputs: int, outputs: int, side: int) -> int:
        return inputs * outputs * side**2 + outputs + 2 * outputs  # kernel, bias, norm

    total = layer(3, 64, 7) + layer(64, 64, 1) + layer(64, 192, 3)
    inputs = 192
    for one, reduce, three, double_reduce, double, pool in WIDTHS.values():
        total += layer(inputs, one, 1) + layer(inputs, reduce, 1) + layer(reduce, three, 3)
        total += layer(inputs, double_reduce, 1) + layer(double_reduce, double, 3)
        total += layer(double, double, 3) + layer(inputs, pool, 1)
        inputs = one + three + double + (pool or inputs)
    backbone = build_backbone(BNInceptionSettings())
    counted = sum(p.numel() for p in backbone.parameters())
    assert counted == total == 10_270_240
    # Cadene's, with ImageNet's classes; Table 3 of MLFE, with those of PEV and MA10.
    assert total + (1024 + 1) * 1000 == 11_295_240
    assert {round((total + 1025 * classes) / 1e6, 1) for classes in (7, 10)} == {10.3}
    shifting = build_backbone(BNInceptionSettings(temporal="shift"))
    assert sum(p.numel() for p in shifting.parameters()) == total


def test_stages_are_the_last_maps_of_each_size() -> None:
    stages = build_backbone(BNInceptionSettings()).spec.stages
    assert {name: stage.side_stride for name, stage in stages.items()} == {
        **{"conv2": 4, "conv3": 8, "conv4": 16, "conv5": 32}
    }
    assert [stage.channels for stage in stages.values()] == [
        *(192, 64 + 96 + 96 + 64, 96 + 192 + 192 + 128, 352 + 320 + 224 + 128)
    ]


def plain_forward(tensors: dict[str, Tensor], images_MCHW: Tensor) -> Tensor:
    """The last map from weights under Caffe's names, branch by branch."""

    def layer(x: Tensor, name: str, *, stride: int = 1) -> Tensor:
        kernel = tensors[f"{name}.weight"]
        x = functional.conv2d(
            x, kernel, tensors[f"{name}.bias"], stride=stride, padding=kernel.shape[-1] // 2
        )
        norm = {key: tensors[f"{name}_bn.{key}"][:, None, None] for key in NORM}
        x = (x - norm["running_mean"]) / torch.sqrt(norm["running_var"] + 1e-5)
        return (x * norm["weight"] + norm["bias"]).clamp(min=0)

    def halved(x: Tensor) -> Tensor:
        # Sides are even: the last window of three has two cells.
        padded = functional.pad(x, (0, 1, 0, 1), value=-torch.inf)
        return padded.unfold(2, 3, 2).unfold(3, 3, 2).amax(dim=(4, 5))

    x = halved(layer(images_MCHW, "conv1_7x7_s2", stride=2))
    x = halved(layer(layer(x, "conv2_3x3_reduce"), "conv2_3x3"))
    for unit in WIDTHS:
        name, stride = f"inception_{unit}_", 2 if unit in ("3c", "4e") else 1
        three = layer(layer(x, f"{name}3x3_reduce"), f"{name}3x3", stride=stride)
        five = layer(layer(x, f"{name}double_3x3_reduce"), f"{name}double_3x3_1")
        five = layer(five, f"{name}double_3x3_2", stride=stride)
        if stride == 2:
            x = torch.cat((three, five, halved(x)), dim=1)
            continue
        if unit == "5b":
            windows = functional.pad(x, (1, 1, 1, 1), value=-torch.inf)
            pooled = windows.unfold(2, 3, 1).unfold(3, 3, 1).amax(dim=(4, 5))
        else:
            windows = functional.pad(x, (1, 1, 1, 1))
            pooled = windows.unfold(2, 3, 1).unfold(3, 3, 1).mean(dim=(4, 5))
        pool = layer(pooled, f"{name}pool_proj")
        x = torch.cat((layer(x, f"{name}1x1"), three, five, pool), dim=1)
    return x


NORM = ("weight", "bias", "running_mean", "running_var")


def test_it_computes_what_caffes_network_does_of_images_from_blue_to_red() -> None:
    file = caffe_file(small())
    backbone = blank()
    assert fill_backbone(backbone, file).naming == "Caffe"
    tensors = {name: value.double() for name, value in file.tensors.items()}
    images = torch.randint(0, 256, (1, 3, 2, 64, 96)).double()
    mean, std = (torch.tensor(s).view(3, 1, 1, 1) for s in STATISTICS["caffe"])
    with torch.no_grad():
        found = backbone.double()((images - mean) / std, VIDEO)
        means = torch.tensor([104, 117, 128]).view(3, 1, 1)
        blue_to_red = images[0].flip(0).transpose(0, 1) - means
        expected = plain_forward(tensors, blue_to_red)
    assert found.grid_hw == (2, 3)
    expected_NTSC = expected.flatten(2).transpose(1, 2)[None]
    torch.testing.assert_close(found.tokens_NTSC, expected_NTSC)


@pytest.mark.parametrize(
    ("prefix", "classifier"), [("", "last_linear"), ("base_model.", "base_model.fc")]
)
def test_official_files_load_fully(prefix: str, classifier: str) -> None:
    source, copy = small(), blank()
    file = caffe_file(source, prefix=prefix, classifier=classifier)
    tensors = dict(file.tensors)
    if not prefix:  # the first files have norms of two dimensions
        norms = [name for name in tensors if "_bn." in name]
        tensors |= {name: tensors[name][None] for name in norms}
    file = WeightFile(file.source, tensors, file.container, file.sha256)
    report = fill_backbone(copy, file)
    assert (report.missing, report.unexpected) == ((), ())
    assert len(report.ignored) == 2
    assert all(torch.equal(v, source.state_dict()[n]) for n, v in copy.state_dict().items())
    del tensors[f"{prefix}inception_5b_pool_proj_bn.running_var"]
    tensors[f"{prefix}inception_6a_1x1.weight"] = torch.zeros(1)
    with pytest.raises(CheckpointError, match=r"missing: units\.5b\.pool\.norm\.running_var; une"):
        fill_backbone(copy, WeightFile(file.source, tensors, file.container, file.sha256))


def test_the_input_of_each_unit_is_shifted_but_not_the_images() -> None:
    frames = 3
    backbone = small(temporal="shift", clip_frames=frames)
    assert tuple(backbone.shifts) == SHIFTED
    images = torch.randn(frames, 3, 32, 32)
    with torch.no_grad():
        maps = dict(backbone.maps(images))
        still = dict(small(clip_frames=frames).maps(images))
        assert torch.equal(maps["stem"], still["stem"])
        before = functional.max_pool2d(maps["second"], 3, stride=2, ceil_mode=True)
        eighth = before.shape[1] // 8
        shifted = before.clone()
        shifted[:, : 2 * eighth] = 0
        shifted[:-1, :eighth] = before[1:, :eighth]
        shifted[1:, eighth : 2 * eighth] = before[:-1, eighth : 2 * eighth]
        assert torch.equal(maps["3a"], backbone.units["3a"](shifted))
        assert not torch.allclose(maps["3a"], backbone.units["3a"](before))


def test_depths_grow_with_the_units() -> None:
    roles = small().roles()
    assert roles["stem.conv.weight"].depth == 0
    assert roles["second.1.conv.bias"].depth == 1
    assert roles["units.3a.one.conv.weight"].depth == 2
    assert roles["units.5b.pool.norm.bias"].depth == 2 + 9


def test_a_shift_of_no_channel_is_refused() -> None:
    with pytest.raises(ValidationError, match="moves none of base_channels 6 with divisor 8"):
        BNInceptionSettings(base_channels=6, temporal="shift")


def test_odd_widths_are_refused() -> None:
    with pytest.raises(ValidationError, match="base_channels 9: expected an even number"):
        BNInceptionSettings(base_channels=9)
