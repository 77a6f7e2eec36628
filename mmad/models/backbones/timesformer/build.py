"""TimeSformer with its adapters, from its settings."""

import re
from collections.abc import Mapping

from torch import Tensor

from mmad.config.backbones.timesformer import TimeSformerSettings
from mmad.models.backbones.build_adapters import adapters_in, add_adapters
from mmad.models.backbones.contract import BackboneFamily
from mmad.models.backbones.timesformer.naming import NAMINGS, OPTIONAL
from mmad.models.backbones.timesformer.network import TimeSformer


def _build(settings: TimeSformerSettings) -> TimeSformer:
    """The network with random weights."""
    backbone = TimeSformer(
        attention=settings.attention,
        width=settings.width,
        depth=settings.depth,
        num_heads=settings.num_heads,
        patch=settings.patch,
        mlp_ratio=settings.mlp_ratio,
        clip_frames=settings.clip_frames,
        position_image_size=settings.position_image_size,
        drop_path_rate=settings.drop_path,
    )
    backbone.requires_grad_(not settings.freeze)
    add_adapters(backbone, settings.adapter)
    return backbone


def _describe(tensors: Mapping[str, Tensor]) -> str:
    patches = tensors["patches.weight"]
    blocks = {name.split(".")[1] for name in tensors if name.startswith("blocks.")}
    divided = any(re.match(r"blocks\.\d+\.temporal\.", name) for name in tensors)
    kind = "attention divided over time and space" if divided else "one attention in each block"
    return (
        f"width {patches.shape[0]}, {len(blocks)} blocks, patches of {patches.shape[-1]} pixels, "
        f"{kind}{adapters_in(tensors)}"
    )


FAMILY = BackboneFamily("TimeSformer", _build, NAMINGS, OPTIONAL, _describe)
