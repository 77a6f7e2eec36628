"""Reversible Video Swin and SlowFast of Re2TAL, in OpenTAD's code, as our settings and maps.

Files have no head: gradients are those of a probe of the features, in evaluation mode. They are
checked with activations recomputed from outputs, and with all kept.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from mmad.config.backbones.slowfast import SlowFastSettings
from mmad.config.backbones.video_swin import VideoSwinSettings
from mmad.models.backbones.families import build_backbone
from mmad.models.backbones.video_swin.network import VideoSwin
from mmad.weights.load import fill_backbone
from parity import slowfast, video_swin
from parity.common import Check, Checks, as_file, largest
from parity.networks import (
    LOSS,
    by_their_names,
    check_gradients,
    check_maps,
    check_weights,
    normalised,
    outputs_of,
)

_ARCH = ("depths", "num_heads")
# Where activations come from decides no number.
_IDLE = {"pretrain_type", "inv_mode", "use_checkpoint"}
_REVERSIBLE = {"reversible": True}


def swin_settings(data: Mapping[str, Any]) -> VideoSwinSettings:
    """OpenTAD's SwinTransformer3D_inv as our settings."""
    config = _without_idle(data["config"])
    arch = {"embed_dims": config.pop("embed_dim"), **{name: config.pop(name) for name in _ARCH}}
    config |= {"in_channels": config.pop("in_chans", 3), "arch": arch}
    return video_swin.settings(_like_mmaction(data, config)).model_copy(update=_REVERSIBLE)


def slowfast_settings(data: Mapping[str, Any]) -> SlowFastSettings:
    """OpenTAD's ResNet3dSlowFast_inv as our settings."""
    config = _without_idle(data["config"])
    config |= {name: _without_idle(config[name]) for name in ("slow_pathway", "fast_pathway")}
    return slowfast.settings(_like_mmaction(data, config)).model_copy(update=_REVERSIBLE)


def _without_idle(config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if name not in _IDLE}


def _like_mmaction(data: Mapping[str, Any], backbone: Mapping[str, Any]) -> dict[str, Any]:
    """The file with its network as a part of the config, and one clip for each video."""
    frames = data["frames"][:, None]
    return {**data, "config": {"backbone": backbone}, "frames": frames}


def swin_maps(backbone: VideoSwin, images_NCFHW: Tensor) -> dict[str, Any]:
    """Outputs by the names of their modules, those of stages with channels first."""
    stages = {f"layers.{number}": stage for number, stage in enumerate(backbone.stages)}
    with outputs_of(stages) as found:
        others = video_swin.maps(backbone, images_NCFHW)
    by_stage = {name: rearrange(x, "n t h w c -> n c t h w") for name, x in found.items()}
    return {**others, **by_stage}


@dataclass(frozen=True)
class Reversible:
    """How a network of Re2TAL is computed by ours; as in `parity.networks.Network`."""

    settings: Callable[[Mapping[str, Any]], Any]
    maps: Callable[[Any, Tensor], Mapping[str, Any]]

    def check(self, data: Mapping[str, Any]) -> Checks:
        """The checks of a file's content."""
        backbone = build_backbone(self.settings(data)).eval()
        weights = {
            name: value.float() if value.is_floating_point() else value
            for name, value in data["state_dict"].items()
        }
        report = fill_backbone(backbone, as_file(weights))
        yield from check_weights(backbone, report, len(weights))
        images = normalised(data, data["frames"])
        with torch.no_grad():
            yield from check_maps(self.maps(backbone, images), data)
        ours = by_their_names(backbone, weights)
        for activations in ("from_output", "from_inputs", "kept"):
            backbone.activations = activations
            backbone.zero_grad()
            images = images.detach().requires_grad_()
            for check in self._check_gradients(backbone, images, ours, data):
                name = check.name.removeprefix("training: ")
                yield replace(check, name=f"activations {activations}: {name}")

    def _check_gradients(
        self, backbone: Any, images: Tensor, ours: Mapping[str, Tensor], data: Mapping[str, Any]
    ) -> Checks:
        features = self.maps(backbone, images)["features"]
        features = [features] if isinstance(features, Tensor) else features
        pairs = zip(features, data["probes"], strict=True)
        loss = sum((feature * probe).mean() for feature, probe in pairs)
        yield Check("loss of the probe", largest(loss, data["probe_loss"], relative=True), LOSS)
        loss.backward()
        assert images.grad is not None
        yield from check_gradients(ours, images.grad, data)


RE2TAL_SWIN = Reversible(swin_settings, swin_maps)
RE2TAL_SLOWFAST = Reversible(slowfast_settings, slowfast.maps)
