"""Video Swin: sizes, the order of merging, inflation, and names of weights."""

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from benchmarks.reversible_memory import bytes_kept
from mmad.config.backbones.video_swin import SIZES, VideoSwinSettings
from mmad.errors import CheckpointError
from mmad.models.backbones.families import build_backbone
from mmad.models.backbones.video_swin.network import Merge, VideoSwin
from mmad.models.layers.window_attention import Windows
from mmad.weights.files import WeightFile
from mmad.weights.load import fill_backbone

SMALL = {"width": 8, "depths": [2, 1], "num_heads": [1, 2]}


def small(seed: int = 0, **settings: object) -> VideoSwin:
    """A network of two stages with random biases, in evaluation mode."""
    values = {"size": SMALL, "window": (2, 3, 3), "clip_frames": 8, "freeze": False, **settings}
    torch.manual_seed(seed)
    backbone = build_backbone(VideoSwinSettings(**values)).eval()
    assert isinstance(backbone, VideoSwin)
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return backbone


def map_of(backbone: VideoSwin, images: Tensor) -> Tensor:
    """The map of clips that are a video each."""
    return backbone.map(images, torch.arange(len(images)))


def features(backbone: VideoSwin, images: Tensor) -> Tensor:
    with torch.no_grad():
        return map_of(backbone, images)


# In millions, with a classifier of the 400 classes of Kinetics (in the paper 28.2, 49.8, 88.1; of
# the large one in mmaction2 197).
@pytest.mark.parametrize(
    ("name", "millions"), [("tiny", 28.16), ("small", 49.82), ("base", 88.05), ("large", 196.95)]
)
def test_the_published_networks_have_their_parameters(name: str, millions: float) -> None:
    with torch.device("meta"):
        backbone = build_backbone(VideoSwinSettings(size=name))
    width, places = SIZES[name].width, 15 * 13 * 13
    expected = (3 * 2 * 4 * 4 + 1) * width + 2 * width  # patches and their norm
    for stage, (depth, heads) in enumerate(
        zip(SIZES[name].depths, SIZES[name].num_heads, strict=True)
    ):
        c = width * 2**stage
        norms, qkv, proj = 2 * 2 * c, (c + 1) * 3 * c, (c + 1) * c
        mlp = (c + 1) * 4 * c + (4 * c + 1) * c
        expected += depth * (norms + qkv + proj + mlp + places * heads)
        if stage < 3:
            expected += 2 * 4 * c + 4 * c * 2 * c  # merging
    expected += 2 * 8 * width
    assert sum(p.numel() for p in backbone.parameters()) == expected
    assert backbone.spec.channels == 8 * width
    assert round((expected + (8 * width + 1) * 400) / 1e6, 2) == millions


def test_merging_takes_the_rows_of_a_column_first() -> None:
    merge = Merge(1)
    merge.norm, merge.reduce = nn.Identity(), nn.Identity()
    image = torch.tensor([[1.0, 3, 5], [2, 4, 6]])[None, None, :, :, None]
    expected = torch.tensor([[1.0, 2, 3, 4], [5, 6, 0, 0]])
    assert torch.equal(merge(image)[0, 0, 0], expected)


def test_blocks_are_shifted_in_turns_and_drop_more_the_deeper_they_are() -> None:
    backbone = small(size={**SMALL, "depths": [3, 2]}, window=(8, 7, 7), drop_path=0.4)
    blocks = [block for stage in backbone.stages for block in stage.blocks]
    no, half = (0, 0, 0), (4, 3, 3)
    assert [block.shift for block in blocks] == [no, half, no, no, half]
    assert [block.drop_path_rate for block in blocks] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])


def test_clips_of_any_size_are_padded_at_their_ends() -> None:
    backbone = small()
    images = torch.randn(1, 3, 7, 20, 18)
    padded = torch.nn.functional.pad(images, (0, 2, 0, 0, 0, 1))
    torch.testing.assert_close(features(backbone, images), features(backbone, padded))
    assert features(backbone, images).shape == (1, 16, 4, 3, 3)


def test_recomputing_gives_the_same_gradients() -> None:
    gradients = []
    for recompute in (False, True):
        backbone = small(activation_checkpointing=recompute, drop_path=0).train()
        map_of(backbone, torch.ones(1, 3, 8, 16, 16)).square().sum().backward()
        gradients.append([p.grad for p in backbone.parameters()])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


def by_hand(backbone: VideoSwin, images: Tensor) -> Tensor:
    """Re2TAL's equations, block by block, for stages whose attention needs no shift."""
    x = backbone.patches(images)
    for stage in backbone.stages:
        x1, x2 = x, x
        for block in stage.blocks:
            windows = Windows.fitted(x.shape[1:4], window=block.window, shift=block.shift)
            attended = block.attn(windows.cut(block.norm1(x2)), windows.mask())
            y1 = x1 + windows.join(attended)
            x1, x2 = y1, x2 + block.mlp(block.norm2(y1))
        x = (x1 + x2) / 2
        x = x if stage.merge is None else stage.merge(x)
    return backbone.norm(x).permute(0, 4, 1, 2, 3)


def test_a_reversible_network_has_two_streams_in_each_stage() -> None:
    backbone = small(reversible=True)
    images = torch.randn(2, 3, 8, 20, 24)
    with torch.no_grad():
        expected = by_hand(backbone, images)
        plain = features(small(), images)
    torch.testing.assert_close(features(backbone, images), expected)
    assert not torch.allclose(expected, plain, rtol=0.1)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"adapter": {"name": "dsta"}},
        {"adapter": {"name": "dsta"}, "freeze": True},
        {"adapter": {"name": "tia", "blocks": [1]}, "freeze": True},
    ],
    ids=["plain", "adapters", "adapters alone", "one adapter"],
)
def test_a_reversible_network_recomputes_the_same_gradients(given: dict[str, object]) -> None:
    """With stochastic depth, of the same blocks; all clips are of one video."""
    gradients = []
    images, videos = torch.randn(4, 3, 8, 16, 16), torch.zeros(4, dtype=torch.long)
    for settings in ({"recompute": False}, {"activation_checkpointing": True}, {}):
        backbone = small(reversible=True, drop_path=0.5, **given, **settings).double().train()
        torch.manual_seed(3)
        backbone.map(images.double(), videos).square().sum().backward()
        trained = [p for p in backbone.parameters() if p.requires_grad]
        assert all(p.grad is not None for p in trained)
        gradients.append([p.grad for p in trained])
    for kept, *others in zip(*gradients, strict=True):
        for other in others:
            torch.testing.assert_close(other, kept, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("reversible", [False, True])
def test_an_adapter_sees_what_its_block_gives(reversible: bool) -> None:
    """By hand, over the steps of all clips; of a reversible network it sees the stream that the MLP
    reads and what this adds, and is added to the other.
    """
    given = {"reversible": reversible, "size": {**SMALL, "depths": [2, 1]}}
    plain, adapted = small(**given), small(adapter={"name": "dsta"}, **given)
    adapted.load_state_dict(plain.state_dict(), strict=False)
    images, videos = torch.randn(3, 3, 8, 20, 24), torch.tensor([0, 0, 1])
    video_of_step = torch.tensor([0] * 8 + [1] * 4)
    for stage, other in zip(plain.stages, adapted.stages, strict=True):
        for block, its in zip(stage.blocks, other.blocks, strict=True):
            place, attribute = (block, "mix") if reversible else (block, "forward")
            before = getattr(place, attribute)

            def after(x: Tensor, *args: object, before=before, adapter=its.adapter, **kw) -> Tensor:
                given = before(x, *args, **kw)
                seen = x + given if reversible else given
                _, _, rows, columns, width = seen.shape
                tokens = seen.reshape(12, rows * columns, width)
                found = adapter(tokens, video_of_step_L=video_of_step, grid_hw=(rows, columns))
                return found.reshape(seen.shape) - (x if reversible else 0)

            setattr(place, attribute, after)
    with torch.no_grad():
        expected, found = plain.map(images, videos), adapted.map(images, videos)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_a_deeper_reversible_network_keeps_no_more() -> None:
    images = torch.randn(1, 3, 8, 16, 16)

    def kept(blocks: int, **settings: object) -> int:
        size = {**SMALL, "depths": [blocks, 1]}
        backbone = small(size=size, reversible=True, drop_path=0, **settings).train()
        return bytes_kept(lambda: map_of(backbone, images), parameters=backbone.parameters())

    assert kept(9) == kept(3)
    stream = 4 * 8 * 4 * 4 * 4  # bytes of 8 channels, 4 steps, 4 x 4 cells
    branches = 2 * 6
    found = kept(9, activation_checkpointing=True) - kept(3, activation_checkpointing=True)
    assert found == branches * stream
    assert kept(9, recompute=False) - kept(3, recompute=False) > 10 * branches * stream


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "kept"),
        ({"activation_checkpointing": True}, "from_inputs"),
        ({"reversible": True}, "from_output"),
        ({"reversible": True, "freeze": True}, "from_output"),  # without a backward pass idle
        ({"reversible": True, "activation_checkpointing": True}, "from_inputs"),
        ({"reversible": True, "recompute": False}, "kept"),
        ({"reversible": True, "recompute": True}, "from_output"),
        (
            {"reversible": True, "recompute": True, "freeze": True, "adapter": {"name": "tia"}},
            "from_output",
        ),
    ],
)
def test_where_activations_come_from(settings: dict[str, bool], expected: str) -> None:
    assert VideoSwinSettings(**{"freeze": False, **settings}).activations == expected


def test_depth_grows_with_the_blocks() -> None:
    roles = small().roles()
    assert roles["patches.proj.weight"].depth == 0
    assert roles["stages.0.blocks.1.attn.bias_table"].depth == 2
    assert roles["stages.0.merge.reduce.weight"].depth == 2
    assert roles["stages.1.blocks.0.mlp.fc1.weight"].depth == 3
    assert roles["norm.bias"].depth == 4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"patch": (2, 4, 8)}, r"patch: expected as many rows as columns, found \[2, 4, 8\]"),
        (
            {"size": {**SMALL, "num_heads": [1]}},
            "num_heads: expected 2 numbers, one for each stage",
        ),
        (
            {"size": {**SMALL, "num_heads": [1, 3]}},
            "width 16 of stage 1 is not a multiple of its 3",
        ),
        ({"clip_frames": 9}, "clip_frames 9 is not a multiple of the 2 frames"),
        ({"window": (8, 0, 7)}, "greater than or equal to 1"),
        ({"recompute": True}, "recompute: only a reversible network .* set reversible=true"),
        (
            {"recompute": True, "reversible": True, "freeze": True},
            "recompute: a frozen network has no backward pass .* set freeze=false",
        ),
        (
            {"recompute": True, "reversible": True, "freeze": False}
            | {"activation_checkpointing": True},
            "recompute and activation_checkpointing: both .* set one of them to false",
        ),
    ],
)
def test_impossible_settings(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        VideoSwinSettings(**settings)


# ---- weights ----


def theirs(name: str, *, last_norm: str) -> str:
    """What Video Swin's own code or mmaction2 calls our tensor ``name``."""
    if name.startswith("norm."):
        return f"backbone.{last_norm}.{name.split('.')[-1]}"
    pairs = [("stages.", "layers."), ("patches.", "patch_embed."), ("merge.", "downsample.")]
    pairs += [("reduce.", "reduction."), ("bias_table", "relative_position_bias_table")]
    for ours, other in pairs:
        name = name.replace(ours, other)
    return f"backbone.{name}"


def as_file(tensors: dict[str, Tensor]) -> WeightFile:
    return WeightFile("swin.pth", tensors, "state_dict", "0" * 64)


@pytest.mark.parametrize("last_norm", ["norm3", "norm"])
def test_names_of_other_projects(last_norm: str) -> None:
    source, target = small(0), small(1)
    file = {theirs(n, last_norm=last_norm): v for n, v in source.state_dict().items()}
    file["backbone.layers.0.blocks.0.attn.relative_position_index"] = torch.zeros(18, 18)
    file["cls_head.fc_cls.weight"] = torch.zeros(4, 16)
    report = fill_backbone(target, as_file(file))
    assert report.naming == "mmaction"
    assert len(report.renamed) == len(source.state_dict())
    assert len(report.ignored) == 2
    for name, value in source.state_dict().items():
        assert torch.equal(target.state_dict()[name], value), name


def test_names_of_re2tal() -> None:
    source, target = small(0, reversible=True), small(1, reversible=True)
    places = [(".norm1.", "Fm"), (".attn.", "Fm"), (".norm2.", "Gm"), (".mlp.", "Gm")]
    file = {}
    for name, value in source.state_dict().items():
        other = theirs(name, last_norm="norm3")
        for part, branch in places:
            other = other.replace(part, f".inv_block.{branch}{part}")
        file[other] = value
    report = fill_backbone(target, as_file(file))
    assert report.naming == "Re2TAL"
    assert len(report.renamed) == len(file)
    images = torch.randn(1, 3, 8, 16, 16)
    assert torch.equal(features(target, images), features(source, images))


def test_a_reversible_network_starts_from_the_weights_of_a_plain_one() -> None:
    plain, target = small(0), small(1, reversible=True)
    report = fill_backbone(target, as_file(dict(plain.state_dict())))
    assert len(report.matched) == len(plain.state_dict())


def test_weights_of_another_window_do_not_fit() -> None:
    file = as_file(dict(small(window=(3, 3, 3)).state_dict()))
    with pytest.raises(CheckpointError, match=r"bias_table.*\(125, 1\).*\(75, 1\)"):
        fill_backbone(small(), file)


def test_an_inflated_network_sees_a_still_clip_as_the_image_network_its_image() -> None:
    image_network = small(0, patch=(1, 4, 4), window=(1, 3, 3), clip_frames=1)
    weights = {
        theirs(name, last_norm="norm").removeprefix("backbone."): value.squeeze(2)
        if value.ndim == 5
        else value
        for name, value in image_network.state_dict().items()
    }
    backbone = small(1)
    report = fill_backbone(backbone, as_file(weights))
    done = dict(report.reshaped)
    assert done["patches.proj.weight"] == "inflated to 2 steps"
    assert (
        done["stages.0.blocks.1.attn.bias_table"]
        == "of 5 x 5 places, for each of 3 distances in time"
    )
    assert len(done) == 1 + 3
    image = torch.randn(1, 3, 1, 40, 24)
    expected = features(image_network, image)
    found = features(backbone, image.expand(-1, -1, 8, -1, -1))
    torch.testing.assert_close(found, expected.expand(-1, -1, 4, -1, -1), rtol=1e-4, atol=1e-5)


def test_tables_of_larger_windows_are_resized() -> None:
    backbone = small()
    table = torch.full((7 * 7, 1), 0.5)
    tensors = {"stages.0.blocks.0.attn.bias_table": table}
    done = backbone.fit_weights(tensors, source="a file")
    assert list(done) == list(tensors)
    (resized,) = tensors.values()
    torch.testing.assert_close(resized, torch.full((3 * 5 * 5, 1), 0.5))
