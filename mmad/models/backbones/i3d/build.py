"""I3D from its settings."""

from collections.abc import Mapping

from torch import Tensor

from mmad.config.backbones.i3d import I3DSettings
from mmad.models.backbones.contract import BackboneFamily
from mmad.models.backbones.i3d.naming import NAMINGS, OPTIONAL
from mmad.models.backbones.i3d.network import I3D


def _build(settings: I3DSettings) -> I3D:
    """The network with random weights; if frozen, it keeps its statistics in training too."""
    backbone = I3D(
        clip_frames=settings.clip_frames,
        base_channels=settings.base_channels,
        bottleneck=settings.bottleneck,
        inflate=settings.inflated,
        inflate_style=settings.inflate_style,
        stem_kernel=settings.stem_kernel,
        stem_stride=settings.stem_stride,
        pool_stride=settings.pool_stride,
        pools_after_first_stage=settings.pools_after_first_stage,
        keep_statistics=settings.keep_statistics,
    )
    backbone.requires_grad_(not settings.freeze)
    return backbone.train()


def _describe(tensors: Mapping[str, Tensor]) -> str:
    stem = tensors["stem.conv.weight"]
    blocks = {tuple(name.split(".")[1:3]) for name in tensors if name.startswith("stages.")}
    kind = "2D, to be inflated" if stem.ndim == 4 else "inflated"
    return f"ResNet of {len(blocks)} blocks, {stem.shape[0]} channels in the stem, {kind}"


FAMILY = BackboneFamily("I3D", _build, NAMINGS, OPTIONAL, _describe)
