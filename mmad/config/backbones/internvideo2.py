"""Settings of InternVideo2."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Discriminator, Field, Tag

from mmad.config.backbones.vit import CustomSize, ViTSettings, kind_of_size

InternVideo2Size = Annotated[
    Annotated[Literal["small", "base", "large", "1b", "6b"], Tag("published")]
    | Annotated[CustomSize, Tag("dimensions")],
    Discriminator(kind_of_size),
]


class InternVideo2Settings(ViTSettings):
    """InternVideo2: a transformer over all tokens of a clip, pooled by attention."""

    title: ClassVar[str] = "InternVideo2"
    sizes: ClassVar[Mapping[str, CustomSize]] = {
        "small": CustomSize(width=384, depth=12, num_heads=6, patch=14),
        "base": CustomSize(width=768, depth=12, num_heads=12, patch=14),
        "large": CustomSize(width=1024, depth=24, num_heads=16, patch=14),
        "1b": CustomSize(width=1408, depth=40, num_heads=16, patch=14, mlp_ratio=48 / 11),
        "6b": CustomSize(width=3200, depth=48, num_heads=25, patch=14),
    }

    name: Literal["internvideo2"] = "internvideo2"
    size: InternVideo2Size = Field("1b", description="published size, or custom dimensions")
    clip_frames: int = Field(8, ge=1, description="frames of a clip")
    tubelet_frames: int = Field(1, ge=1, description="frames that a token stands for")
    position_image_size: int = Field(
        224, ge=1, description="image size in pixels that the position tables were made for"
    )
    separate_positions: bool = Field(
        False, description="a position table of times and one of places, instead of one of both"
    )
    pooling: Literal["mean", "attention", "attention_mlp"] = Field(
        "mean",
        description=(
            "the vector of a clip: mean of its tokens; attention pooling, as in the fine-tuned "
            "networks; attention_mlp: with an MLP, as in those of attentive probing"
        ),
    )
    pooled_channels: int = Field(768, ge=1, description="attention pooling: channels of the vector")
    pool_heads: int = Field(16, ge=1, description="attention pooling: heads")
    pooled_norm: bool = Field(
        True, description="attention pooling: norm of the vector (fc_norm of fine-tuned weights)"
    )
    approximate_gelu: bool = Field(
        True,
        description=(
            "GELU by its tanh approximation, as in the fused kernels that the published weights "
            "were trained with; false: exact, as its code without them"
        ),
    )
    qkv_bias: bool = Field(False, description="queries, keys and values have a bias")
    qk_norm: bool = Field(True, description="norm of queries and keys")
    layer_scale: float | None = Field(
        1e-5, gt=0, description="initial scale of each residual branch; null: none"
    )

    @property
    def frames_per_step(self) -> int:
        """As in `BackboneFamilySettings`."""
        return self.tubelet_frames

    @property
    def norms_vectors(self) -> bool:
        """As in `BackboneFamilySettings`."""
        return self.pooling != "mean" and self.pooled_norm

    def problems_of_steps(self) -> Iterator[str]:
        """As in `BackboneFamilySettings`."""
        if self.pooling != "mean":
            yield (
                f"backbone.pooling {self.pooling} makes one vector of a clip, but a detector reads "
                "its steps; set backbone.pooling=mean"
            )

    def tiny(self) -> tuple[Self, int]:
        """Two blocks of 48 channels; images of four patches."""
        settings, side = super().tiny()
        update: dict[str, Any] = {"pooled_channels": 24, "pool_heads": 4}
        return settings.model_copy(update=update), side

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        size = self.dimensions
        if size.width % 16:
            yield (
                f"size.width {size.width} is not a multiple of 16, as the position tables of "
                "times, rows and columns need"
            )
        if self.pooling != "mean" and size.width % self.pool_heads:
            yield f"size.width {size.width} is not a multiple of pool_heads {self.pool_heads}"
        if self.position_image_size < size.patch:
            yield (
                f"position_image_size {self.position_image_size} is less than a patch of "
                f"{size.patch} pixels"
            )
