import pytest
import torch

from mmad.config.backbones.videomae import VideoMAESettings
from mmad.models.backbones.families import build_backbone
from mmad.models.backbones.plain_vit import PlainViT, ViTSize
from support.backbones import backbone, randomize, steps


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


# Papers have 22, 87, 305 and 633 millions; patches have sides of 16 pixels in all of these.
@pytest.mark.parametrize(
    ("size", "parameters"),
    [("small", 21_879_936), ("base", 86_227_200), ("large", 303_860_736), ("huge", 631_607_040)],
)
def test_the_published_networks_have_their_parameters(size: str, parameters: int) -> None:
    settings = VideoMAESettings(size=size, final_norm=True)
    with torch.device("meta"):
        model = build_backbone(settings)
    d, blocks = settings.dimensions.width, settings.dimensions.depth
    patches, norm = (3 * 2 * 16 * 16 + 1) * d, 2 * d
    attention = 3 * d * d + 2 * d + (d + 1) * d  # queries and values have a bias, keys have none
    mlp = (d + 1) * 4 * d + (4 * d + 1) * d
    assert patches + blocks * (2 * norm + attention + mlp) + norm == parameters
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert (model.spec.channels, model.spec.side_multiple) == (d, 16)


def test_size_with_its_own_patch() -> None:
    model = PlainViT(ViTSize(28, 1, 2, patch=14, mlp_ratio=48 / 11), position_image_size=28)
    assert steps(model, torch.randn(1, 3, 16, 28, 28), torch.tensor([0])).shape == (1, 8, 28)
    assert model.blocks[0].mlp.fc1.out_features == round(28 * 48 / 11)
