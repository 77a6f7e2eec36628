"""Registry of backbones: the family of each name in the settings."""

from collections.abc import Mapping
from contextlib import nullcontext

import torch

from mmad.config.backbones.union import BackboneSettings
from mmad.models.backbones.bn_inception.build import FAMILY as BN_INCEPTION
from mmad.models.backbones.c3d.build import FAMILY as C3D
from mmad.models.backbones.contract import Backbone, BackboneFamily
from mmad.models.backbones.i3d.build import FAMILY as I3D
from mmad.models.backbones.internvideo2.build import FAMILY as INTERNVIDEO2
from mmad.models.backbones.resnet2d.build import FAMILY as RESNET2D
from mmad.models.backbones.slowfast.build import FAMILY as SLOWFAST
from mmad.models.backbones.timesformer.build import FAMILY as TIMESFORMER
from mmad.models.backbones.umt.build import FAMILY as UMT
from mmad.models.backbones.uniformer.build import FAMILY as UNIFORMER
from mmad.models.backbones.video_swin.build import FAMILY as VIDEO_SWIN
from mmad.models.backbones.videomae.build import FAMILY as VIDEOMAE
from mmad.models.backbones.vjepa2.build import FAMILY as VJEPA2

# Weights of a file are those of the first family that they fit.
BACKBONES: Mapping[str, BackboneFamily] = {
    "videomae": VIDEOMAE,
    "umt": UMT,  # after the network whose names it has
    "internvideo2": INTERNVIDEO2,
    "vjepa2": VJEPA2,
    "resnet2d": RESNET2D,  # before networks that inflate its weights
    "i3d": I3D,
    "video_swin": VIDEO_SWIN,
    "uniformer": UNIFORMER,
    "slowfast": SLOWFAST,
    "timesformer": TIMESFORMER,
    "c3d": C3D,
    "bn_inception": BN_INCEPTION,
}


def build_backbone(settings: BackboneSettings, *, weights_follow: bool = False) -> Backbone:
    """The backbone with its adapters and random weights, its parameters frozen as the settings say.

    Args:
        settings: Settings of the backbone.
        weights_follow: The weights of the settings are loaded next. A large network then has no
            weights before, only their shapes (torch's meta device), except for its adapters: its
            memory is needed once, and no time for random numbers.

    Raises: ConfigError if an adapter is asked for in a block that does not exist.
    """
    family = BACKBONES[settings.name]
    # What may be missing in the file keeps its random start.
    is_whole = settings.pretrained is not None and not settings.pretrained_allow
    empty = weights_follow and is_whole and settings.is_large
    with torch.device("meta") if empty else nullcontext():
        backbone = family.build(settings)
    backbone.family = family
    return backbone
