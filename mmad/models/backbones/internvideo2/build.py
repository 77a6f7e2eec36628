"""InternVideo2 with its adapters, from its settings."""

from collections.abc import Mapping

from torch import Tensor

from mmad.config.backbones.internvideo2 import InternVideo2Settings
from mmad.models.backbones.build_adapters import add_adapters
from mmad.models.backbones.build_plain_vit import describe_blocks
from mmad.models.backbones.contract import BackboneFamily
from mmad.models.backbones.internvideo2.naming import NAMINGS, OPTIONAL
from mmad.models.backbones.internvideo2.network import InternVideo2
from mmad.models.from_settings import from_settings


def _build(settings: InternVideo2Settings) -> InternVideo2:
    size = settings.dimensions
    backbone = from_settings(
        InternVideo2,
        settings,
        size,
        hidden=int(size.width * size.mlp_ratio),
        drop_path_rate=settings.drop_path,
    )
    backbone.requires_grad_(not settings.freeze)
    add_adapters(backbone, settings.adapter)
    return backbone


def _describe(tensors: Mapping[str, Tensor]) -> str:
    pooled = tensors.get("pool.proj.weight")
    return describe_blocks(tensors, patches="patches") + (
        "" if pooled is None else f", pooled by attention to {pooled.shape[0]} channels"
    )


FAMILY = BackboneFamily("InternVideo2", _build, NAMINGS, OPTIONAL, _describe)
