"""What holds for every backbone in the table, at its smallest."""

import re

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from mmad.checkpoint import frozen_state, trainable_state
from mmad.config.backbones.family import BackboneFamilySettings
from mmad.config.backbones.union import BackboneSettings
from mmad.config.base import members
from mmad.errors import CheckpointError
from mmad.models.backbones.contract import Backbone
from mmad.models.backbones.families import BACKBONES, build_backbone
from mmad.weights.files import WeightFile
from mmad.weights.load import fill_backbone

# What a family cannot be made without.
REQUIRED = {"videomae": {"size": "small"}}
NAMES = sorted(BACKBONES)
# Weights of the first have names of the second, too: it says which tensors do not fit.
SAME_NAMES = {("videomae", "umt")}
TAKING = [name for name in NAMES if members(BackboneSettings)[name].takes_adapters]
# Other networks of a family.
VARIANTS = {
    f"{name} reversible": (name, {"reversible": True}) for name in ("slowfast", "video_swin")
} | {f"timesformer {kind}": ("timesformer", {"attention": kind}) for kind in ("joint", "space")}
KINDS = [*NAMES, *VARIANTS]
# Shorter clips, of networks whose own are slow.
SHORT = {"video_swin": {"clip_frames": 4}}
ADAPTABLE = [kind for kind in KINDS if kind.split()[0] in TAKING]
CHECKPOINTING = [
    name
    for name in NAMES
    if "activation_checkpointing" in members(BackboneSettings)[name].model_fields
]


def tiny(kind: str, **changes: object) -> tuple[BackboneFamilySettings, int]:
    name, given = VARIANTS.get(kind, (kind, {}))
    return members(BackboneSettings)[name](**REQUIRED.get(name, {}), **given, **changes).tiny()


def taking(settings: BackboneFamilySettings, image_hw: tuple[int, int]) -> BackboneFamilySettings:
    """The settings for images of that size, where a network takes one size only."""
    fixed = "image_size" in type(settings).model_fields
    return settings.model_copy(update={"image_size": image_hw}) if fixed else settings


def made(name: str, *, wide: bool = False, **changes: object) -> tuple[Backbone, int]:
    settings, side = tiny(name, **changes)
    settings = taking(settings, (side, 2 * side if wide else side))
    torch.manual_seed(0)
    return build_backbone(settings).eval(), side


def clips(backbone: Backbone, count: int, *hw: int) -> Tensor:
    return torch.randn(count, 3, backbone.spec.clip_frames, *hw)


@pytest.mark.parametrize("name", NAMES)
def test_settings_and_network_tell_the_same(name: str) -> None:
    settings, side = tiny(name)
    spec = build_backbone(settings).spec
    assert spec.clip_frames == settings.clip_frames
    assert spec.frames_per_step == settings.frames_per_step
    assert spec.side_multiple == settings.side_multiple
    assert tuple(spec.stages) == settings.stages
    wide = taking(settings, (side, 2 * side))
    assert list(wide.problems_of_images((side, 2 * side))) == []
    problem = next(settings.problems_of_images((side, side + 1)))
    assert re.search("is not a multiple of|takes images of one size only", problem)


@pytest.mark.parametrize("name", KINDS)
def test_tokens_are_what_the_spec_says_also_of_wide_images(name: str) -> None:
    backbone, side = made(name, wide=True)
    with torch.no_grad():
        tokens = backbone(clips(backbone, 2, side, 2 * side), torch.zeros(2, dtype=torch.long))
    rows, columns = backbone.spec.grid_hw((side, 2 * side))
    assert tokens.grid_hw == (rows, columns)
    expected = (2, backbone.spec.steps_per_clip, rows * columns, backbone.spec.channels)
    assert tokens.tokens_NTSC.shape == expected
    assert backbone.pool_steps(tokens).shape == (expected[0], expected[1], expected[3])
    assert backbone.pool_clips(tokens).shape == (expected[0], expected[3])


@pytest.mark.parametrize("name", NAMES)
def test_the_maps_of_stages_are_what_the_spec_says_and_the_last_one_is_the_tokens(
    name: str,
) -> None:
    backbone, side = made(name, wide=True)
    images, videos = clips(backbone, 2, side, 2 * side), torch.zeros(2, dtype=torch.long)
    spec = backbone.spec
    with torch.no_grad():
        plain = backbone(images, videos)
        tokens = backbone.forward_stages(images, videos, list(spec.stages))
    assert torch.equal(tokens.tokens_NTSC, plain.tokens_NTSC)
    assert not plain.stage_maps_NTChw
    assert tokens.stage_maps_NTChw.keys() == spec.stages.keys()
    for stage, found in tokens.stage_maps_NTChw.items():
        channels, stride = spec.stages[stage]
        hw = side // stride, 2 * side // stride
        assert found.shape == (2, spec.steps_per_clip, channels, *hw)
    if spec.stages:
        assert torch.equal(found.flatten(3).transpose(2, 3), tokens.tokens_NTSC)


@pytest.mark.parametrize("name", KINDS)
def test_a_clip_does_not_depend_on_the_others_of_the_batch(name: str) -> None:
    backbone, side = made(name)
    images, videos = clips(backbone, 3, side, side), torch.arange(3)
    with torch.no_grad():
        together = backbone.pool_clips(backbone(images, videos))
        alone = [backbone.pool_clips(backbone(image[None], videos[:1])) for image in images]
    assert together.std() > 0
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_other_clips_than_the_spec_says_are_an_error(name: str) -> None:
    backbone, side = made(name)
    images = clips(backbone, 1, side, side)
    for wrong in (images[:, :, 1:], images[..., 1:]):
        with pytest.raises(ValueError, match=f"clips of {backbone.spec.clip_frames} frames"):
            backbone(wrong, torch.zeros(1, dtype=torch.long))


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_has_a_role_and_a_depth(name: str) -> None:
    backbone, _ = made(name, freeze=False)
    roles = backbone.roles()
    assert roles.keys() == dict(backbone.named_parameters()).keys()
    depths = {role.depth for role in roles.values()}
    assert depths == set(range(len(depths)))
    assert len(depths) > 2
    assert {role.role for role in roles.values()} == {"body"}


@pytest.mark.parametrize("name", KINDS)
def test_a_frozen_backbone_stays_as_it_is(name: str) -> None:
    backbone, side = made(name, freeze=True)
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    assert trainable_state(backbone) == {}
    backbone.train()
    backbone(clips(backbone, 2, side, side), torch.arange(2))
    for key, value in frozen_state(backbone).items():
        assert torch.equal(value, before[key]), key


@pytest.mark.parametrize("name", KINDS)
def test_a_trained_backbone_learns_in_all_its_parameters(name: str) -> None:
    """From the features of a detector or the vectors of a recogniser, in mixed precision."""
    backbone, side = made(name, freeze=False)
    images, videos = clips(backbone.train(), 1, side, side), torch.arange(1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        tokens = backbone(images, videos)
        features = (backbone.pool_steps(tokens), backbone.pool_clips(tokens))
    sum(feature.float().square().sum() for feature in features).backward()
    for key, parameter in backbone.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key


@pytest.mark.parametrize("name", NAMES)
def test_its_own_weights_come_back_and_those_of_others_do_not(name: str) -> None:
    source, _ = made(name)
    target, _ = made(name)
    with torch.no_grad():
        for value in target.state_dict().values():
            value.add_(1)
    file = WeightFile("own.safetensors", source.state_dict(), "safetensors", "0" * 64)
    report = fill_backbone(target, file)
    assert not report.missing
    assert not report.unexpected
    assert all(torch.equal(v, target.state_dict()[k]) for k, v in source.state_dict().items())
    for other in set(NAMES) - {name}:
        found = f"holds no .* in a known naming; found a {name}"
        if (name, other) in SAME_NAMES:
            found = "does not fit"
        with pytest.raises(CheckpointError, match=found):
            fill_backbone(made(other)[0], file)


@pytest.mark.parametrize("adapter", ["standard", "tia", "dsta", "dsta_180"])
@pytest.mark.parametrize("name", ADAPTABLE)
def test_adapters_start_as_the_identity_and_are_all_that_is_trained(
    name: str, adapter: str
) -> None:
    short = SHORT.get(name.split()[0], {})
    plain, side = made(name, **short)
    adapted, _ = made(name, adapter={"name": adapter}, **short)
    fill_backbone(adapted, WeightFile("own", plain.state_dict(), "safetensors", "0" * 64))
    images, videos = clips(plain, 2, side, side), torch.zeros(2, dtype=torch.long)
    expected = plain(images, videos).tokens_NTSC
    assert torch.equal(adapted(images, videos).tokens_NTSC, expected)
    trained = {key for key, value in adapted.named_parameters() if value.requires_grad}
    roles = adapted.roles()
    assert trained == {key for key, role in roles.items() if role.role == "adapter"}
    assert len(adapted.adapters()) == len(adapted.adaptable_blocks()) > 1
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.3)
    # Temporal adapters reach the clips beside; the standard one stays in a token.
    joined, apart = (adapted(images, v).tokens_NTSC for v in (videos, torch.arange(2)))
    assert (joined - expected).abs().max() > 1e-3
    assert torch.equal(joined, apart) == (adapter == "standard")
    assert adapted.context_clips() == (0 if adapter == "standard" else len(adapted.adapters()))


def test_networks_without_adapters_name_those_that_have_some() -> None:
    assert {"timesformer", "uniformer", "video_swin", "videomae"} <= set(TAKING)
    with pytest.raises(ValidationError) as caught:
        members(BackboneSettings)["i3d"](adapter={"name": "dsta"})
    message = str(caught.value)
    assert "adapter dsta: i3d takes none; leave it out, or choose a backbone" in message
    listed = re.search(r"\(([^)]*)\)", message)
    assert listed is not None
    assert listed[1].split(", ") == TAKING


@pytest.mark.parametrize("name", CHECKPOINTING)
def test_activations_that_are_recomputed_give_the_same_gradients(name: str) -> None:
    gradients = []
    for recomputed in (False, True):
        given = {"drop_path": 0, "activation_checkpointing": recomputed, **SHORT.get(name, {})}
        backbone, side = made(name, freeze=False, **given)
        backbone.train()
        torch.manual_seed(1)
        images = clips(backbone, 1, side, side)
        tokens = backbone(images, torch.zeros(1, dtype=torch.long))
        backbone.pool_steps(tokens).square().sum().backward()
        gradients.append([p.grad for p in backbone.parameters() if p.grad is not None])
    assert len(gradients[0]) == len(gradients[1]) > 20
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b)
