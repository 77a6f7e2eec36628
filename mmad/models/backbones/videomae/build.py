"""VideoMAE with its adapters, from its settings."""

from collections.abc import Mapping

from torch import Tensor

from mmad.config.backbones.videomae import VideoMAESettings
from mmad.models.backbones.build_adapters import blocks_with_adapter, build_adapter
from mmad.models.backbones.contract import BackboneFamily
from mmad.models.backbones.videomae.hugging_face import to_hugging_face
from mmad.models.backbones.videomae.naming import NAMINGS, OPTIONAL
from mmad.models.backbones.videomae.network import VideoMAE, VideoMAESize


def _build(settings: VideoMAESettings) -> VideoMAE:
    size = VideoMAESize(**settings.dimensions.model_dump())
    backbone = VideoMAE(
        size,
        clip_frames=settings.clip_frames,
        position_image_size=settings.position_image_size,
        learned_positions=settings.learned_positions,
        drop_path_rate=settings.drop_path,
        # `auto` is settled only once weights are loaded; without any, it means what pre-training
        # does.
        final_norm=settings.final_norm in (True, "auto"),
        pooled_norm=settings.final_norm == "pooled",
        activation_checkpointing=settings.activation_checkpointing,
    )
    backbone.requires_grad_(not settings.freeze)
    for block in blocks_with_adapter(settings.adapter, depth=size.depth):
        backbone.blocks[block].adapter = build_adapter(settings.adapter, width=size.width)
    return backbone


def _describe(tensors: Mapping[str, Tensor]) -> str:
    patches = tensors["patch_embed.proj.weight"]
    blocks = {name.split(".")[1] for name in tensors if name.startswith("blocks.")}
    adapted = any(".adapter." in name for name in tensors)
    return (
        f"width {patches.shape[0]}, {len(blocks)} blocks, patches of {patches.shape[-1]} pixels"
        + (", with adapters" if adapted else "")
    )


FAMILY = BackboneFamily("VideoMAE", _build, NAMINGS, OPTIONAL, _describe, to_hugging_face)
