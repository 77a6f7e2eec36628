"""UniFormer of mmaction2 as our settings and maps."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mmad.config.backbones.uniformer import UniFormerSettings
from mmad.models.backbones.contract import tokens_of_map
from mmad.models.backbones.uniformer.network import FRAMES_PER_STEP
from mmad.models.backbones.uniformer.network import UniFormer as OurUniFormer
from parity.networks import Network, check_options, outputs_of

# Of mmaction2 1.1: its name and default, ours.
_OPTIONS = {"mlp_ratio": (4.0, "mlp_ratio"), "qkv_bias": (True, "qkv_bias")}
_DIMENSIONS = {
    "depth": ((3, 4, 8, 3), "depths"),
    "embed_dim": ((64, 128, 320, 512), "widths"),
    "head_dim": (64, "head_width"),
}
# Options that we have in one form only.
_FIXED: Mapping[str, Any] = {"qk_scale": None, "in_chans": 3}
# What decides no number without dropout.
_IDLE = {"type", "img_size", "pretrained", "pretrained2d", "drop_rate", "attn_drop_rate"}
_IDLE |= {"drop_path_rate", "init_cfg", "clip_pretrained"}


def settings(data: Mapping[str, Any]) -> UniFormerSettings:
    """mmaction2's UniFormer as our settings; frames of a clip are rounded up to steps."""
    config = data["config"]["backbone"]
    check_options("UniFormer", config, {*_DIMENSIONS, *_OPTIONS}, _FIXED, _IDLE)
    size, chosen = (
        {ours: config.get(theirs, default) for theirs, (default, ours) in options.items()}
        for options in (_DIMENSIONS, _OPTIONS)
    )
    clip_frames = -(-data["frames"].shape[3] // FRAMES_PER_STEP) * FRAMES_PER_STEP
    return UniFormerSettings(
        size=size, freeze=False, drop_path=0, clip_frames=clip_frames, **chosen
    )


def maps(backbone: OurUniFormer, images_NCFHW: Tensor) -> dict[str, Tensor]:
    """Outputs by the names of their modules."""
    modules: dict[str, nn.Module] = {"norm": backbone.norm}
    for number, stage in enumerate(backbone.stages, start=1):
        modules[f"patch_embed{number}"] = stage.embed
        modules |= {f"blocks{number}.{index}": block for index, block in enumerate(stage.blocks)}
    with outputs_of(modules) as found:
        features = backbone.map(images_NCFHW, torch.arange(len(images_NCFHW)))
    return {**found, "features": features}


UNIFORMER = Network(settings, maps, tokens_of_map, {"spatial_type": "avg"})
