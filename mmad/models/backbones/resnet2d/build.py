"""2D ResNet from its settings."""

from collections.abc import Callable, Mapping
from functools import partial

from torch import Tensor, nn

from mmad.config.backbones.resnet2d import ResNet2dSettings
from mmad.models.backbones.contract import BackboneFamily
from mmad.models.backbones.resnet2d.naming import NAMINGS, OPTIONAL
from mmad.models.backbones.resnet2d.network import ResNet2d
from mmad.models.layers.temporal_exchange import TemporalInterlace, TemporalShift

_EXCHANGES: Mapping[str, Callable[..., nn.Module]] = {
    "none": nn.Identity,  # no block asks for one
    "shift": TemporalShift,
    "interlace": TemporalInterlace,
}


def _build(settings: ResNet2dSettings) -> ResNet2d:
    """The network with random weights; if frozen, it keeps its statistics in training too."""
    backbone = ResNet2d(
        clip_frames=settings.clip_frames,
        base_channels=settings.base_channels,
        bottleneck=settings.bottleneck,
        exchanging=settings.exchanging,
        exchange=partial(_EXCHANGES[settings.temporal], divisor=settings.moving_divisor),
        exchange_shortcut=settings.shift_place == "block",
        pools_after_first_stage=settings.pools_after_first_stage,
        keep_statistics=settings.keep_statistics,
    )
    backbone.requires_grad_(not settings.freeze)
    return backbone.train()


def _describe(tensors: Mapping[str, Tensor]) -> str:
    stem = tensors["stem.conv.weight"]
    blocks = {tuple(name.split(".")[1:3]) for name in tensors if name.startswith("stages.")}
    learned = any(".exchange." in name for name in tensors)
    between = ", with learned offsets between frames" if learned else ""
    return f"ResNet of {len(blocks)} blocks, {stem.shape[0]} channels in the stem{between}"


FAMILY = BackboneFamily("2D ResNet", _build, NAMINGS, OPTIONAL, _describe)
