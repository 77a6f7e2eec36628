"""UMT with its adapters, from its settings."""

from mmad.config.backbones.umt import UMTSettings
from mmad.models.backbones.build_plain_vit import build_plain_vit, describe_blocks
from mmad.models.backbones.contract import BackboneFamily
from mmad.models.backbones.plain_vit import PlainViT
from mmad.models.backbones.umt.naming import NAMINGS, OPTIONAL


def _build(settings: UMTSettings) -> PlainViT:
    return build_plain_vit(
        settings, tubelet_frames=settings.tubelet_frames, position_steps=settings.position_steps
    )


FAMILY = BackboneFamily("UMT", _build, NAMINGS, OPTIONAL, describe_blocks)
