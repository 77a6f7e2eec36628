"""TSN, TSM and TIN of mmaction2 as our settings and maps."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from einops import rearrange
from torch import Tensor

from mmad.config.backbones.resnet2d import ResNet2dSettings
from mmad.models.backbones.contract import tokens_of_map
from mmad.models.backbones.resnet2d.network import ResNet2d
from parity.common import Checks
from parity.networks import Network, check_options, outputs_of

_KNOWN = {"depth", "norm_eval", "num_segments", "shift_div", "is_shift", "shift_place"}
_KNOWN |= {"temporal_pool"}
_FIXED: Mapping[str, Any] = {
    # Options that we have in one form only.
    "in_channels": 3,
    "num_stages": 4,
    "out_indices": [3],
    "strides": [1, 2, 2, 2],
    "dilations": [1, 1, 1, 1],
    "style": "pytorch",
    "frozen_stages": -1,
    "partial_bn": False,
    "non_local": [0, 0, 0, 0],
    "is_tin": True,
    "conv_cfg": {"type": "Conv"},
}
# What decides no number once weights are loaded.
_IDLE = {"type", "pretrained", "pretrained2d", "torchvision_pretrain", "with_cp", "init_cfg"}
_IDLE |= {"norm_cfg", "act_cfg", "non_local_cfg"}


def check_resnet2d(data: Mapping[str, Any]) -> Checks:
    """The checks of a file's content."""
    return network_of(data).check(data)


def network_of(data: Mapping[str, Any]) -> Network:
    """How the network of a file is computed."""
    config, head = (data["config"][part] for part in ("backbone", "cls_head"))
    head_fixed = {
        "spatial_type": "avg",
        "consensus": {"type": "AvgConsensus", "dim": 1},
        "num_segments": config.get("num_segments", 8),
        "temporal_pool": config.get("temporal_pool", False),
        "is_shift": head.get("is_shift"),  # without temporal_pool it decides nothing
    }
    # The head of TSN takes the mean over all frames of an item, that of TSM over those of a clip.
    frames = None if head["type"] == "TSNHead" else head_fixed["num_segments"]
    return Network(
        settings,
        maps,
        tokens_of_map,
        head_fixed,
        clips=partial(clips, num_frames=frames),
        stored=lambda features: rearrange(features, "n c t h w -> (n t) c h w"),
    )


def settings(data: Mapping[str, Any]) -> ResNet2dSettings:
    """mmaction2's ResNet, ResNetTSM or ResNetTIN as our settings."""
    config = data["config"]["backbone"]
    check_options("2D ResNet", config, _KNOWN, _FIXED, _IDLE)
    temporal = {"ResNet": "none", "ResNetTSM": "shift", "ResNetTIN": "interlace"}[config["type"]]
    if not config.get("is_shift", True):
        temporal = "none"
    place = config.get("shift_place", "blockres")
    divisors = {"shift": 8, "interlace": 4}
    frames = data["frames"].shape[1] if config["type"] == "ResNet" else 8
    return ResNet2dSettings(
        freeze=False,
        depth=config["depth"],
        base_channels=data.get("base_width", 64),
        temporal=temporal,
        divisor=None if temporal == "none" else config.get("shift_div", divisors[temporal]),
        shift_place="branch" if temporal != "shift" or "blockres" in place else "block",
        pools_after_first_stage=config.get("temporal_pool", False),
        keep_statistics=config.get("norm_eval", False),
        clip_frames=config.get("num_segments", frames),
    )


def clips(frames: Tensor, *, num_frames: int | None) -> Tensor:
    """Frames (B, clips x F, 3, H, W) as clips of F frames; all of an item if there is no F."""
    return rearrange(frames, "b (n f) c h w -> (b n) c f h w", f=num_frames or frames.shape[1])


def gates_of(backbone: ResNet2d) -> AbstractContextManager[dict[str, Tensor]]:
    """What enters the sigmoid of the gates, by the names of their modules, while maps are made."""
    gates = {
        f"layer{stage + 1}.{block}.conv1.conv.fcce": own.exchange.gate.up
        for stage, blocks in enumerate(backbone.stages)
        for block, own in enumerate(blocks)
        if own.exchange is not None and own.exchange.gate is not None
    }
    return outputs_of(gates)


def maps(backbone: ResNet2d, images_NCFHW: Tensor) -> dict[str, Tensor]:
    """Outputs by the names of their modules; features as (N, C, T, h, w)."""
    exchanges = {
        f"layer{stage + 1}.{block}.conv1.conv.net1{part}": module
        for stage, blocks in enumerate(backbone.stages)
        for block, own in enumerate(blocks)
        if own.exchange is not None and own.exchange.movement is not None
        for part, name in (("", ""), (".offset_net", "offsets"), (".weight_net", "weights"))
        for movement in [own.exchange.movement]
        for module in [getattr(movement, name, None) if name else movement]
        if module is not None
    }
    names = ("conv1", "maxpool", "layer1", "layer2", "layer3", "layer4")
    with outputs_of(exchanges) as found:
        images_MCHW = rearrange(images_NCFHW, "n c f h w -> (n f) c h w")
        outputs = dict(zip(names, backbone.maps(images_MCHW), strict=True))
    found = {k: v[:, None] if k.endswith("offset_net") else v for k, v in found.items()}
    features = rearrange(outputs["layer4"], "(n t) c h w -> n c t h w", n=len(images_NCFHW))
    return {**found, **outputs, "features": features}
