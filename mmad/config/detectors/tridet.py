"""Settings of TriDet, and those of its blocks, which DyFADet has too."""

from collections.abc import Iterator
from typing import Literal, Self

from pydantic import Field

from mmad.config.detectors.dense import DenseSettings

GROUPS_OF_CHANNELS = 16  # of the group norm of a block


class SGPSettings(DenseSettings):
    """A pyramid of scalable-granularity blocks."""

    num_embedding: int = Field(2, ge=0, description="convolutions before the blocks")
    num_stem: int = Field(
        2, ge=0, description="blocks at full resolution, with a narrow convolution of 1 step"
    )
    window: int = Field(
        1, ge=1, description="steps of a block's narrow convolution, odd (reference: 1 to 15)"
    )
    window_ratio: float = Field(
        5.0,
        ge=1,
        description=(
            "the wide convolution has (window + 1) times as many steps (reference: 1.2 to 5)"
        ),
    )
    hidden_channels: int = Field(
        768, ge=1, description="channels between a block's point-wise layers"
    )
    kernel_std: float = Field(
        0.1,
        ge=0,
        description=(
            "standard deviation of the initial weights of a block's convolutions; 0 keeps them at "
            "zero permanently (reference: 0 on THUMOS14 and EPIC-KITCHENS, 0.1 on HACS, 0.2 on "
            "ActivityNet)"
        ),
    )
    pool_sees_padding: bool = Field(
        False, description="max-pools, means and norms of blocks see padding (reference: true)"
    )
    input_noise: float = Field(
        0.0, ge=0, description="standard deviation of the noise on the features in training"
    )

    def tiny(self) -> Self:
        """32 channels everywhere."""
        return self.model_copy(update={"channels": 32, "hidden_channels": 32})

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        if self.channels % GROUPS_OF_CHANNELS:
            yield (
                f"channels {self.channels} is not a multiple of {GROUPS_OF_CHANNELS}, the groups "
                "of the norm of a block"
            )
        if self.window % 2 == 0:
            yield f"window: expected an odd number of steps, found {self.window}"


class TriDetSettings(SGPSettings):
    """TriDet: scalable-granularity blocks, and boundaries as distributions over steps."""

    name: Literal["tridet"] = "tridet"
    num_bins: int = Field(
        16, ge=1, description="maximum distance from a point to its boundaries, in strides"
    )
    iou_weight_power: float = Field(
        0.2, ge=0, description="power of the tIoU as a factor of the focal loss of positives"
    )
    iou_weight_gradient: bool = Field(
        True,
        description="the focal loss trains the boundaries via that factor (reference: true)",
    )
