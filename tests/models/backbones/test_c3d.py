"""C3D: sizes, its poolings, its fully connected layers, and names of weights."""

from itertools import pairwise

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from mmad.config.backbones.c3d import C3DSettings
from mmad.config.reading import load_any_config
from mmad.errors import CheckpointError, ConfigError
from mmad.models.backbones.c3d.build import FAMILY
from mmad.models.backbones.c3d.network import C3D
from mmad.models.backbones.families import build_backbone
from mmad.models.backbones.naming import rename_tensors
from mmad.weights.files import WeightFile
from mmad.weights.load import fill_backbone


def small(**settings: object) -> C3D:
    """A network of few channels, in evaluation mode."""
    torch.manual_seed(0)
    few = {"base_channels": 4, "hidden_channels": 12, "image_size": 48, "freeze": False}
    backbone = build_backbone(C3DSettings(**{**few, **settings}))
    assert isinstance(backbone, C3D)
    return backbone.eval()


def clips(frames: int, height: int, width: int, *, count: int = 1) -> Tensor:
    return torch.randn(count, 3, frames, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("settings", "frames", "hw", "cells"),
    [
        # Time is halved four times; images are halved four times, then h // 2 + 1 remain.
        ({}, 16, (48, 48), 1 * 2 * 2),
        ({"image_size": [48, 112]}, 16, (48, 112), 1 * 2 * 4),
        ({"image_size": 40, "clip_frames": 40}, 40, (40, 40), 2 * 2 * 2),
        ({"norm": True}, 16, (48, 48), 1 * 2 * 2),
    ],
)
def test_one_vector_of_a_clip(
    settings: dict[str, object], frames: int, hw: tuple[int, int], cells: int
) -> None:
    backbone = small(**settings)
    assert backbone.fc6.in_features == 8 * 4 * cells
    with torch.no_grad():
        found = backbone(clips(frames, *hw, count=2), torch.tensor([0, 1]))
    assert found.tokens_NTSC.shape == (2, 1, 1, 12)
    assert found.grid_hw == (1, 1) == backbone.spec.grid_hw(hw)
    assert (backbone.spec.steps_per_clip, backbone.spec.frames_per_step) == (1, frames)


def test_the_published_network_has_its_parameters() -> None:
    widths = [3, 64, 128, 256, 256, 512, 512, 512, 512]
    convolutions = sum(27 * a * b + b for a, b in pairwise(widths))
    hidden = (512 * 1 * 4 * 4) * 4096 + 4096 + 4096 * 4096 + 4096
    backbone = build_backbone(C3DSettings())
    assert sum(p.numel() for p in backbone.parameters()) == convolutions + hidden
    assert backbone.spec.channels == 4096


def test_the_first_pooling_keeps_the_steps_and_the_last_adds_a_border() -> None:
    backbone = small()
    with torch.no_grad():
        maps = list(backbone.maps(clips(16, 48, 48)))
        before = backbone.stages[4](maps[3])
    shapes = [tuple(x.shape[1:]) for x in maps]
    assert shapes == [(4, 16, 24, 24), (8, 8, 12, 12), (16, 4, 6, 6), (32, 2, 3, 3), (32, 1, 2, 2)]
    # Rows and columns 0 | 1 2 of three: the border stands before the first.
    corner = before[:, :, :, 0, 0].amax(dim=2)
    rest = before[:, :, :, 1:, 1:].amax(dim=(2, 3, 4))
    assert torch.equal(maps[4][:, :, 0, 0, 0], corner)
    assert torch.equal(maps[4][:, :, 0, 1, 1], rest)


def test_cells_are_flattened_by_channel_step_row_and_column() -> None:
    backbone = small(clip_frames=32, image_size=[48, 80])
    maps = torch.rand(1, 32, 2, 2, 3)
    index = ((5 * 2 + 1) * 2 + 0) * 3 + 2  # channel 5, step 1, row 0, column 2
    with torch.no_grad():
        for layer in (backbone.fc6, backbone.fc7):
            layer.weight.zero_()
            layer.bias.zero_()
        backbone.fc6.weight[0, index] = 2
        backbone.fc6.weight[1, index] = -2
        backbone.fc7.weight[0, 0] = 3
        backbone.fc7.weight[1, 1] = -1
        backbone.fc7.bias[1] = 0.5
        found = backbone.vector(maps)[0]
    # ReLU after both: the negative value of the second unit is gone before its bias is added.
    expected = [3 * 2 * float(maps[0, 5, 1, 0, 2]), 0.5, *[0.0] * 10]
    torch.testing.assert_close(found, torch.tensor(expected))


@pytest.mark.parametrize("freeze", [True, False])
def test_dropout_is_for_a_network_that_is_trained(freeze: bool) -> None:
    backbone = small(freeze=freeze, dropout=0.9)
    images, video = clips(16, 48, 48), torch.tensor([0])
    expected = backbone(images, video).tokens_NTSC
    found = backbone.train()(images, video).tokens_NTSC
    assert torch.equal(found, expected) == freeze


@pytest.mark.parametrize("norm", [False, True])
def test_names_of_mmaction2(norm: bool) -> None:
    own = small(norm=norm).state_dict()
    letters = {f"stages.{s}.{c}.": f"conv{s + 1}{'ab'[c]}." for s in range(5) for c in range(2)}
    file = {}
    for name, value in own.items():
        for ours, theirs in letters.items():
            name = name.replace(ours, theirs)
        file[name.replace(".norm.", ".bn.")] = value
    assert {"conv1a.conv.weight", "conv4b.conv.weight", "fc7.bias"} <= file.keys()
    if norm:
        file["conv1a.bn.num_batches_tracked"] = torch.zeros(())
    (naming,) = [naming for naming in FAMILY.namings if naming.fits(file)]
    found = rename_tensors(file, naming)
    assert naming.name == "mmaction"
    assert all(found.tensors[name] is value for name, value in own.items())
    assert all(name.startswith(FAMILY.optional) for name in found.tensors.keys() - own.keys())


def test_weights_of_another_image_size_are_refused() -> None:
    file = WeightFile("c3d.pth", small(image_size=112).state_dict(), "the file itself", "0" * 64)
    message = (
        "c3d.pth: its first fully connected layer takes 512 values, but 16 frames of 48x48 pixels "
        "give 128; set backbone.image_size"
    )
    with pytest.raises(CheckpointError, match=message):
        fill_backbone(small(), file)


def test_images_of_another_size_are_refused() -> None:
    name = "configs/recognition/c3d.yaml"
    assert load_any_config(name).data.image_size == 112
    message = r"data.image_size \[224, 224\] is not backbone.image_size \[112, 112\]"
    with pytest.raises(ConfigError, match=message):
        load_any_config(name, overrides=["data.image_size=224"])
    both = ["data.image_size=[96, 128]", "backbone.image_size=[96, 128]"]
    assert load_any_config(name, overrides=both).backbone.image_hw == (96, 128)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"clip_frames": 8}, "greater than or equal to 16"),
        ({"adapter": {"name": "dsta"}}, "adapter dsta: c3d takes none"),
        ({"dropout": 1}, "less than 1"),
    ],
)
def test_impossible_settings(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        C3DSettings(**settings)


def test_depth_grows_with_the_layers() -> None:
    roles = small().roles()
    assert roles["stages.0.0.conv.weight"].depth == 0
    assert roles["stages.2.1.conv.bias"].depth == 3
    assert roles["stages.4.1.conv.weight"].depth == 7
    assert roles["fc6.weight"].depth == 8
    assert roles["fc7.bias"].depth == 9
