"""SlowFast from its settings."""

from collections.abc import Mapping

from torch import Tensor

from mmad.config.backbones.slowfast import SlowFastSettings
from mmad.models.backbones.contract import BackboneFamily
from mmad.models.backbones.slowfast.naming import NAMINGS, OPTIONAL
from mmad.models.backbones.slowfast.network import Lateral, Path, SlowFast, channels_of_paths


def _build(settings: SlowFastSettings) -> SlowFast:
    """The network with random weights; if frozen, it keeps its statistics in training too."""
    (slow_bottleneck, fast_bottleneck), (slow_flags, fast_flags) = (
        settings.bottlenecks,
        settings.inflated,
    )
    fast_channels, channels = channels_of_paths(
        settings.base_channels,
        channel_ratio=settings.channel_ratio,
        bottleneck=slow_bottleneck,
        num_stages=len(slow_flags),
    )
    added = [settings.lateral_ratio * count for count in fast_channels]
    slow = Path(
        base_channels=settings.base_channels,
        added=added,
        stem_kernel=settings.slow_stem_kernel,
        bottleneck=slow_bottleneck,
        inflate=slow_flags,
        inflate_style=settings.inflate_style,
        keep_statistics=settings.keep_statistics,
    )
    fast = Path(
        base_channels=fast_channels[0],
        added=[0] * len(added),
        stem_kernel=settings.fast_stem_kernel,
        bottleneck=fast_bottleneck,
        inflate=fast_flags,
        inflate_style=settings.inflate_style,
        keep_statistics=settings.keep_statistics,
    )
    laterals = [
        Lateral(
            count,
            more,
            kernel=settings.lateral_kernel,
            stride=settings.speed_ratio,
            norm=settings.lateral_norm,
            keep_statistics=settings.keep_statistics,
        )
        for count, more in zip(fast_channels, added, strict=True)
    ]
    backbone = SlowFast(
        clip_frames=settings.clip_frames,
        slow=slow,
        fast=fast,
        laterals=laterals,
        channels=channels,
        slow_stride=settings.slow_stride,
        fast_stride=settings.slow_stride // settings.speed_ratio,
        reversible=settings.reversible,
        activations=settings.activations,
    )
    backbone.requires_grad_(not settings.freeze)
    return backbone.train()


def _describe(tensors: Mapping[str, Tensor]) -> str:
    def blocks(path: str) -> int:
        prefix = f"{path}.stages."
        return len({tuple(n.split(".")[2:4]) for n in tensors if n.startswith(prefix)})

    slow = f"slow ResNet of {blocks('slow')} blocks"
    channels = tensors["slow.stem.conv.weight"].shape[0]
    if "fast.stem.conv.weight" not in tensors:
        return f"{slow}, {channels} channels in the stem, 2D, to be inflated; no fast path"
    fast = tensors["fast.stem.conv.weight"].shape[0]
    return f"{slow}, fast one of {blocks('fast')}, {channels} and {fast} channels in the stems"


FAMILY = BackboneFamily("SlowFast", _build, NAMINGS, OPTIONAL, _describe)
