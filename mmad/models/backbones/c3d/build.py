"""C3D from its settings."""

from collections.abc import Mapping

from torch import Tensor

from mmad.config.backbones.c3d import C3DSettings
from mmad.models.backbones.c3d.naming import NAMINGS, OPTIONAL
from mmad.models.backbones.c3d.network import C3D
from mmad.models.backbones.contract import BackboneFamily


def _build(settings: C3DSettings) -> C3D:
    """The network with random weights; if frozen, it drops and averages nothing in training."""
    backbone = C3D(
        clip_frames=settings.clip_frames,
        image_hw=settings.image_hw,
        base_channels=settings.base_channels,
        hidden_channels=settings.hidden_channels,
        dropout=settings.dropout,
        norm=settings.norm,
        keep_statistics=settings.keep_statistics,
    )
    backbone.requires_grad_(not settings.freeze)
    return backbone.train()


def _describe(tensors: Mapping[str, Tensor]) -> str:
    channels = tensors["stages.0.0.conv.weight"].shape[0]
    hidden = tensors.get("fc6.weight")
    if hidden is None:
        return f"{channels} channels at first, without fully connected layers"
    return f"{channels} channels at first, {hidden.shape[0]} from {hidden.shape[1]} values at last"


FAMILY = BackboneFamily("C3D", _build, NAMINGS, OPTIONAL, _describe)
