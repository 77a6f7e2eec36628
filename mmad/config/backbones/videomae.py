"""Settings of VideoMAE."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Discriminator, Field, Tag

from mmad.config.backbones.plain_vit import PlainViTSettings
from mmad.config.backbones.vit import CustomSize, kind_of_size

_TUBELET_FRAMES = 2

BackboneSize = Annotated[
    Annotated[Literal["small", "base", "large", "huge", "giant"], Tag("published")]
    | Annotated[CustomSize, Tag("dimensions")],
    Discriminator(kind_of_size),
]


class VideoMAESettings(PlainViTSettings):
    """VideoMAE and VideoMAE v2, with an adapter behind each of its blocks."""

    title: ClassVar[str] = "VideoMAE"
    sizes: ClassVar[Mapping[str, CustomSize]] = {
        "small": CustomSize(width=384, depth=12, num_heads=6),
        "base": CustomSize(width=768, depth=12, num_heads=12),
        "large": CustomSize(width=1024, depth=24, num_heads=16),
        "huge": CustomSize(width=1280, depth=32, num_heads=16),
        "giant": CustomSize(width=1408, depth=40, num_heads=16, patch=14, mlp_ratio=48 / 11),
    }

    name: Literal["videomae"] = "videomae"
    size: BackboneSize = Field(description="published size, or custom dimensions")

    @property
    def frames_per_step(self) -> int:
        """Frames of a tubelet."""
        return _TUBELET_FRAMES
