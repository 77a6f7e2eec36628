"""InternVideo2: norms, position tables, pooling, names, published sizes."""

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.nn import functional

from mmad.config.backbones.internvideo2 import InternVideo2Settings
from mmad.config.reading import parse_config
from mmad.errors import CheckpointError, ConfigError
from mmad.models.backbones.families import build_backbone
from mmad.models.backbones.internvideo2.network import InternVideo2
from mmad.weights.files import WeightFile
from mmad.weights.load import fill_backbone

D, HEADS, FRAMES, POOLED = 32, 2, 3, 12
SIZE = {"width": D, "depth": 2, "num_heads": HEADS, "patch": 4}
OFFICIAL = [
    *(("patches.", "patch_embed.proj."), ("class_token", "cls_token")),
    *(("positions.joint", "pos_embed"), ("positions.of_places", "pos_embed_spatial")),
    *(("positions.of_times", "pos_embed_temporal"), ("positions.of_class", "pos_embed_cls")),
    *((".gamma_1", ".ls1.gamma"), (".gamma_2", ".ls2.gamma")),
    *(("pool.query_norm", "clip_projector.norm1_q"), ("pool.key_norm", "clip_projector.norm1_k")),
    ("pool.value_norm", "clip_projector.norm1_v"),
    *(
        (f"pool.{part}.weight", f"clip_projector.cross_attn.{part[0]}.weight")
        for part in ("query", "key", "value")
    ),
    *(
        (f"pool.{part}.bias", f"clip_projector.cross_attn.{part[0]}_bias")
        for part in ("query", "key", "value")
    ),
    *(("pool.proj.", "clip_projector.cross_attn.proj."), ("pool.norm.", "fc_norm.")),
    *(("pool.mlp_norm.", "extra_mlp.0."), ("pool.mlp.", "extra_mlp.1.")),
]


def small(seed: int = 0, **settings: object) -> InternVideo2:
    """A network with random values everywhere, in evaluation mode."""
    values = {"size": SIZE, "clip_frames": FRAMES, "position_image_size": 8, "drop_path": 0}
    values |= {"pooled_channels": POOLED, "pool_heads": 4, "freeze": False}
    torch.manual_seed(seed)
    backbone = build_backbone(InternVideo2Settings(**{**values, **settings})).eval()
    assert isinstance(backbone, InternVideo2)
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return backbone


def official(backbone: InternVideo2) -> dict[str, Tensor]:
    found = {}
    for name, value in backbone.state_dict().items():
        for ours, theirs in OFFICIAL:
            name = name.replace(ours, theirs)
        found[name] = value.clone()
    return found


def run(backbone: InternVideo2, clips: Tensor) -> tuple[Tensor, Tensor | None]:
    with torch.no_grad():
        out = backbone(clips, torch.zeros(len(clips), dtype=torch.long))
    return out.tokens_NTSC, out.clip_NC


@pytest.mark.parametrize(
    "settings",
    [
        {"pooling": "attention_mlp"},
        {"pooling": "attention", "separate_positions": True, "tubelet_frames": 3},
        {"pooling": "mean", "qk_norm": False, "layer_scale": None, "qkv_bias": True},
    ],
)
def test_names_of_its_own_code(settings: dict[str, object]) -> None:
    source, target = small(0, **settings), small(1, **settings)
    weights = official(source) | {"head.weight": torch.zeros(5, POOLED)}
    assert not any(name.startswith(("pool.", "positions.")) for name in weights)
    report = fill_backbone(target, WeightFile("1B.pth", weights, "module", "0" * 64))
    assert report.naming == "official"
    assert report.ignored == ("head.weight",)
    for name, value in source.state_dict().items():
        assert torch.equal(target.state_dict()[name], value), name


def test_the_pooled_vector_step_by_step() -> None:
    """Attention of the mean of all tokens, the class token among them, head by head."""
    backbone, clips = small(pooling="attention_mlp"), torch.randn(2, 3, FRAMES, 8, 8)
    seen = []
    backbone.blocks[-1].register_forward_hook(lambda module, inputs, output: seen.append(output))
    _, vector = run(backbone, clips)
    weights = official(backbone)

    def part(name: str) -> tuple[Tensor, Tensor]:
        return weights[f"{name}.weight"], weights[f"{name}.bias"]

    def norm(x: Tensor, name: str) -> Tensor:
        return functional.layer_norm(x, x.shape[-1:], *part(name), 1e-5)

    def projected(x: Tensor, letter: str) -> Tensor:
        normed = norm(x, f"clip_projector.norm1_{letter}")
        of = f"clip_projector.cross_attn.{letter}"
        return functional.linear(normed, weights[f"{of}.weight"], weights[f"{of}_bias"])

    with torch.no_grad():
        x = seen[0]
        q, k, v = projected(x.mean(dim=1), "q"), projected(x, "k"), projected(x, "v")
        heads = []
        for channels in range(0, D, D // 4):
            mine = slice(channels, channels + D // 4)
            similar = torch.einsum("nd,nbd->nb", q[:, mine], k[..., mine]) / (D // 4) ** 0.5
            heads.append(torch.einsum("nb,nbd->nd", similar.softmax(dim=1), v[..., mine]))
        pooled = functional.linear(torch.cat(heads, dim=1), *part("clip_projector.cross_attn.proj"))
        hidden = functional.linear(norm(pooled, "extra_mlp.0"), *part("extra_mlp.1.fc1"))
        pooled = pooled + functional.linear(functional.gelu(hidden), *part("extra_mlp.1.fc2"))
        torch.testing.assert_close(vector, norm(pooled, "fc_norm"))


def test_queries_and_keys_are_normed_over_all_heads_together() -> None:
    attention = small().blocks[0].attn
    x = torch.randn(1, 5, D)
    with torch.no_grad():
        q, k, v = attention.qkv(x).chunk(3, dim=-1)
        q, k = (
            part / part.square().mean(dim=-1, keepdim=True).add(1e-6).sqrt() * norm.weight
            for part, norm in ((q, attention.q_norm), (k, attention.k_norm))
        )
        heads = [part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in (q, k, v)]
        similar = heads[0] @ heads[1].transpose(2, 3) / (D // HEADS) ** 0.5
        out = (similar.softmax(dim=-1) @ heads[2]).transpose(1, 2).flatten(2)
        torch.testing.assert_close(attention(x), attention.proj(out))


def test_separate_tables_are_added_for_each_token() -> None:
    tables = small(separate_positions=True).positions
    found = tables((2, 2))
    assert found.shape == (1, 1 + FRAMES * 4, D)
    assert torch.equal(found[:, 0], tables.of_class[:, 0])
    for time in range(FRAMES):
        for place in range(4):
            expected = tables.of_times[0, time] + tables.of_places[0, place]
            assert torch.equal(found[0, 1 + 4 * time + place], expected)


def test_tables_start_as_sinusoids_of_time_column_and_row() -> None:
    torch.manual_seed(0)
    settings = InternVideo2Settings(size=SIZE, clip_frames=FRAMES, position_image_size=8)
    table = build_backbone(settings).positions((2, 2))[0]
    assert torch.equal(table[0], torch.zeros(D))
    time, row, column = 2, 1, 0
    token = table[1 + 4 * time + 2 * row + column]

    def waves(position: int, width: int) -> Tensor:
        rates = 10000.0 ** (-torch.arange(width // 2) / (width // 2))
        return torch.cat(((position * rates).sin(), (position * rates).cos()))

    quarter, eighths = D // 4, 3 * D // 8
    expected = torch.cat((waves(time, quarter), waves(column, eighths), waves(row, eighths)))
    torch.testing.assert_close(token, expected)


@pytest.mark.parametrize("separate", [False, True])
def test_tables_of_other_clips_and_images_are_resized(separate: bool) -> None:
    # 6 of 3 frames, then images of 4 x 4 patches instead of 2 x 2.
    source = small(separate_positions=separate)
    longer = small(1, separate_positions=separate, clip_frames=2 * FRAMES)
    larger = small(1, separate_positions=separate, position_image_size=16)
    for backbone, name, what in (
        (longer, "of_times" if separate else "joint", "from 3 to 6 steps, linear"),
        (larger, "of_places" if separate else "joint", "from 2 x 2 to 4 x 4 patches, bicubic"),
    ):
        file = WeightFile("1B.pth", official(source), "module", "0" * 64)
        report = fill_backbone(backbone, file)
        assert report.reshaped == ((f"positions.{name}", what),)
        assert torch.equal(
            backbone.positions((2, 2))[:, 0], source.positions((2, 2))[:, 0]
        )  # the class token's own
    torch.testing.assert_close(
        larger.positions((4, 4)), source.positions((4, 4)), rtol=1e-5, atol=1e-5
    )


def test_gelu_is_the_approximation_unless_exact_is_asked_for() -> None:
    clips = torch.randn(1, 3, FRAMES, 8, 8)
    fused, exact = run(small(), clips)[0], run(small(approximate_gelu=False), clips)[0]
    assert 0 < (fused - exact).abs().max() < 1e-2


def test_weights_without_a_norm_or_an_mlp_say_what_to_do() -> None:
    file = WeightFile(
        "pt.pth", official(small(pooling="attention", pooled_norm=False)), "model", ""
    )
    with pytest.raises(CheckpointError, match=r"set backbone.pooled_norm=false"):
        fill_backbone(small(pooling="attention"), file)
    with pytest.raises(CheckpointError, match=r"set backbone.pooling=attention, or mean"):
        fill_backbone(small(pooling="attention_mlp", pooled_norm=False), file)
    report = fill_backbone(small(), file)
    assert {name.split(".")[0] for name in report.ignored} == {"pool"}


@pytest.mark.parametrize("shape", [(4,), (1, 13, D, 1), (1, 13, D // 2)])
def test_a_table_of_another_shape_is_an_error(shape: tuple[int, ...]) -> None:
    weights = official(small()) | {"pos_embed": torch.zeros(shape)}
    with pytest.raises(CheckpointError, match=r"shapes: positions\.joint"):
        fill_backbone(small(), WeightFile("1B.pth", weights, "model", ""))


def test_a_detector_needs_vectors_of_steps() -> None:
    content = {
        "data": {"annotations": "a", "videos": "v", "image_size": 224},
        "backbone": {"name": "internvideo2", "pooling": "attention"},
        "training": {"epochs": 1},
    }
    with pytest.raises(ConfigError, match=r"set backbone.pooling=mean"):
        parse_config(content, source="test")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": {**SIZE, "width": 24}}, "24 is not a multiple of 16"),
        ({"pooling": "attention", "pool_heads": 6}, "1408 is not a multiple of pool_heads 6"),
        ({"position_image_size": 8}, "position_image_size 8 is less than a patch of 14 pixels"),
    ],
)
def test_impossible_settings(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        InternVideo2Settings(**settings)


@pytest.mark.parametrize(
    ("size", "d", "depth", "hidden"),
    [
        ("small", 384, 12, 1536),
        ("base", 768, 12, 3072),
        ("large", 1024, 24, 4096),
        ("1b", 1408, 40, 6144),
        ("6b", 3200, 48, 12800),
    ],
)
def test_published_sizes(size: str, d: int, depth: int, hidden: int) -> None:
    with torch.device("meta"):
        backbone = build_backbone(InternVideo2Settings(size=size, pooling="attention_mlp"))
    attention = 3 * d * d + 2 * d + (d + 1) * d  # no bias but the last; norms of q and k
    mlp = (d + 1) * hidden + (hidden + 1) * d
    blocks = depth * (attention + mlp + 4 * d)  # two norms without bias, two scales
    tables = d + (1 + 8 * 16 * 16) * d + (3 * 14 * 14 + 1) * d
    c = 768
    pool = 3 * 2 * d + 3 * (d + 1) * d + (d + 1) * c
    pool += 2 * c + (c + 1) * 4 * c + (4 * c + 1) * c + 2 * c
    assert sum(p.numel() for p in backbone.parameters()) == blocks + tables + pool
