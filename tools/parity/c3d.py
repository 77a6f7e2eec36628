"""C3D of mmaction2 as our settings and maps."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from mmad.config.backbones.c3d import C3DSettings
from mmad.models.backbones.c3d import network
from parity.networks import Network, check_options, outputs_of

# Options that we have in one form only.
_FIXED: Mapping[str, Any] = {
    "style": "pytorch",
    "conv_cfg": {"type": "Conv3d"},
    "act_cfg": {"type": "ReLU"},
}
# Those that decide no number once weights are loaded; files are made without dropout.
_IDLE = {"type", "pretrained", "dropout_ratio", "init_std", "init_cfg"}


def settings(data: Mapping[str, Any]) -> C3DSettings:
    """mmaction2's C3D as our settings; its widths, which no option tells, are those of weights."""
    config, weights = data["config"]["backbone"], data["state_dict"]
    check_options("C3D", config, {"norm_cfg", "out_dim"}, _FIXED, _IDLE)
    frames, height, width = data["frames"].shape[3:]
    return C3DSettings(
        freeze=False,
        clip_frames=frames,
        image_size=(height, width),
        base_channels=len(weights["backbone.conv1a.conv.weight"]),
        hidden_channels=len(weights["backbone.fc6.weight"]),
        dropout=0,
        norm=config.get("norm_cfg") is not None,
    )


def maps(backbone: network.C3D, images_NCFHW: Tensor) -> dict[str, Tensor]:
    """Outputs by the names of their modules."""
    modules = {"fc6": backbone.fc6}
    for number, stage in enumerate(backbone.stages, start=1):
        modules |= {
            f"conv{number}{letter}": conv for letter, conv in zip("ab", stage, strict=False)
        }
    with outputs_of(modules) as found:
        pooled = list(backbone.maps(images_NCFHW))
        vector = backbone.vector(pooled[-1])
    found |= {f"pool{number}": map_ for number, map_ in enumerate(pooled, start=1)}
    return {**found, "features": vector}


C3D = Network(settings, maps, network.token_of_vector, {"spatial_type": None})
