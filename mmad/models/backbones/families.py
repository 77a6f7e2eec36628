"""Registry of backbones: the family of each name in the settings."""

from collections.abc import Mapping

from mmad.config.backbones.union import BackboneSettings
from mmad.models.backbones.contract import Backbone, BackboneFamily
from mmad.models.backbones.i3d.build import FAMILY as I3D
from mmad.models.backbones.videomae.build import FAMILY as VIDEOMAE

BACKBONES: Mapping[str, BackboneFamily] = {"videomae": VIDEOMAE, "i3d": I3D}


def build_backbone(settings: BackboneSettings) -> Backbone:
    """The backbone with its adapters and random weights, its parameters frozen as the settings say.

    Raises: ConfigError if an adapter is asked for in a block that does not exist.
    """
    family = BACKBONES[settings.name]
    backbone = family.build(settings)
    backbone.family = family
    return backbone
