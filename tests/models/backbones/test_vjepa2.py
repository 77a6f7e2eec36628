"""V-JEPA 2 against transformers: features, gradients, names; its published sizes."""

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from mmad.config.backbones.vjepa2 import VJEPA2Settings
from mmad.models.backbones.families import build_backbone
from mmad.models.backbones.vjepa2.network import VJEPA2
from mmad.models.layers.rotary import rotated, rotation_table
from mmad.weights.files import read_weights
from mmad.weights.load import fill_backbone, load_backbone

FRAMES, SIDE = 6, 16


# Heads of 16 channels leave 4 unturned, heads of 24 none.
@pytest.fixture(scope="module", params=[16, 24])
def theirs(request: pytest.FixtureRequest) -> torch.nn.Module:
    transformers = pytest.importorskip("transformers")
    config = transformers.VJEPA2Config(
        patch_size=4, crop_size=SIDE, frames_per_clip=FRAMES, hidden_size=2 * request.param,
        num_attention_heads=2, num_hidden_layers=2, mlp_ratio=48 / 11, pred_hidden_size=12,
        pred_num_attention_heads=2, pred_num_hidden_layers=1, num_pooler_layers=1,
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.VJEPA2ForVideoClassification(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.2 * torch.randn_like(parameter))
    return model


def ours(width: int, **settings: object) -> VJEPA2:
    size = {"width": width, "depth": 2, "num_heads": 2, "patch": 4, "mlp_ratio": 48 / 11}
    values = {"size": size, "clip_frames": FRAMES, "drop_path": 0, "freeze": False, **settings}
    backbone = build_backbone(VJEPA2Settings(**values)).eval()
    assert isinstance(backbone, VJEPA2)
    return backbone


@pytest.mark.slow
def test_features_and_gradients_are_those_of_transformers(
    theirs: torch.nn.Module, tmp_path: Path
) -> None:
    theirs.save_pretrained(tmp_path)
    backbone = ours(theirs.config.hidden_size)
    report = load_backbone(backbone, str(tmp_path))
    assert report.naming == "hugging face"
    assert len(report.matched) + len(report.renamed) == len(backbone.state_dict())
    assert all(name.startswith(("predictor.", "pooler.", "classifier.")) for name in report.ignored)
    clips = torch.randn(2, 3, FRAMES, SIDE, SIDE)
    mine = backbone(clips, torch.zeros(2, dtype=torch.long)).tokens_NTSC.flatten(1, 2)
    expected = theirs.vjepa2.encoder(clips.transpose(1, 2)).last_hidden_state
    torch.testing.assert_close(mine, expected, rtol=1e-5, atol=1e-5)
    probe = torch.randn_like(expected)
    for out in (mine, expected):
        (out * probe).mean().backward()
    layer = theirs.vjepa2.encoder.layer[0]
    parts = (layer.attention.query, layer.attention.key, layer.attention.value)
    for kind in ("weight", "bias"):
        gradient = torch.cat([getattr(part, kind).grad for part in parts])
        found = getattr(backbone.blocks[0].attn.qkv, kind).grad
        assert (found - gradient).norm() < 1e-4 * gradient.norm()
    theirs.zero_grad()


def test_a_head_turns_planes_by_the_rates_of_its_own_code() -> None:
    """Channels 2i and 2i + 1 are a plane, with the rates number 2i and 2i + 1 (modulo n / 2)."""
    table = rotation_table(2, (2, 3), head_width=14)  # thirds of 4 channels, 2 left
    token = 1 * 6 + 1 * 3 + 2  # step 1, row 1, column 2
    x = torch.randn(2 * 6, 14)
    found = rotated(x, table)[token]
    rates = [1.0, 10000.0**-0.5]
    for third, place in enumerate((1, 1, 2)):
        for channel in range(4):
            angle = torch.tensor(place * rates[channel % 2])
            index = 4 * third + channel
            other = -x[token, index + 1] if channel % 2 == 0 else x[token, index - 1]
            expected = x[token, index] * angle.cos() + other * angle.sin()
            torch.testing.assert_close(found[index], expected)
    assert torch.equal(found[12:], x[token, 12:])


def official(backbone: VJEPA2) -> dict[str, Tensor]:
    state = backbone.state_dict()
    return {name.replace("patches.", "patch_embed.proj."): value for name, value in state.items()}


@pytest.mark.parametrize("averaged", [True, False])
def test_names_of_its_own_code(averaged: bool, tmp_path: Path) -> None:
    """Its files keep the encoder, its average, and the predictor beside each other."""
    encoder, average, target = ours(32), ours(32), ours(32)
    content = {
        key: {f"module.backbone.{name}": value for name, value in official(one).items()}
        for key, one in (("encoder", encoder), ("target_encoder", average))
    }
    content["predictor"] = {"module.backbone.norm.weight": torch.zeros(3)}
    torch.save(content | {"epoch": 3}, tmp_path / "vitl.pt")
    report = fill_backbone(target, read_weights(tmp_path / "vitl.pt", averaged=averaged))
    assert report.naming == "official"
    assert report.container == ("target_encoder" if averaged else "encoder")
    for name, value in (average if averaged else encoder).state_dict().items():
        assert torch.equal(target.state_dict()[name], value), name


def test_heads_too_narrow_for_three_positions_are_an_error() -> None:
    size = {"width": 16, "depth": 1, "num_heads": 4}
    with pytest.raises(ValidationError, match="4 heads of 4 channels; rotary positions need"):
        VJEPA2Settings(size=size)


@pytest.mark.parametrize(
    ("size", "d", "depth", "hidden"),
    [("large", 1024, 24, 4096), ("huge", 1280, 32, 5120), ("giant", 1408, 40, 6144)],
)
def test_published_sizes(size: str, d: int, depth: int, hidden: int) -> None:
    with torch.device("meta"):
        backbone = build_backbone(VJEPA2Settings(size=size))
    attention = (d + 1) * 3 * d + (d + 1) * d
    mlp = (d + 1) * hidden + (hidden + 1) * d
    patches = (3 * 2 * 16 * 16 + 1) * d
    expected = depth * (attention + mlp + 2 * 2 * d) + patches + 2 * d
    assert sum(p.numel() for p in backbone.parameters()) == expected
