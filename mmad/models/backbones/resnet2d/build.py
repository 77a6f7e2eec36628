"""2D ResNet from its settings."""

from collections.abc import Callable, Mapping
from functools import partial

from torch import Tensor, nn

from mmad.config.backbones.resnet2d import ResNet2dSettings
from mmad.models.backbones.contract import BackboneFamily
from mmad.models.backbones.resnet2d.naming import NAMINGS, OPTIONAL
from mmad.models.backbones.resnet2d.network import ResNet2d
from mmad.models.layers.temporal_exchange import (
    Exchange,
    FrameGate,
    TemporalInterlace,
    TemporalShift,
)

_MOVEMENTS: Mapping[str, Callable[..., nn.Module]] = {
    "shift": TemporalShift,
    "interlace": TemporalInterlace,
}


def _exchange(channels: int, *, num_frames: int, settings: ResNet2dSettings) -> Exchange:
    movement = gate = None
    if settings.temporal != "none":
        movement = _MOVEMENTS[settings.temporal](
            channels, num_frames=num_frames, divisor=settings.moving_divisor
        )
    if settings.squeeze is not None:
        gate = FrameGate(channels, squeeze=settings.squeeze)
    return Exchange(channels, gate=gate, movement=movement, convolves=settings.convolves_exchanged)


def _build(settings: ResNet2dSettings) -> ResNet2d:
    """The network with random weights; if frozen, it keeps its statistics in training too."""
    backbone = ResNet2d(
        clip_frames=settings.clip_frames,
        stages=settings.stages,
        base_channels=settings.base_channels,
        bottleneck=settings.bottleneck,
        exchanging=settings.exchanging,
        exchange=partial(_exchange, settings=settings),
        exchange_shortcut=settings.shift_place == "block",
        pools_after_first_stage=settings.pools_after_first_stage,
        keep_statistics=settings.keep_statistics,
        flow_stack=settings.flow_stack,
    )
    backbone.requires_grad_(not settings.freeze)
    return backbone.train()


def _describe(tensors: Mapping[str, Tensor]) -> str:
    stem = tensors["stem.conv.weight"]
    blocks = {tuple(name.split(".")[1:3]) for name in tensors if name.startswith("stages.")}
    extras = {".exchange.gate.": "gates", ".exchange.movement.": "learned offsets between frames"}
    found = [what for part, what in extras.items() if any(part in name for name in tensors)]
    if stem.shape[1] != 3:
        found.append(f"{stem.shape[1]} channels of optical flow")
    more = f", with {' and '.join(found)}" if found else ""
    return f"ResNet of {len(blocks)} blocks, {stem.shape[0]} channels in the stem{more}"


FAMILY = BackboneFamily("2D ResNet", _build, NAMINGS, OPTIONAL, _describe)
