"""Settings of every backbone, told apart by their name."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Discriminator, Tag, TypeAdapter, ValidationError

from mmad.config.backbones.bn_inception import BNInceptionSettings
from mmad.config.backbones.c3d import C3DSettings
from mmad.config.backbones.family import BackboneFamilySettings
from mmad.config.backbones.i3d import I3DSettings
from mmad.config.backbones.internvideo2 import InternVideo2Settings
from mmad.config.backbones.resnet2d import ResNet2dSettings
from mmad.config.backbones.slowfast import SlowFastSettings
from mmad.config.backbones.timesformer import TimeSformerSettings
from mmad.config.backbones.umt import UMTSettings
from mmad.config.backbones.uniformer import UniFormerSettings
from mmad.config.backbones.video_swin import VideoSwinSettings
from mmad.config.backbones.videomae import VideoMAESettings
from mmad.config.backbones.vjepa2 import VJEPA2Settings
from mmad.config.base import named

BackboneSettings = Annotated[
    Annotated[VideoMAESettings, Tag("videomae")]
    | Annotated[InternVideo2Settings, Tag("internvideo2")]
    | Annotated[UMTSettings, Tag("umt")]
    | Annotated[VJEPA2Settings, Tag("vjepa2")]
    | Annotated[I3DSettings, Tag("i3d")]
    | Annotated[ResNet2dSettings, Tag("resnet2d")]
    | Annotated[VideoSwinSettings, Tag("video_swin")]
    | Annotated[UniFormerSettings, Tag("uniformer")]
    | Annotated[SlowFastSettings, Tag("slowfast")]
    | Annotated[TimeSformerSettings, Tag("timesformer")]
    | Annotated[C3DSettings, Tag("c3d")]
    | Annotated[BNInceptionSettings, Tag("bn_inception")],
    Discriminator(named("videomae")),
]


def tiny_backbone() -> tuple[BackboneSettings, int]:
    """A minimal backbone with random weights, and an image side for it."""
    return VideoMAESettings(size="small").tiny()


def usual_backbone() -> BackboneSettings:
    """The backbone of commands that are given none: the smallest published one of the papers."""
    return VideoMAESettings(size="small")


_UNION: TypeAdapter[BackboneFamilySettings] = TypeAdapter(BackboneSettings)


def backbone_in(content: Mapping[str, Any]) -> BackboneFamilySettings | None:
    """The backbone in the settings of a run that are not checked yet; None if there is none, or it
    is wrong and will be refused.
    """
    try:
        return _UNION.validate_python(content.get("backbone"))
    except ValidationError:
        return None
