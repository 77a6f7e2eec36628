"""SlowFast of mmaction2 as our settings and maps."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from mmad.config.backbones.slowfast import SlowFastSettings
from mmad.models.backbones.contract import ClipTokens
from mmad.models.backbones.slowfast.network import Maps, SlowFast, tokens_of_maps
from parity.i3d import FIXED, IDLE, flags
from parity.networks import Network, check_options, outputs_of, plain

_RATES = {
    # Of mmaction2 1.1: its name and default, ours.
    "resample_rate": (8, "slow_stride"),
    "speed_ratio": (8, "speed_ratio"),
    "channel_ratio": (8, "channel_ratio"),
}
_SLOW = {
    "depth": (50, "depth"),
    "base_channels": (64, "base_channels"),
    "conv1_kernel": ((3, 7, 7), "slow_stem_kernel"),
    "inflate": ((1, 1, 1, 1), "slow_inflate"),
    "inflate_style": ("3x1x1", "inflate_style"),
    "fusion_kernel": (5, "lateral_kernel"),
    "lateral_infl": (2, "lateral_ratio"),
    "lateral_norm": (False, "lateral_norm"),
    "norm_eval": (False, "keep_statistics"),
}
_FAST = {
    "depth": (50, "fast_depth"),
    "conv1_kernel": ((3, 7, 7), "fast_stem_kernel"),
    "inflate": ((1, 1, 1, 1), "fast_inflate"),
}
# What our paths have in one form only; no pooling in time is ever done here (`with_pool2`).
_FIXED = {
    **FIXED,
    "type": "resnet3d",
    "conv1_stride_t": 1,
    "pool1_stride_t": 1,
    "lateral_activate": [1, 1, 1, 1],
}
_IDLE = (IDLE - {"type"}) | {"with_pool2"}


def settings(data: Mapping[str, Any]) -> SlowFastSettings:
    """mmaction2's ResNet3dSlowFast as our settings; frames of a clip are rounded up to steps."""
    config = data["config"]["backbone"]
    slow, fast = config["slow_pathway"], config["fast_pathway"]
    check_options("SlowFast", config, _RATES.keys() | {"slow_pathway", "fast_pathway"}, {}, IDLE)
    chosen = {ours: config.get(theirs, default) for theirs, (default, ours) in _RATES.items()}
    # They give the two ratios to the slow path.
    rates = {name: chosen[name] for name in ("speed_ratio", "channel_ratio")}
    check_options("slow path", slow, _SLOW.keys(), {**_FIXED, **rates, "lateral": True}, _IDLE)
    chosen |= {ours: slow.get(theirs, default) for theirs, (default, ours) in _SLOW.items()}
    alike = {
        "base_channels": chosen["base_channels"] // chosen["channel_ratio"],
        "inflate_style": chosen["inflate_style"],
        "norm_eval": chosen["keep_statistics"],
        "lateral": False,
    }
    # What decides something only where there are connections.
    idle = _IDLE | {"fusion_kernel", "lateral_infl", "lateral_norm", *rates}
    check_options("fast path", fast, _FAST.keys(), {**_FIXED, **alike}, idle)
    chosen |= {ours: fast.get(theirs, default) for theirs, (default, ours) in _FAST.items()}
    for name in ("slow_inflate", "fast_inflate"):
        chosen[name] = flags(plain(chosen[name]))
    step = chosen["slow_stride"]
    clip_frames = -(-data["frames"].shape[3] // step) * step
    return SlowFastSettings(freeze=False, clip_frames=clip_frames, **chosen)


def maps(backbone: SlowFast, images_NCFHW: Tensor) -> dict[str, Any]:
    """Outputs by the names of their modules."""
    laterals = ("conv1_lateral", "layer1_lateral", "layer2_lateral", "layer3_lateral")
    modules = {
        f"slow_path.{name}": module
        for name, module in zip(laterals, backbone.laterals, strict=True)
    }
    with outputs_of(modules) as found:
        both = list(backbone.maps(images_NCFHW))
    names = ("conv1", "maxpool", "layer1", "layer2", "layer3", "layer4")
    for name, (slow, fast) in zip(names, both, strict=True):
        found |= {f"slow_path.{name}": slow, f"fast_path.{name}": fast}
    return {**found, "features": list(both[-1])}


def _tokens(features: Sequence[Tensor]) -> ClipTokens:
    return tokens_of_maps(Maps(*features))


SLOWFAST = Network(settings, maps, _tokens, {"spatial_type": "avg"})
