"""Settings of TimeSformer."""

from collections.abc import Iterator
from typing import Literal, Self

from pydantic import Field

from mmad.config.backbones.adapters import AdaptableSettings


class TimeSformerSettings(AdaptableSettings):
    """TimeSformer: an image transformer whose blocks also attend over the frames of a clip."""

    name: Literal["timesformer"] = "timesformer"
    attention: Literal["divided", "joint", "space"] = Field(
        "divided",
        description=(
            "divided: over time, then over a frame, in each block; joint: over all tokens of a "
            "clip; space: within frames only, which are averaged at the end"
        ),
    )
    width: int = Field(768, ge=1, description="channels of a token")
    depth: int = Field(12, ge=1, description="number of blocks")
    num_heads: int = Field(12, ge=1, description="attention heads")
    patch: int = Field(16, ge=1, description="side of a patch in pixels")
    mlp_ratio: float = Field(4.0, gt=0, description="hidden width of the MLPs / width")
    position_image_size: int = Field(
        224, ge=1, description="image size in pixels that the position table was made for"
    )
    drop_path: float = Field(0.1, ge=0, lt=1, description="rate at the last block")
    clip_frames: int = Field(8, ge=1, description="frames of a clip")

    @property
    def frames_per_step(self) -> int:
        """As in `BackboneFamilySettings`."""
        return 1

    @property
    def side_multiple(self) -> int:
        """Side of a patch."""
        return self.patch

    def tiny(self) -> tuple[Self, int]:
        """As in `BackboneFamilySettings`: two blocks of 16 channels; images of four patches."""
        update = {
            "width": 16,
            "depth": 2,
            "num_heads": 2,
            "pretrained": None,
            "adapter": self.adapter_of_all_blocks,
        }
        return self.model_copy(update=update), 2 * self.patch

    def summary(self) -> list[str]:
        """As in `BackboneFamilySettings`."""
        size = "" if (self.width, self.depth) == (768, 12) else f", width {self.width}"
        return [f"TimeSformer ({self.attention}{size})", *super().summary()]

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        if self.width % self.num_heads:
            yield f"width {self.width} is not a multiple of num_heads {self.num_heads}"
        if self.position_image_size < self.patch:
            yield (
                f"position_image_size {self.position_image_size} is less than a patch of "
                f"{self.patch} pixels"
            )
