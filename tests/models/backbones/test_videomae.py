from pathlib import Path

import pytest
import torch
from torch.nn import functional

from mmad.config.backbones.videomae import VideoMAESettings
from mmad.errors import CheckpointError
from mmad.models.backbones.families import build_backbone
from mmad.models.backbones.plain_vit import PlainViT, ViTSize
from mmad.models.backbones.videomae.hugging_face import to_hugging_face
from mmad.weights.load import load_backbone
from support.backbones import backbone, official, perturbed_backbone, randomize, steps


def test_positions_are_interpolated_for_other_sizes() -> None:
    model = backbone()
    assert model.positions((2, 2)).equal(model.pos_embed)
    assert model.positions((3, 4)).shape == (1, 8 * 3 * 4, 16)


def test_wrong_clip_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"clips of 16 frames.*found 8 frames of 32x32"):
        backbone()(torch.randn(1, 3, 8, 32, 32), torch.tensor([0]))


def test_checkpointing_changes_nothing() -> None:
    plain = backbone(adapter={"name": "dsta"}, drop_path=0.0).train()
    saving = backbone(
        adapter={"name": "dsta"}, drop_path=0.0, activation_checkpointing=True
    ).train()
    randomize(plain)
    saving.load_state_dict(plain.state_dict())
    clips = torch.randn(2, 3, 16, 32, 32)
    for model in (plain, saving):
        steps(model, clips, torch.tensor([0, 0])).square().sum().backward()
    for (name, a), b in zip(plain.named_parameters(), saving.parameters(), strict=True):
        if a.requires_grad:
            torch.testing.assert_close(a.grad, b.grad, msg=name)


def test_size_with_its_own_patch() -> None:
    model = PlainViT(ViTSize(28, 1, 2, patch=14, mlp_ratio=48 / 11), position_image_size=28)
    assert steps(model, torch.randn(1, 3, 16, 28, 28), torch.tensor([0])).shape == (1, 8, 28)
    assert model.blocks[0].mlp.fc1.out_features == round(28 * 48 / 11)


def test_cosine_attention_and_layer_scale_of_version_2_step_by_step() -> None:
    """Names and equations of OpenGVLab's VideoMAE v2; heads whose factor is beyond 100 are cut."""
    model = perturbed_backbone(cosine_attention=True, layer_scale=0.1)
    block, x = model.blocks[0], torch.randn(1, 5, 16)
    weights = {name.removeprefix("blocks.0."): value for name, value in official(model).items()}
    assert weights["attn.scale"].shape == (2, 1, 1)
    with torch.no_grad():
        block.attn.scale[1] = weights["attn.scale"][1] = 5.0

        def heads(part: int) -> torch.Tensor:
            bias = {0: weights["attn.q_bias"], 1: torch.zeros(16), 2: weights["attn.v_bias"]}[part]
            normed = functional.layer_norm(
                x, (16,), weights["norm1.weight"], weights["norm1.bias"], 1e-6
            )
            found = normed @ weights["attn.qkv.weight"].chunk(3)[part].t() + bias
            return found.unflatten(-1, (2, 8)).transpose(1, 2)

        cosines = functional.cosine_similarity(
            heads(0)[:, :, :, None], heads(1)[:, :, None], dim=-1
        )
        factors = torch.tensor([weights["attn.scale"][0].exp(), 100.0]).reshape(1, 2, 1, 1)
        out = ((cosines * factors).softmax(dim=-1) @ heads(2)).transpose(1, 2).flatten(2)
        out = out @ weights["attn.proj.weight"].t() + weights["attn.proj.bias"]
        y = x + weights["gamma_1"] * out
        expected = y + weights["gamma_2"] * block.mlp(block.norm2(y))
        found = block(x, video_of_step_L=torch.zeros(5, dtype=torch.long), grid_hw=(1, 1))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_weights_of_version_2_and_what_tells_them(tmp_path: Path) -> None:
    source = perturbed_backbone(1, cosine_attention=True, layer_scale=0.1)
    torch.save({"module": official(source)}, tmp_path / "v2.pth")
    target = perturbed_backbone(2, cosine_attention=True, layer_scale=1e-5)
    report = load_backbone(target, str(tmp_path / "v2.pth"))
    assert report.naming == "official"
    for name, value in source.state_dict().items():
        assert torch.equal(target.state_dict()[name], value), name
    with pytest.raises(CheckpointError, match=r"unexpected: .*attn\.scale, blocks\.0\.gamma_1"):
        load_backbone(perturbed_backbone(), str(tmp_path / "v2.pth"))
    with pytest.raises(CheckpointError, match="no layer scale and no cosine attention"):
        to_hugging_face(source)


@pytest.mark.parametrize(
    ("size", "d", "depth", "hidden", "patch"),
    [
        ("small", 384, 12, 1536, 16),
        ("base", 768, 12, 3072, 16),
        ("large", 1024, 24, 4096, 16),
        ("huge", 1280, 32, 5120, 16),
        ("giant", 1408, 40, 6144, 14),
    ],
)
def test_published_sizes(size: str, d: int, depth: int, hidden: int, patch: int) -> None:
    with torch.device("meta"):
        model = build_backbone(VideoMAESettings(size=size, final_norm=True))
    attention = 3 * d * d + 2 * d + (d + 1) * d  # no bias of keys
    mlp = (d + 1) * hidden + (hidden + 1) * d
    patches = (3 * 2 * patch**2 + 1) * d
    expected = depth * (attention + mlp + 2 * 2 * d) + patches + 2 * d
    assert sum(p.numel() for p in model.parameters()) == expected
