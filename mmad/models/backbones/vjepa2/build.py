"""V-JEPA 2 with its adapters, from its settings."""

from collections.abc import Mapping

from torch import Tensor

from mmad.config.backbones.vjepa2 import TUBELET_FRAMES, VJEPA2Settings
from mmad.models.backbones.build_adapters import add_adapters
from mmad.models.backbones.build_plain_vit import describe_blocks
from mmad.models.backbones.contract import BackboneFamily
from mmad.models.backbones.vjepa2.naming import NAMINGS, OPTIONAL
from mmad.models.backbones.vjepa2.network import VJEPA2
from mmad.models.from_settings import from_settings


def _build(settings: VJEPA2Settings) -> VJEPA2:
    size = settings.dimensions
    backbone = from_settings(
        VJEPA2,
        settings,
        size,
        hidden=int(size.width * size.mlp_ratio),
        tubelet_frames=TUBELET_FRAMES,
        drop_path_rate=settings.drop_path,
    )
    backbone.requires_grad_(not settings.freeze)
    add_adapters(backbone, settings.adapter)
    return backbone


def _describe(tensors: Mapping[str, Tensor]) -> str:
    return describe_blocks(tensors, patches="patches")


FAMILY = BackboneFamily("V-JEPA 2", _build, NAMINGS, OPTIONAL, _describe)
