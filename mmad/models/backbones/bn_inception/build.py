"""BN-Inception from its settings."""

from collections.abc import Mapping

from torch import Tensor

from mmad.config.backbones.bn_inception import BNInceptionSettings
from mmad.models.backbones.bn_inception.naming import NAMINGS, OPTIONAL
from mmad.models.backbones.bn_inception.network import BNInception
from mmad.models.backbones.contract import BackboneFamily


def _build(settings: BNInceptionSettings) -> BNInception:
    """The network with random weights; if frozen, it keeps its statistics in training too."""
    backbone = BNInception(
        clip_frames=settings.clip_frames,
        base_channels=settings.base_channels,
        divisor=settings.divisor if settings.temporal == "shift" else None,
        keep_statistics=settings.keep_statistics,
        flow_stack=settings.flow_stack,
    )
    backbone.requires_grad_(not settings.freeze)
    return backbone.train()


def _describe(tensors: Mapping[str, Tensor]) -> str:
    stem = tensors["stem.conv.weight"]
    units = {name.split(".")[1] for name in tensors if name.startswith("units.")}
    flow = "" if stem.shape[1] == 3 else f", {stem.shape[1]} channels of optical flow"
    return f"BN-Inception of {len(units)} units, {stem.shape[0]} channels in the stem{flow}"


FAMILY = BackboneFamily("BN-Inception", _build, NAMINGS, OPTIONAL, _describe)
