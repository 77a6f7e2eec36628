"""TimeSformer of mmaction2 as our settings and maps."""

from collections.abc import Mapping
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn

from mmad.config.backbones.timesformer import TimeSformerSettings
from mmad.models.backbones.contract import ClipTokens
from mmad.models.backbones.timesformer.network import NORM_EPS, TimeSformer
from parity.networks import Network, check_options, outputs_of

# Of mmaction2 1.1: its name and default, ours.
_OPTIONS = {
    "num_frames": (8, "clip_frames"),
    "img_size": (224, "position_image_size"),
    "patch_size": (16, "patch"),
    "embed_dims": (768, "width"),
    "num_heads": (12, "num_heads"),
    "num_transformer_layers": (12, "depth"),
}
_ATTENTION = {
    "divided_space_time": "divided",
    "joint_space_time": "joint",
    "space_only": "space",
}
# Options that we have in one form only.
_FIXED: Mapping[str, Any] = {
    "in_channels": 3,
    "transformer_layers": None,
    "norm_cfg": {"type": "LN", "eps": NORM_EPS},
}
# What decides no number without dropout.
_IDLE = {"type", "pretrained", "dropout_ratio", "init_cfg"}


def settings(data: Mapping[str, Any]) -> TimeSformerSettings:
    """mmaction2's TimeSformer as our settings."""
    config = data["config"]["backbone"]
    check_options("TimeSformer", config, {"attention_type", *_OPTIONS}, _FIXED, _IDLE)
    chosen = {ours: config.get(theirs, default) for theirs, (default, ours) in _OPTIONS.items()}
    attention = _ATTENTION[config.get("attention_type", "divided_space_time")]
    return TimeSformerSettings(attention=attention, freeze=False, drop_path=0, **chosen)


def maps(backbone: TimeSformer, images_NCFHW: Tensor) -> dict[str, Tensor]:
    """Outputs by the names of their modules; the features are the class tokens."""
    modules: dict[str, nn.Module] = {"patch_embed": backbone.patches}
    for number, block in enumerate(backbone.blocks):
        place = f"transformer_layers.layers.{number}"
        attentions = [one for one in (block.temporal, block.attention) if one is not None]
        modules |= {place: block, f"{place}.ffns.0": block}
        modules |= {f"{place}.attentions.{index}": one for index, one in enumerate(attentions)}
    if backbone.attention != "space":  # there the mean over frames comes before it
        modules["norm"] = backbone.norm
    with outputs_of(modules) as found:
        tokens = backbone(images_NCFHW, torch.arange(len(images_NCFHW)))
    found["patch_embed"] = rearrange(found["patch_embed"], "nf d h w -> nf (h w) d")
    assert tokens.clip_NC is not None
    return {**found, "features": tokens.clip_NC}


def tokens_of_class(class_ND: Tensor) -> ClipTokens:
    """Class tokens as the whole output of a backbone."""
    return ClipTokens(class_ND[:, None, None], (1, 1), class_ND)


TIMESFORMER = Network(settings, maps, tokens_of_class, {})
