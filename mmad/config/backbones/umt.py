"""Settings of UMT."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Discriminator, Field, Tag

from mmad.config.backbones.plain_vit import PlainViTSettings
from mmad.config.backbones.vit import CustomSize, kind_of_size

UMTSize = Annotated[
    Annotated[Literal["base", "large"], Tag("published")]
    | Annotated[CustomSize, Tag("dimensions")],
    Discriminator(kind_of_size),
]


class UMTSettings(PlainViTSettings):
    """UMT: the network of VideoMAE with a token for each frame, and a position table of its own."""

    title: ClassVar[str] = "UMT"
    sizes: ClassVar[Mapping[str, CustomSize]] = {
        "base": CustomSize(width=768, depth=12, num_heads=12),
        "large": CustomSize(width=1024, depth=24, num_heads=16),
    }

    name: Literal["umt"] = "umt"
    size: UMTSize = Field("large", description="published size, or custom dimensions")
    tubelet_frames: int = Field(1, ge=1, description="frames that a token stands for")
    position_steps: int | None = Field(
        8,
        ge=1,
        description=(
            "steps of a clip that the position table was made for, interpolated for others; null: "
            "as many as a clip has"
        ),
    )
    clip_frames: int = Field(8, ge=1, description="frames of a clip")
    final_norm: bool | Literal["pooled", "auto"] = Field(
        "pooled",
        description=(
            "layer norm after the last block: pooled for the pooled vector (fine-tuned weights), "
            "true for each token (self-supervised weights), auto for what the weights have"
        ),
    )

    @property
    def frames_per_step(self) -> int:
        """As in `BackboneFamilySettings`."""
        return self.tubelet_frames
