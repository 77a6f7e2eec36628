"""UMT: its position table, its names, its published sizes."""

import pytest
import torch
from torch.nn import functional

from mmad.config.backbones.umt import UMTSettings
from mmad.errors import CheckpointError
from mmad.models.backbones.families import build_backbone
from mmad.models.backbones.plain_vit import PlainViT
from mmad.models.layers.transformer import sinusoid_table
from mmad.weights.files import WeightFile
from mmad.weights.load import fill_backbone

SMALL = {"size": {"width": 24, "depth": 2, "num_heads": 2, "patch": 4}, "clip_frames": 3}
# Its table is of 14 x 14 patches for 8 steps.
SIDE, STEPS = 14, 8


def small(**settings: object) -> PlainViT:
    torch.manual_seed(0)
    values = {**SMALL, "position_image_size": 4 * SIDE, "drop_path": 0, **settings}
    return build_backbone(UMTSettings(**values)).eval()


def file(**tensors: torch.Tensor) -> WeightFile:
    weights = small().state_dict() | tensors
    return WeightFile("umt.pth", weights, "model", "0" * 64)


def table(steps: int, side: int) -> torch.Tensor:
    """The table for clips of so many steps: in space first, step by step, then in time."""
    whole = sinusoid_table(STEPS * SIDE**2, 24).reshape(STEPS, SIDE, SIDE, 24)
    images = [
        functional.interpolate(one.permute(2, 0, 1)[None], size=(side, side), mode="bicubic")
        for one in whole
    ]
    times = torch.stack(images, dim=-1).flatten(0, -2)[None]
    times = functional.interpolate(times, size=steps, mode="linear").reshape(24, side, side, steps)
    return times.permute(3, 1, 2, 0).reshape(1, -1, 24)


def test_the_table_is_that_of_eight_steps_and_14_x_14_patches() -> None:
    backbone = small()
    torch.testing.assert_close(backbone.positions((5, 5)), table(3, 5))
    torch.testing.assert_close(
        small(clip_frames=8).positions((14, 14))[0], sinusoid_table(1568, 24)
    )


@pytest.mark.parametrize(("steps", "side"), [(3, 5), (8, 14), (8, 4), (16, 14)])
def test_a_table_that_files_of_other_sizes_have_is_that_of_sinusoids(steps: int, side: int) -> None:
    report = fill_backbone(small(), file(pos_embed=table(steps, side)))
    assert "pos_embed" in report.ignored


def test_a_table_of_its_own_is_an_error() -> None:
    with pytest.raises(CheckpointError, match=r"set backbone.learned_positions=true"):
        fill_backbone(small(), file(pos_embed=torch.randn(1, 3 * 25, 24)))


def test_what_is_no_table_is_ignored_with_the_tables_of_files() -> None:
    assert "pos_embed" in fill_backbone(small(), file(pos_embed=torch.zeros(3))).ignored


def test_a_kept_table_is_loaded_and_never_trained() -> None:
    backbone = small(
        learned_positions="kept", position_steps=None, position_image_size=8, freeze=False
    )
    own = torch.randn(1, 3 * 4, 24)
    fill_backbone(backbone, file(pos_embed=own))
    assert torch.equal(backbone.pos_embed, own)
    assert [name for name, p in backbone.named_parameters() if not p.requires_grad] == ["pos_embed"]


def test_pre_trained_weights_have_other_names_and_no_norm_of_pooled_vectors() -> None:
    source = small(final_norm=True)
    weights = {f"encoder.{name}": value for name, value in source.state_dict().items()}
    weights["clip_decoder.0.head.weight"] = torch.zeros(3, 24)
    target = small(final_norm=True)
    report = fill_backbone(target, WeightFile("pt.pth", weights, "model", "0" * 64))
    assert report.ignored == ("clip_decoder.0.head.weight",)
    assert torch.equal(target.norm.weight, source.norm.weight)


def test_a_step_is_a_frame_and_its_vector_is_normed() -> None:
    backbone = small()
    with torch.no_grad():
        backbone.fc_norm.weight.fill_(3)
        tokens = backbone(torch.randn(1, 3, 3, 8, 8), torch.zeros(1, dtype=torch.long))
        steps = backbone.pool_steps(tokens)
    expected = 3 * functional.layer_norm(tokens.tokens_NTSC.mean(dim=2), (24,), eps=1e-6)
    torch.testing.assert_close(steps, expected)
    assert steps.shape == (1, 3, 24)


@pytest.mark.parametrize(("size", "d", "depth"), [("base", 768, 12), ("large", 1024, 24)])
def test_published_sizes(size: str, d: int, depth: int) -> None:
    with torch.device("meta"):
        backbone = build_backbone(UMTSettings(size=size))
    attention = 3 * d * d + 2 * d + (d + 1) * d  # no bias of keys
    mlp = (d + 1) * 4 * d + (4 * d + 1) * d
    patches = (3 * 16 * 16 + 1) * d
    expected = depth * (attention + mlp + 2 * 2 * d) + patches + 2 * d
    assert sum(p.numel() for p in backbone.parameters()) == expected
