"""I3D of mmaction2 as our settings and maps."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from mmad.config.backbones.i3d import I3DSettings
from mmad.models.backbones.contract import tokens_of_map
from mmad.models.backbones.i3d import network
from parity.networks import Network, check_options

_OPTIONS = {
    # Of mmaction2 1.1: its name and default, ours.
    "depth": (50, "depth"),
    "base_channels": (64, "base_channels"),
    "conv1_kernel": ((3, 7, 7), "stem_kernel"),
    "conv1_stride_t": (1, "stem_stride"),
    "pool1_stride_t": (1, "pool_stride"),
    "with_pool2": (True, "pools_after_first_stage"),
    "inflate": ((1, 1, 1, 1), "inflate"),
    "inflate_style": ("3x1x1", "inflate_style"),
    "norm_eval": (False, "keep_statistics"),
}
# Options of a 3D ResNet that we have in one form only.
FIXED: Mapping[str, Any] = {
    "in_channels": 3,
    "num_stages": 4,
    "stage_blocks": None,
    "out_indices": [3],
    "spatial_strides": [1, 2, 2, 2],
    "temporal_strides": [1, 1, 1, 1],
    "dilations": [1, 1, 1, 1],
    "conv1_stride_s": 2,
    "pool1_stride_s": 2,
    "with_pool1": True,
    "style": "pytorch",
    "frozen_stages": -1,
    "non_local": [0, 0, 0, 0],
    "conv_cfg": {"type": "Conv3d"},
}
# Those that decide no number once weights are loaded.
IDLE = {"type", "pretrained", "pretrained2d", "zero_init_residual", "with_cp", "init_cfg"}
IDLE |= {"norm_cfg", "act_cfg", "non_local_cfg"}


def settings(data: Mapping[str, Any]) -> I3DSettings:
    """mmaction2's ResNet3d as our settings; frames of a clip are rounded up to steps."""
    config = data["config"]["backbone"]
    check_options("I3D", config, _OPTIONS.keys(), FIXED, IDLE)
    chosen = {ours: config.get(theirs, default) for theirs, (default, ours) in _OPTIONS.items()}
    chosen["inflate"] = flags(chosen["inflate"])
    step = chosen["stem_stride"] * chosen["pool_stride"]
    step *= 2 if chosen["pools_after_first_stage"] else 1
    clip_frames = -(-data["frames"].shape[3] // step) * step
    return I3DSettings(freeze=False, clip_frames=clip_frames, **chosen)


def flags(inflate: Sequence[Any]) -> list[bool | list[bool]]:
    """Which stages, or blocks of stages, reach over time."""
    return [
        bool(stage) if isinstance(stage, int) else [flag == 1 for flag in stage]
        for stage in inflate
    ]


def maps(backbone: network.I3D, images_NCFHW: Tensor) -> dict[str, Tensor]:
    """Outputs by the names of their modules."""
    names = ["conv1", "maxpool", "layer1", "layer2", "layer3", "layer4"]
    if backbone.pools_after_first_stage:
        names.insert(3, "pool2")
    found = dict(zip(names, backbone.maps(images_NCFHW), strict=True))
    return {**found, "features": found["layer4"]}


I3D = Network(settings, maps, tokens_of_map, {"spatial_type": "avg"})
