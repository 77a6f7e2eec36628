"""Video Swin of mmaction2 as our settings and maps."""

from collections.abc import Mapping
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn

from mmad.config.backbones.video_swin import VideoSwinSettings
from mmad.models.backbones.contract import tokens_of_map
from mmad.models.backbones.video_swin.network import VideoSwin
from mmad.models.layers.window_attention import relative_places
from parity.common import Check, Checks, largest
from parity.networks import Network, check_options, outputs_of

# Of mmaction2 1.1: its name and default, ours.
_OPTIONS = {
    "patch_size": ((2, 4, 4), "patch"),
    "window_size": ((8, 7, 7), "window"),
    "mlp_ratio": (4.0, "mlp_ratio"),
    "qkv_bias": (True, "qkv_bias"),
    "patch_norm": (True, "patch_norm"),
}
# Options that we have in one form only.
_FIXED: Mapping[str, Any] = {
    "qk_scale": None,
    "in_channels": 3,
    "out_indices": [3],
    "out_after_downsample": False,
    "frozen_stages": -1,
}
# What decides no number without dropout.
_IDLE = {"type", "pretrained", "pretrained2d", "drop_rate", "attn_drop_rate", "drop_path_rate"}
_IDLE |= {"act_cfg", "norm_cfg", "with_cp", "init_cfg"}


def settings(data: Mapping[str, Any]) -> VideoSwinSettings:
    """mmaction2's SwinTransformer3D as our settings; frames of a clip are rounded up to patches."""
    config = data["config"]["backbone"]
    check_options("Video Swin", config, {"arch", *_OPTIONS}, _FIXED, _IDLE)
    chosen = {ours: config.get(theirs, default) for theirs, (default, ours) in _OPTIONS.items()}
    for name in ("patch", "window"):
        if isinstance(chosen[name], int):
            chosen[name] = (chosen[name],) * 3
    arch = config["arch"]
    if not isinstance(arch, str):
        ours = {"embed_dims": "width", "depths": "depths", "num_heads": "num_heads"}
        arch = {ours[name]: value for name, value in arch.items()}
    step = chosen["patch"][0]
    clip_frames = -(-data["frames"].shape[3] // step) * step
    return VideoSwinSettings(
        size=arch, freeze=False, drop_path=0, clip_frames=clip_frames, **chosen
    )


def maps(backbone: VideoSwin, images_NCFHW: Tensor) -> dict[str, Tensor]:
    """Outputs by the names of their modules."""
    modules: dict[str, nn.Module] = {"patch_embed": backbone.patches, "norm3": backbone.norm}
    for number, stage in enumerate(backbone.stages):
        for index, block in enumerate(stage.blocks):
            place = f"layers.{number}.blocks.{index}"
            modules[place] = block
            modules |= {f"{place}.{name}": child for name, child in block.named_children()}
        if stage.merge is not None:
            modules[f"layers.{number}.downsample"] = stage.merge
    with outputs_of(modules) as found:
        features = backbone.map(images_NCFHW, torch.arange(len(images_NCFHW)))
    found["patch_embed"] = rearrange(found["patch_embed"], "n t h w c -> n c t h w")
    for name, value in found.items():
        if name.endswith(".attn"):
            found[name] = value.flatten(0, 1)  # theirs has the windows of all clips in a row
    return {**found, "features": features}


_NETWORK = Network(settings, maps, tokens_of_map, {"spatial_type": "avg"})


def check_video_swin(data: Mapping[str, Any]) -> Checks:
    """The checks of a file's content."""
    yield from _NETWORK.check(data)
    if "relative_position_index" in data:
        found = relative_places(settings(data).window)
        yield Check("places in a window", largest(found, data["relative_position_index"]), 0)
