"""UniFormer with its adapters, from its settings."""

from collections.abc import Mapping

from torch import Tensor

from mmad.config.backbones.uniformer import UniFormerSettings
from mmad.models.backbones.build_adapters import adapters_in, add_adapters
from mmad.models.backbones.contract import BackboneFamily
from mmad.models.backbones.uniformer.naming import NAMINGS, OPTIONAL
from mmad.models.backbones.uniformer.network import UniFormer


def _build(settings: UniFormerSettings) -> UniFormer:
    """The network with random weights; if frozen, it keeps its statistics in training too."""
    size = settings.dimensions
    backbone = UniFormer(
        widths=size.widths,
        depths=size.depths,
        head_width=size.head_width,
        clip_frames=settings.clip_frames,
        mlp_ratio=settings.mlp_ratio,
        qkv_bias=settings.qkv_bias,
        drop_path_rate=settings.drop_path,
        keep_statistics=settings.keep_statistics,
    )
    backbone.requires_grad_(not settings.freeze)
    add_adapters(backbone, settings.adapter)
    return backbone.train()


def _describe(tensors: Mapping[str, Tensor]) -> str:
    patches = tensors["stages.0.embed.proj.weight"]
    blocks = {tuple(name.split(".")[1:4]) for name in tensors if ".blocks." in name}
    kind = "of images, to be inflated" if patches.ndim == 4 else "of videos"
    return (
        f"{patches.shape[0]} channels in the first stage, {len(blocks)} blocks, {kind}"
        f"{adapters_in(tensors)}"
    )


FAMILY = BackboneFamily("UniFormer", _build, NAMINGS, OPTIONAL, _describe)
