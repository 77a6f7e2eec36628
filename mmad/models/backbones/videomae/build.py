"""VideoMAE with its adapters, from its settings."""

from mmad.config.backbones.videomae import VideoMAESettings
from mmad.models.backbones.build_plain_vit import build_plain_vit, describe_blocks
from mmad.models.backbones.contract import BackboneFamily
from mmad.models.backbones.plain_vit import PlainViT
from mmad.models.backbones.videomae.hugging_face import hugging_face_names, to_hugging_face
from mmad.models.backbones.videomae.naming import NAMINGS, OPTIONAL


def _build(settings: VideoMAESettings) -> PlainViT:
    return build_plain_vit(settings, tubelet_frames=settings.frames_per_step)


FAMILY = BackboneFamily(
    "VideoMAE",
    _build,
    NAMINGS,
    OPTIONAL,
    describe_blocks,
    to_hugging_face,
    hugging_face_names,
)
