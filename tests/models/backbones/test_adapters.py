import pytest
import torch

from mmad.config.backbones.video_swin import VideoSwinSettings
from mmad.models.backbones.adapters import TemporalDepthwiseConv
from mmad.models.backbones.families import build_backbone
from support.backbones import backbone, randomize, steps


def num_trainable(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


# Table 4 of the paper and the arithmetic behind it; S has width 384 and bottleneck 96.
@pytest.mark.parametrize(
    ("adapter", "small", "base"),
    [
        ("standard", 12 * ((384 * 96 + 96) + (96 * 384 + 384) + 1), 3_550_476),
        (
            "tia",
            12 * ((384 * 96 + 96) + (96 * 384 + 384) + 1 + (3 * 96 + 96) + (96 * 96 + 96)),
            4_004_364,
        ),
        ("dsta", 1_572_516, 6_241_572),
        ("dsta_180", 1_890_468, 7_541_028),
    ],
)
def test_number_of_trainable_parameters(adapter: str, small: int, base: int) -> None:
    with torch.device("meta"):
        assert num_trainable(backbone("small", adapter={"name": adapter})) == small
        assert num_trainable(backbone("base", adapter={"name": adapter})) == base
    assert {"standard": 890_508, "tia": 1_006_860}.get(adapter, small) == small


DOWN, UP, PATHS_UP = 384 * 96 + 96, 96 * 384 + 384, 2 * 96 * 384 + 384
TEMPORAL, SPATIAL_1, POINTWISE = 3 * 96 + 96, 96 + 96, 96 * 96 + 96


@pytest.mark.parametrize(
    ("settings", "block", "mebi"),
    [
        ({"name": "tia", "temporal_pointwise": False}, DOWN + UP + 1 + TEMPORAL, 0.854),
        (
            {"name": "dsta", "spatial_kernel": 1, "spatial_pointwise": False}
            | {"temporal_pointwise": False},
            DOWN + PATHS_UP + 3 + TEMPORAL + SPATIAL_1,
            1.278,
        ),
        (
            {"name": "dsta", "spatial_kernel": 1, "spatial_pointwise": False},
            DOWN + PATHS_UP + 3 + TEMPORAL + POINTWISE + SPATIAL_1,
            1.384,
        ),
        (
            {"name": "dsta", "spatial_kernel": 1},
            DOWN + PATHS_UP + 3 + TEMPORAL + SPATIAL_1 + 2 * POINTWISE,
            1.491,
        ),
        (
            {"name": "dsta_180"},
            2 * DOWN + (PATHS_UP - 384) + 3 + TEMPORAL + POINTWISE + SPATIAL_1,
            1.803,
        ),
    ],
    ids=["eq 2", "eq 3", "eq 3, AdaTAD's path", "1x1", "Table 4"],
)
def test_other_readings_of_the_equations(
    settings: dict[str, object], block: int, mebi: float
) -> None:
    """On VideoMAE-S: as printed, or with the point-wise convolutions of AdaTAD's code."""
    with torch.device("meta"):
        found = num_trainable(backbone("small", adapter=settings))
    assert found == 12 * block
    assert round(found / 2**20, 3) == mebi


@pytest.mark.parametrize(
    ("settings", "block"),
    [
        ({"paths": "temporal"}, DOWN + UP + TEMPORAL + POINTWISE + 3),
        ({"paths": "spatial"}, DOWN + UP + 9 * 96 + 96 + POINTWISE + 3),
        ({"learned_scales": False}, 1_572_516 // 12 - 3),
    ],
)
def test_one_path_alone_and_fixed_scales(settings: dict[str, object], block: int) -> None:
    with torch.device("meta"):
        model = backbone("small", adapter={"name": "dsta", **settings})
    assert num_trainable(model) == 12 * block


def test_the_temporal_path_alone_is_the_adapter_of_adatad() -> None:
    """With its scales at 1: the same down-projection, convolutions and up-projection."""
    alone = backbone(adapter={"name": "dsta", "paths": "temporal"}, drop_path=0.0)
    tia = backbone(adapter={"name": "tia"}, drop_path=0.0)
    randomize(alone)
    for block in alone.blocks:
        for scale in (block.adapter.alpha, block.adapter.gamma):
            scale.data.fill_(1.0)
    weights = {
        name: value for name, value in alone.state_dict().items() if name in tia.state_dict()
    }
    tia.load_state_dict(weights)
    clips = torch.randn(2, 3, 16, 32, 32)
    of_one_video = torch.zeros(2, dtype=torch.long)
    torch.testing.assert_close(steps(alone, clips, of_one_video), steps(tia, clips, of_one_video))


def test_number_in_a_pyramid() -> None:
    """DSTA on Video Swin-T: bottlenecks of a quarter of the channels of their stage."""
    expected = 0
    for width, depth in ((96, 2), (192, 2), (384, 6), (768, 2)):
        c = width // 4
        paths = (3 * c + c) + (9 * c + c) + 2 * (c * c + c)
        expected += depth * ((width * c + c) + paths + (2 * c * width + width) + 3)
    with torch.device("meta"):
        model = build_backbone(VideoSwinSettings(size="tiny", adapter={"name": "dsta"}))
    assert num_trainable(model) == expected == 1_910_196


@pytest.mark.parametrize("adapter", ["standard", "tia", "dsta", "dsta_180"])
def test_new_adapter_is_the_identity(adapter: str) -> None:
    clips = torch.randn(2, 3, 16, 32, 32)
    videos = torch.tensor([0, 0])
    plain, adapted = backbone().eval(), backbone(adapter={"name": adapter}).eval()
    adapted.load_state_dict(plain.state_dict(), strict=False)
    torch.testing.assert_close(
        steps(adapted, clips, videos), steps(plain, clips, videos), rtol=0, atol=0
    )


@pytest.mark.parametrize("adapter", ["tia", "dsta", "dsta_180"])
def test_videos_do_not_see_each_other(adapter: str) -> None:
    model = backbone(adapter={"name": adapter}).eval()
    randomize(model)
    clips = torch.randn(5, 3, 16, 32, 32)
    together = steps(model, clips, torch.tensor([0, 0, 1, 1, 1]))
    apart = torch.cat(
        [
            steps(model, clips[:2], torch.tensor([0, 0])),
            steps(model, clips[2:], torch.tensor([0] * 3)),
        ]
    )
    torch.testing.assert_close(together, apart, rtol=1e-5, atol=1e-5)
    joined = steps(model, clips, torch.zeros(5, dtype=torch.long))
    assert (joined - apart).abs().max() > 1e-3  # one video of five clips is another thing


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_temporal_convolution_equals_torch(kernel: int) -> None:
    layer = TemporalDepthwiseConv(4, kernel_size=kernel)
    x = torch.randn(7, 3, 4)
    expected = torch.nn.functional.conv1d(
        x.permute(1, 2, 0), layer.weight, layer.bias, padding=kernel // 2, groups=4
    ).permute(2, 0, 1)
    torch.testing.assert_close(layer(x, torch.zeros(7, dtype=torch.long)), expected)


def test_adapters_only_in_the_chosen_blocks() -> None:
    model = backbone(adapter={"name": "tia", "blocks": [1]})
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained == {
        f"blocks.1.adapter.{name}"
        for name in (
            *("alpha", "down.weight", "down.bias", "up.weight", "up.bias"),
            *("temporal.depthwise.weight", "temporal.depthwise.bias"),
            *("temporal.pointwise.weight", "temporal.pointwise.bias"),
        )
    }


def test_blocks_of_a_pyramid_are_counted_over_its_stages() -> None:
    settings, _ = VideoSwinSettings(adapter={"name": "standard"}).tiny()
    chosen = settings.adapter.model_copy(update={"blocks": [1, 2]})
    model = build_backbone(settings.model_copy(update={"adapter": chosen}))
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained == {
        f"{block}.adapter.{name}"
        for block in ("stages.0.blocks.1", "stages.1.blocks.0")
        for name in ("alpha", "down.weight", "down.bias", "up.weight", "up.bias")
    }
    missing = settings.adapter.model_copy(update={"blocks": [8]})
    with pytest.raises(ValueError, match=r"blocks 0 to 7, found \[8\]"):
        build_backbone(settings.model_copy(update={"adapter": missing}))


def test_adapter_in_a_missing_block_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"blocks 0 to 1, found \[7\]"):
        backbone(adapter={"name": "tia", "blocks": [0, 7]})


def test_adapter_without_a_channel_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"ratio: 0.05 of the 16 channels .* set it to 0.0625"):
        backbone(adapter={"name": "tia", "ratio": 0.05})
