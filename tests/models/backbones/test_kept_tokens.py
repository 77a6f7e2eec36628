"""Transformers on some of the tokens of clips, against the same network on all of them."""

import pytest
import torch
from torch import Tensor

from mmad.config.backbones.adapters import (
    AdapterSettings,
    DSTA180Settings,
    DSTASettings,
    NoAdapter,
    StandardAdapterSettings,
    TIASettings,
)
from mmad.config.backbones.videomae import VideoMAESettings
from mmad.config.backbones.vit import CustomSize
from mmad.models.backbones.contract import Backbone
from mmad.models.backbones.families import build_backbone
from mmad.models.backbones.kept_tokens import Group, KeptTokens
from mmad.models.backbones.plain_vit import PlainViT

STEPS, SIDE, PATCH = 4, 3, 16
PLACES = SIDE**2


def backbone(adapter: AdapterSettings | None = None, **settings) -> PlainViT:
    torch.manual_seed(0)
    built = build_backbone(
        VideoMAESettings(
            size=CustomSize(width=24, depth=2, num_heads=2, patch=PATCH),
            clip_frames=2 * STEPS,
            adapter=adapter or NoAdapter(),
            position_image_size=SIDE * PATCH,
            **settings,
        )
    )
    assert isinstance(built, PlainViT)
    for parameter in built.parameters():  # adapters start as the identity
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.2)
    return built.double()


def images(num_clips: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    side = SIDE * PATCH
    return torch.randn(
        num_clips, 3, 2 * STEPS, side, side, generator=generator, dtype=torch.float64
    )


def some(num_clips: int, seed: int = 1) -> Tensor:
    """The first step of each clip, and random others, differently many."""
    generator = torch.Generator().manual_seed(seed)
    shares = torch.linspace(0.2, 0.9, num_clips)[:, None, None]
    kept_NTS = torch.rand(num_clips, STEPS, PLACES, generator=generator) < shares
    kept_NTS[:, 0] = True
    return kept_NTS


ONE_VIDEO = torch.zeros(3, dtype=torch.long)
ADAPTERS = [
    NoAdapter(),
    StandardAdapterSettings(),
    TIASettings(),
    DSTASettings(),
    DSTA180Settings(),
]


def test_packed_tokens_are_ordered_by_count_and_each_place_shows_the_last_kept_one() -> None:
    kept_NTS = torch.tensor(
        [
            [[True, True], [False, True], [False, False]],  # clip 0: 3 tokens
            [[False, False], [True, False], [False, False]],  # clip 1: 1 token
        ]
    )
    kept = KeptTokens.of(kept_NTS)
    assert kept.groups == (Group(1, 1), Group(1, 3))
    assert kept.places_P.tolist() == [6 + 2, 0, 1, 3]
    # Clip 1 shows its only token before and after it; its other place shows none.
    assert kept.sources_LS.tolist() == [[1, 2], [1, 3], [1, 3], [0, 4], [0, 4], [0, 4]]
    assert kept.has_gaps
    grid_LSC = kept.fill(torch.tensor([[10.0], [20.0], [30.0], [40.0]]))
    assert grid_LSC[..., 0].tolist() == [[20, 30], [20, 40], [20, 40], [10, 0], [10, 0], [10, 0]]
    assert kept.take(grid_LSC)[:, 0].tolist() == [10, 20, 30, 40]


def test_a_clip_without_tokens_is_refused() -> None:
    kept_NTS = torch.ones(2, STEPS, PLACES, dtype=torch.bool)
    kept_NTS[1] = False
    with pytest.raises(ValueError, match="at least one kept token"):
        KeptTokens.of(kept_NTS)


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda adapter: adapter.name)
@pytest.mark.parametrize("final_norm", [False, True])
def test_keeping_all_tokens_equals_the_dense_network(
    adapter: AdapterSettings, final_norm: bool
) -> None:
    network = backbone(adapter, final_norm=final_norm).eval()
    everything = KeptTokens.of(torch.ones(3, STEPS, PLACES, dtype=torch.bool))
    for stop_before in (None, 1):
        dense = network(images(3), ONE_VIDEO, stop_before=stop_before)
        sparse = network(images(3), ONE_VIDEO, stop_before=stop_before, kept=everything)
        assert sparse.grid_hw == dense.grid_hw
        torch.testing.assert_close(sparse.tokens_NTSC, dense.tokens_NTSC, atol=1e-9, rtol=1e-9)


def test_gradients_of_all_tokens_are_those_of_the_dense_network() -> None:
    network = backbone(DSTASettings(), freeze=False, drop_path=0.0).train()
    gradients = []
    for kept in (None, KeptTokens.of(torch.ones(3, STEPS, PLACES, dtype=torch.bool))):
        network.zero_grad()
        network(images(3), ONE_VIDEO, kept=kept).tokens_NTSC.square().mean().backward()
        gradients.append([p.grad for p in network.parameters()])
    torch.testing.assert_close(gradients[1], gradients[0], atol=1e-9, rtol=1e-9)


def test_a_clip_alone_gives_what_it_gives_among_others_in_any_order() -> None:
    network = backbone(DSTASettings()).eval()
    clips, kept_NTS = images(3), some(3)
    videos = torch.arange(3)
    together = network(clips, videos, kept=KeptTokens.of(kept_NTS)).tokens_NTSC
    turned = torch.tensor([2, 0, 1])
    other = network(clips[turned], videos, kept=KeptTokens.of(kept_NTS[turned])).tokens_NTSC
    torch.testing.assert_close(other, together[turned], atol=1e-9, rtol=1e-9)
    for clip in range(3):
        alone = slice(clip, clip + 1)
        kept = KeptTokens.of(kept_NTS[alone])
        single = network(clips[alone], videos[:1], kept=kept).tokens_NTSC
        torch.testing.assert_close(single[0], together[clip], atol=1e-9, rtol=1e-9)


def test_attention_sees_kept_tokens_only_at_their_own_positions() -> None:
    """By hand: a network without adapters is the dense one on a shorter row of tokens."""
    network = backbone().eval()
    clips, kept_NTS = images(1), some(1)
    kept = KeptTokens.of(kept_NTS)
    with torch.no_grad():
        patches = network.embed(clips).flatten(2).transpose(1, 2)
        x_NSD = (patches + network.positions((SIDE, SIDE)))[:, kept_NTS.flatten()]
        for block in network.blocks:
            x_NSD = x_NSD + block.attn(block.norm1(x_NSD))
            x_NSD = x_NSD + block.mlp(block.norm2(x_NSD))
        packed_PD = network.encode(clips, ONE_VIDEO[:1], kept)
    torch.testing.assert_close(kept.by_clip(packed_PD), x_NSD, atol=1e-9, rtol=1e-9)


def test_adapters_see_the_filled_grid() -> None:
    adapter = backbone(DSTASettings()).blocks[0].adapter
    kept = KeptTokens.of(some(2))
    x_PD = torch.randn(len(kept.places_P), 24, dtype=torch.float64)
    videos = torch.zeros(2 * STEPS, dtype=torch.long)
    packed = adapter(x_PD, video_of_step_L=videos, grid_hw=(SIDE, SIDE), kept=kept)
    filled = adapter(kept.fill(x_PD), video_of_step_L=videos, grid_hw=(SIDE, SIDE))
    torch.testing.assert_close(packed, kept.take(filled), atol=1e-9, rtol=1e-9)


def test_recomputing_activations_changes_no_gradient() -> None:
    gradients = []
    for recompute in (False, True):
        network = backbone(DSTASettings(), drop_path=0.0, activation_checkpointing=recompute)
        output = network.train()(images(3), ONE_VIDEO, kept=KeptTokens.of(some(3)))
        output.tokens_NTSC.square().mean().backward()
        gradients.append([p.grad for p in network.parameters() if p.requires_grad])
    torch.testing.assert_close(gradients[1], gradients[0])


def test_drop_path_drops_whole_clips() -> None:
    network = backbone(freeze=False, drop_path=0.0).train()
    block = network.blocks[1]
    block.drop_path_rate = 0.5
    kept = KeptTokens.of(some(3))
    residual_PD = torch.ones(len(kept.places_P), 24)
    factor_P = block._dropped(residual_PD, None, kept)[:, 0]
    for clip in range(3):
        assert factor_P[kept.clip_P == clip].unique().tolist() in ([0.0], [2.0])


def test_equally_many_tokens_are_given_by_clip() -> None:
    network: Backbone = backbone().eval()
    kept_NTS = torch.zeros(2, STEPS, PLACES, dtype=torch.bool)
    kept_NTS[0, :, 4] = kept_NTS[1, :, 2] = True  # a tube at one place
    kept = KeptTokens.of(kept_NTS)
    assert isinstance(network, PlainViT)
    visible_NKD = kept.by_clip(network.encode(images(2), ONE_VIDEO[:2], kept))
    assert visible_NKD.shape == (2, STEPS, 24)
    uneven = KeptTokens.of(some(2))
    with pytest.raises(ValueError, match="equally many"):
        uneven.by_clip(torch.zeros(len(uneven.places_P), 24))
