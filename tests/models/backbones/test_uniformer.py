"""UniFormer: its blocks, the start from an image UniFormer, names of weights, statistics."""

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn import functional

from mmad.config.backbones.uniformer import SIZES, UniFormerSettings
from mmad.models.backbones.families import build_backbone
from mmad.models.backbones.uniformer.network import AttentionBlock, ConvBlock, UniFormer
from mmad.weights.files import WeightFile
from mmad.weights.load import fill_backbone

SMALL = {"widths": (4, 8, 8, 12), "depths": (1, 2, 1, 1), "head_width": 4}


def small(seed: int = 0, **settings: object) -> UniFormer:
    """A network of few channels with random biases and statistics, in evaluation mode."""
    values = {"size": SMALL, "freeze": False, "clip_frames": 4, **settings}
    torch.manual_seed(seed)
    backbone = build_backbone(UniFormerSettings(**values)).eval()
    assert isinstance(backbone, UniFormer)
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        for name, value in backbone.named_buffers():
            value.uniform_(0.5, 1.5) if name.endswith("var") else value.normal_(std=0.1)
    return backbone


def features(backbone: UniFormer, images: Tensor) -> Tensor:
    with torch.no_grad():
        return backbone.map(images, torch.arange(len(images)))


# The paper's Table 1 in millions, with a classifier of the 400 classes of Kinetics.
@pytest.mark.parametrize(("name", "millions"), [("small", 21.4), ("base", 49.8)])
def test_the_published_networks_have_their_parameters(name: str, millions: float) -> None:
    with torch.device("meta"):
        backbone = build_backbone(UniFormerSettings(size=name))
    expected, before = 0, 3
    for stage, (c, depth) in enumerate(zip(SIZES[name].widths, SIZES[name].depths, strict=True)):
        kernel = 3 * 4 * 4 if stage == 0 else 2 * 2
        expected += (kernel * before + 1) * c + 2 * c  # what makes the map smaller, and its norm
        mlp = (c + 1) * 4 * c + (4 * c + 1) * c
        mixing = 2 * (c + 1) * c + (5**3 + 1) * c if stage < 2 else (c + 1) * 3 * c + (c + 1) * c
        expected += depth * ((3**3 + 1) * c + 2 * 2 * c + mixing + mlp)
        before = c
    expected += 2 * 512
    assert sum(p.numel() for p in backbone.parameters()) == expected
    assert round((expected + (512 + 1) * 400) / 1e6, 1) == millions


@pytest.mark.parametrize(("frames", "steps"), [(16, 8), (4, 2), (5, 3), (1, 1)])
def test_time_is_halved_once_and_rounded_up(frames: int, steps: int) -> None:
    assert features(small(), torch.randn(1, 3, frames, 32, 64)).shape == (1, 12, steps, 1, 2)


@torch.no_grad()
def test_nothing_but_one_norm_stands_before_the_mixing_of_a_convolutional_block() -> None:
    block = small().stages[1].blocks[0]
    assert isinstance(block, ConvBlock)
    x = torch.randn(2, 8, 3, 6, 7)
    positions = functional.conv3d(
        x, block.position.weight, block.position.bias, padding=1, groups=8
    )
    x1 = x + positions
    norm = block.norm1
    scale = norm.weight / (norm.running_var + 1e-5).sqrt()
    y = (x1 - norm.running_mean.view(-1, 1, 1, 1)) * scale.view(-1, 1, 1, 1)
    y = y + norm.bias.view(-1, 1, 1, 1)
    y = torch.einsum("ncthw,dc->ndthw", y, block.conv1.weight.flatten(1))
    y = y + block.conv1.bias.view(-1, 1, 1, 1)
    y = functional.conv3d(y, block.mix.weight, block.mix.bias, padding=2, groups=8)
    y = torch.einsum("ncthw,dc->ndthw", y, block.conv2.weight.flatten(1))
    x2 = x1 + y + block.conv2.bias.view(-1, 1, 1, 1)
    expected = x2 + block.mlp(block.norm2(x2))
    torch.testing.assert_close(block(x), expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_an_attention_block_is_torchs_encoder_layer_behind_a_convolution() -> None:
    block = small().stages[3].blocks[0]
    assert isinstance(block, AttentionBlock)
    layer = nn.TransformerEncoderLayer(
        12, 3, 48, 0.0, "gelu", 1e-5, batch_first=True, norm_first=True
    ).eval()
    names = {"self_attn.in_proj_": "attn.qkv.", "self_attn.out_proj.": "attn.proj."}
    names |= {"linear1.": "mlp.fc1.", "linear2.": "mlp.fc2."}
    own, state = block.state_dict(), {}
    for name in layer.state_dict():
        ours = name
        for theirs, mine in names.items():
            ours = ours.replace(theirs, mine)
        state[name] = own[ours]
    layer.load_state_dict(state)
    x = torch.randn(2, 12, 2, 3, 4)
    expected = layer((x + block.position(x)).flatten(2).transpose(1, 2))
    torch.testing.assert_close(block(x, torch.arange(1)).flatten(2).transpose(1, 2), expected)


def test_depth_grows_with_the_blocks() -> None:
    roles = small().roles()
    assert roles["stages.0.embed.proj.weight"].depth == 0
    assert roles["stages.0.blocks.0.mix.weight"].depth == 1
    assert roles["stages.1.embed.norm.bias"].depth == 1
    assert roles["stages.1.blocks.1.mlp.fc1.weight"].depth == 3
    assert roles["stages.3.blocks.0.attn.qkv.weight"].depth == 5
    assert roles["norm.weight"].depth == 6


def official(backbone: UniFormer) -> dict[str, Tensor]:
    """The tensors under the names of UniFormer's own code, with counts of batches."""
    found = {}
    for name, value in backbone.state_dict().items():
        for stage in range(4):
            name = name.replace(f"stages.{stage}.embed.", f"patch_embed{stage + 1}.")
            name = name.replace(f"stages.{stage}.blocks.", f"blocks{stage + 1}.")
        name = name.replace(".position.", ".pos_embed.").replace(".mix.", ".attn.")
        found[name] = value.clone()
        if name.endswith("running_mean"):
            found[name.replace("running_mean", "num_batches_tracked")] = torch.zeros(())
    return found


@pytest.mark.parametrize("prefix", ["", "backbone."])
def test_names_of_other_projects(prefix: str) -> None:
    source, target = small(0), small(1)
    weights = {prefix + name: value for name, value in official(source).items()}
    weights[f"{prefix}head.weight"] = torch.zeros(400, 12)
    report = fill_backbone(target, WeightFile("u.pth", weights, "model", "0" * 64))
    assert report.naming == "official"
    # Two norms of each of three convolutional blocks, the last norm, and the classifier.
    assert len(report.ignored) == 2 * 3 + 1 + 1
    for name, value in source.state_dict().items():
        assert torch.equal(target.state_dict()[name], value), name


def test_an_inflated_network_sees_a_still_clip_as_the_image_network_its_image() -> None:
    source, backbone = small(0), small(1)
    weights = official(source)
    # A network of images: all that the middle steps of ours compute on a clip of one frame.
    for name, value in weights.items():
        if value.ndim == 5:
            weights[name] = value[:, :, value.shape[2] // 2].clone()
    image = torch.randn(1, 3, 1, 32, 64)
    report = fill_backbone(backbone, WeightFile("u.pth", weights, "model", "0" * 64))
    # Four of what makes maps smaller, five convolutions of each of three blocks in the first
    # stages and the two of their MLPs, one convolution of each of the others.
    assert len(report.reshaped) == 4 + 3 * (4 + 2) + 2
    assert dict(report.reshaped)["stages.0.blocks.0.mix.weight"] == "inflated to 5 steps"
    # Attention sees the ends of a clip, but the stages before it reach only so far: one block three
    # steps, two more six, and the first convolution one.
    clip = image.expand(-1, -1, 48, -1, -1)
    with torch.no_grad():
        for number in (0, 1):
            videos = torch.zeros(1, dtype=torch.long)
            image = source.stages[number](image, videos)
            clip = backbone.stages[number](clip, videos)
    assert clip.shape[2] == 24
    torch.testing.assert_close(clip[:, :, 12], image[:, :, 0], rtol=1e-4, atol=1e-5)
    assert (clip[:, :, 0] - image[:, :, 0]).abs().max() > 1e-2


def test_an_adapter_sees_the_map_of_its_block() -> None:
    """By hand, behind both transformer blocks, which alone are counted."""
    plain, adapted = small(), small(adapter={"name": "dsta"})
    adapted.load_state_dict(plain.state_dict(), strict=False)
    blocks = [block for stage in plain.stages[2:] for block in stage.blocks]
    assert len(adapted.adapters()) == len(blocks)
    videos, video_of_step = torch.tensor([0, 0, 1]), torch.tensor([0, 0, 0, 0, 1, 1])
    for block, layer in zip(blocks, adapted.adapters(), strict=True):

        def after(module, given, map_: Tensor, layer=layer) -> Tensor:
            n, c, t, h, w = map_.shape
            tokens = map_.permute(0, 2, 3, 4, 1).reshape(n * t, h * w, c)
            found = layer(tokens, video_of_step_L=video_of_step, grid_hw=(h, w))
            return found.reshape(n, t, h, w, c).permute(0, 4, 1, 2, 3)

        block.register_forward_hook(after)
    images = torch.randn(3, 3, 4, 32, 64)
    with torch.no_grad():
        expected, found = plain.map(images, videos), adapted.map(images, videos)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("settings", [{"freeze": True}, {"keep_statistics": True}])
def test_statistics_that_stay(settings: dict[str, bool]) -> None:
    backbone = small(**settings).train()
    before = {name: value.clone() for name, value in backbone.named_buffers()}
    backbone.map(torch.randn(2, 3, 4, 32, 32), torch.arange(2))
    assert all(torch.equal(before[name], value) for name, value in backbone.named_buffers())
    moving = small().train()
    moving.map(torch.randn(2, 3, 4, 32, 32), torch.arange(2))
    assert len(before) == 2 * (2 * 3 + 1)
    assert not any(torch.equal(before[name], value) for name, value in moving.named_buffers())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": {**SMALL, "head_width": 3}}, "8 of stage 2 is not a multiple of head_width 3"),
        ({"size": {**SMALL, "depths": (1, 2, 3)}}, "depths"),
        ({"size": "large"}, "'small' or 'base'"),
        ({"clip_frames": 15}, "clip_frames 15 is not a multiple of the 2 frames"),
    ],
)
def test_impossible_settings(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        UniFormerSettings(**settings)
