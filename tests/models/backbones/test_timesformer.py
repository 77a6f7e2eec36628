"""TimeSformer: its three attentions, the start from an image transformer, names of weights."""

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from mmad.config.backbones.timesformer import TimeSformerSettings
from mmad.models.backbones.families import build_backbone
from mmad.models.backbones.timesformer.network import TimeSformer
from mmad.weights.files import WeightFile
from mmad.weights.load import fill_backbone

WIDTH, HEADS, PATCH, FRAMES = 16, 2, 4, 3
ATTENTIONS = ("divided", "joint", "space")


def small(seed: int = 0, **settings: object) -> TimeSformer:
    """A network of two blocks with random biases and tables, in evaluation mode."""
    values = {"width": WIDTH, "depth": 2, "num_heads": HEADS, "patch": PATCH, "freeze": False}
    values |= {"clip_frames": FRAMES, "position_image_size": 8}
    torch.manual_seed(seed)
    backbone = build_backbone(TimeSformerSettings(**{**values, **settings})).eval()
    assert isinstance(backbone, TimeSformer)
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return backbone


def timm_names(backbone: TimeSformer) -> dict[str, Tensor]:
    """The tensors that an image transformer has, too, under timm's names."""
    pairs = [("class_token", "cls_token"), ("position_table", "pos_embed")]
    pairs += [("patches.", "patch_embed.proj."), (".attention.norm.", ".norm1.")]
    pairs += [(".attention.attn.", ".attn."), (".mlp_norm.", ".norm2.")]
    found = {}
    for name, value in backbone.state_dict().items():
        if ".temporal." in name or name == "time_table":
            continue
        for ours, theirs in pairs:
            name = name.replace(ours, theirs)
        found[name] = value.clone()
    return found


def encode(tokens: Tensor, weights: dict[str, Tensor], *, blocks: int = 2) -> Tensor:
    """The blocks of an image transformer as torch's own encoder computes them, without the norm."""
    for number in range(blocks):
        layer = nn.TransformerEncoderLayer(
            WIDTH, HEADS, 4 * WIDTH, 0.0, "gelu", 1e-6, batch_first=True, norm_first=True
        )
        names = {"self_attn.in_proj_": "attn.qkv.", "self_attn.out_proj.": "attn.proj."}
        names |= {"linear1.": "mlp.fc1.", "linear2.": "mlp.fc2."}
        state = {}
        for name in layer.state_dict():
            theirs = name
            for torchs, timms in names.items():
                theirs = theirs.replace(torchs, timms)
            state[name] = weights[f"blocks.{number}.{theirs}"]
        layer.load_state_dict(state)
        tokens = layer.eval()(tokens)
    return tokens


def embed(images: Tensor, weights: dict[str, Tensor]) -> Tensor:
    """Class token and patches of images, with their positions."""
    kernel, bias = (weights[f"patch_embed.proj.{part}"] for part in ("weight", "bias"))
    patches = nn.functional.conv2d(images, kernel, bias, stride=PATCH).flatten(2).transpose(1, 2)
    classes = weights["cls_token"].expand(len(images), -1, -1)
    return torch.cat((classes, patches), dim=1) + weights["pos_embed"]


def norm(x: Tensor, weights: dict[str, Tensor]) -> Tensor:
    return nn.functional.layer_norm(x, (WIDTH,), weights["norm.weight"], weights["norm.bias"], 1e-6)


def run(backbone: TimeSformer, clips: Tensor) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        found = backbone(clips, torch.zeros(len(clips), dtype=torch.long))
    assert found.clip_NC is not None
    return found.clip_NC, found.tokens_NTSC


@torch.no_grad()
def test_attention_within_frames_averages_them_before_the_norm() -> None:
    backbone = small(attention="space")
    weights, clips = timm_names(backbone), torch.randn(2, 3, FRAMES, 8, 8)
    frames = torch.stack(
        [encode(embed(clips[:, :, frame], weights), weights) for frame in range(FRAMES)], dim=1
    )
    vector, tokens = run(backbone, clips)
    torch.testing.assert_close(vector, norm(frames[:, :, 0].mean(dim=1), weights))
    torch.testing.assert_close(tokens, norm(frames[:, :, 1:], weights))


@torch.no_grad()
def test_joint_attention_is_among_all_tokens_of_a_clip() -> None:
    backbone = small(attention="joint")
    weights, clips = timm_names(backbone), torch.randn(2, 3, FRAMES, 8, 8)
    frames = [embed(clips[:, :, frame], weights) for frame in range(FRAMES)]
    times = backbone.time_table[0]
    patches = [frame[:, 1:] + time for frame, time in zip(frames, times, strict=True)]
    tokens = norm(encode(torch.cat((frames[0][:, :1], *patches), dim=1), weights), weights)
    vector, found = run(backbone, clips)
    torch.testing.assert_close(vector, tokens[:, 0])
    torch.testing.assert_close(found.flatten(1, 2), tokens[:, 1:])


@pytest.mark.parametrize("attention", ATTENTIONS)
@torch.no_grad()
def test_from_an_image_transformer_a_still_clip_is_its_image(attention: str) -> None:
    weights = timm_names(small(0))
    weights["head.weight"] = torch.zeros(1000, WIDTH)
    backbone = small(1, attention=attention)
    report = fill_backbone(backbone, WeightFile("vit.pth", weights, "model", "0" * 64))
    assert report.naming == "timm"
    assert report.ignored == ("head.weight",)
    done = dict(report.reshaped)
    if attention == "divided":
        # The time table, and of each block norm (2), attention (4) and last layer (2).
        assert len(done) == 1 + 2 * (2 + 4 + 2)
        copied = "copied from blocks.1.attention.attn.qkv.bias"
        assert done["blocks.1.temporal.attn.qkv.bias"] == copied
        assert backbone.blocks[1].temporal.fc.weight.abs().max() == 0
    image = torch.randn(1, 3, 1, 8, 8)
    expected = norm(encode(embed(image[:, :, 0], weights), weights), weights)
    vector, tokens = run(backbone, image.expand(-1, -1, FRAMES, -1, -1))
    # With joint attention the class token sees each patch three times, but itself once.
    if attention != "joint":
        torch.testing.assert_close(vector, expected[:, 0])
        torch.testing.assert_close(tokens[:, 1], expected[:, 1:])


def test_time_goes_through_the_temporal_attention_alone() -> None:
    backbone, clips = small(), torch.randn(1, 3, FRAMES, 8, 8)
    with torch.no_grad():
        backbone.time_table.zero_()
        for block in backbone.blocks:
            block.temporal.fc.weight.zero_()
            block.temporal.fc.bias.zero_()
    order = [2, 0, 1]
    vector, tokens = run(backbone, clips)
    mixed_vector, mixed_tokens = run(backbone, clips[:, :, order])
    torch.testing.assert_close(mixed_vector, vector)
    torch.testing.assert_close(mixed_tokens, tokens[:, order])


def test_the_published_network_has_its_parameters() -> None:
    with torch.device("meta"):
        backbone = build_backbone(TimeSformerSettings())
    d = 768
    attention = 2 * d + (d + 1) * 3 * d + (d + 1) * d
    mlp = 2 * d + (d + 1) * 4 * d + (4 * d + 1) * d
    blocks = 12 * (2 * attention + (d + 1) * d + mlp)
    tables = d + (1 + 14 * 14) * d + 8 * d
    patches = (3 * 16 * 16 + 1) * d
    assert sum(p.numel() for p in backbone.parameters()) == blocks + tables + patches + 2 * d


def test_tables_of_other_sizes_are_resized() -> None:
    backbone = small(clip_frames=5, position_image_size=16)
    tensors = {
        "position_table": torch.arange(5.0)[None, :, None].expand(1, 5, WIDTH).clone(),
        "time_table": torch.tensor([0.0, 1.0, 2.0])[None, :, None].expand(1, 3, WIDTH).clone(),
    }
    done = backbone.fit_weights(tensors, source="a file")
    assert done == {
        "position_table": "from 2 x 2 to 4 x 4 patches, bicubic",
        "time_table": "from 3 to 5 frames, linear",
    }
    assert tensors["position_table"].shape == backbone.position_table.shape
    assert tensors["position_table"][0, 0, 0] == 0  # the class token's own
    # Middles of fifths between middles of thirds: (k + 1/2) 3/5 - 1/2, within 0 to 2.
    expected = torch.tensor([0.0, 0.4, 1.0, 1.6, 2.0])
    torch.testing.assert_close(tensors["time_table"][0, :, 0], expected)


def mmaction_names(backbone: TimeSformer) -> dict[str, Tensor]:
    divided = backbone.attention == "divided"
    pairs = [("class_token", "cls_token"), ("position_table", "pos_embed")]
    pairs += [("time_table", "time_embed"), ("patches.", "patch_embed.projection.")]
    pairs += [
        ("blocks.", "transformer_layers.layers."),
        (".temporal.fc.", ".temporal.temporal_fc."),
    ]
    pairs += [(".qkv.", ".in_proj_"), (".attn.proj.", ".attn.out_proj.")]
    pairs += [(".mlp.fc1.", ".ffns.0.layers.0.0."), (".mlp.fc2.", ".ffns.0.layers.1.")]
    if divided:
        pairs += [(".temporal.", ".attentions.0."), (".attention.", ".attentions.1.")]
        pairs += [(".mlp_norm.", ".ffns.0.norm.")]
    else:
        pairs += [(".attention.norm.", ".norms.0."), (".mlp_norm.", ".norms.1.")]
        pairs += [(".attention.", ".attentions.0.")]
    return renamed(backbone, pairs, prefix="backbone.")


def official_names(backbone: TimeSformer) -> dict[str, Tensor]:
    pairs = [("class_token", "cls_token"), ("position_table", "pos_embed")]
    pairs += [("time_table", "time_embed"), ("patches.", "patch_embed.proj.")]
    pairs += [(".temporal.fc.", ".temporal_fc."), (".temporal.norm.", ".temporal_norm1.")]
    pairs += [(".temporal.attn.", ".temporal_attn."), (".attention.norm.", ".norm1.")]
    pairs += [(".attention.attn.", ".attn."), (".mlp_norm.", ".norm2.")]
    return renamed(backbone, pairs, prefix="model.")


def renamed(
    backbone: TimeSformer, pairs: list[tuple[str, str]], *, prefix: str
) -> dict[str, Tensor]:
    found = {}
    for name, value in backbone.state_dict().items():
        for ours, theirs in pairs:
            name = name.replace(ours, theirs)
        found[prefix + name] = value
    return found


@pytest.mark.parametrize("names", [mmaction_names, official_names])
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_names_of_other_projects(names, attention: str) -> None:
    source, target = small(0, attention=attention), small(1, attention=attention)
    report = fill_backbone(target, WeightFile("t.pth", names(source), "model", "0" * 64))
    assert report.naming == ("mmaction" if names is mmaction_names else "timm")
    assert len(report.matched) + len(report.renamed) == len(source.state_dict())
    for name, value in source.state_dict().items():
        assert torch.equal(target.state_dict()[name], value), name


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_an_adapter_sees_the_patches_of_each_frame(attention: str) -> None:
    """The class token goes past it: that of the last block is as without."""
    adapter = {"name": "dsta", "blocks": [1]}
    plain = small(attention=attention)
    adapted = small(attention=attention, adapter=adapter)
    adapted.load_state_dict(plain.state_dict(), strict=False)
    images, videos = torch.randn(3, 3, FRAMES, 8, 12), torch.tensor([0, 0, 1])
    layer = adapted.adapters()[0]
    with torch.no_grad():
        found = adapted(images, videos)
        last = plain.norm
        plain.norm = nn.Identity()
        tokens = plain(images, videos).tokens_NTSC  # before the last norm, which is for each token
        expected = layer(
            tokens.flatten(0, 1),
            video_of_step_L=torch.tensor([0] * 2 * FRAMES + [1] * FRAMES),
            grid_hw=(2, 3),
        )
        plain.norm = last
        torch.testing.assert_close(found.tokens_NTSC.flatten(0, 1), last(expected))
        assert torch.equal(found.clip_NC, plain(images, videos).clip_NC)
    assert (expected - tokens.flatten(0, 1)).abs().max() > 1e-2


def test_adapters_are_not_taken_for_attention_over_time() -> None:
    adapter = {"name": "tia"}
    source = small(0, attention="space", adapter=adapter)
    file = WeightFile("own.safetensors", source.state_dict(), "safetensors", "0" * 64)
    described = source.family.describe(file.tensors)
    assert described.endswith("one attention in each block, with adapters")
    target = small(1, attention="divided", adapter=adapter)
    done = dict(fill_backbone(target, file).reshaped)
    assert done["time_table"] == "zero, as the file is of an image network"
    assert not any(".adapter." in name for name in done)
    for name, value in source.state_dict().items():
        assert torch.equal(target.state_dict()[name], value), name


def test_images_of_another_size_have_the_table_resized() -> None:
    backbone = small()
    found = backbone.positions((4, 6))
    assert found.shape == (1, 1 + 4 * 6, WIDTH)
    assert torch.equal(found[:, 0], backbone.position_table[:, 0])
    vector, tokens = run(backbone, torch.randn(1, 3, FRAMES, 16, 24))
    assert tokens.shape == (1, FRAMES, 4 * 6, WIDTH)
    assert vector.shape == (1, WIDTH)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_heads": 5}, "width 768 is not a multiple of num_heads 5"),
        ({"position_image_size": 8}, "position_image_size 8 is less than a patch of 16 pixels"),
        ({"attention": "axial"}, "'divided', 'joint' or 'space'"),
    ],
)
def test_impossible_settings(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TimeSformerSettings(**settings)
