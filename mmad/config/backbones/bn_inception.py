"""Settings of BN-Inception on frames: TSN and TSM before ResNets."""

from collections.abc import Iterator
from typing import Literal, Self

from pydantic import Field

from mmad.config.backbones.family import StatisticsSettings
from mmad.config.backbones.frames import FrameNetworkSettings
from mmad.config.backbones.resnet import SIDE_STRIDE, STAGES

# All widths of the network are multiples of 32 where the stem has 64 channels.
_LEAST_CHANNELS = 2


class BNInceptionSettings(FrameNetworkSettings):
    """BN-Inception on the frames of a clip, which may shift channels between them."""

    name: Literal["bn_inception"] = "bn_inception"
    base_channels: int = Field(
        64, ge=2, description="channels of the stem, an even number; all widths are in proportion"
    )
    temporal: Literal["none", "shift"] = Field(
        "none",
        description=(
            "what units see of other frames. none: nothing (TSN); shift: channels of the next and "
            "the previous frame (TSM)"
        ),
    )
    divisor: int = Field(8, ge=2, description="channels / channels that are shifted each way")
    statistics: StatisticsSettings = Field(
        "caffe", description="mean and standard deviation of colours that the weights expect"
    )

    @property
    def frames_per_step(self) -> int:
        """As in `BackboneFamilySettings`."""
        return 1

    @property
    def stages(self) -> tuple[str, ...]:
        """As in `BackboneFamilySettings`."""
        return STAGES

    def tiny(self) -> tuple[Self, int]:
        """As in `BackboneFamilySettings`: the fewest channels, or that can be shifted."""
        few = self.divisor if self.temporal == "shift" else _LEAST_CHANNELS
        channels = few + few % 2
        few_channels = {"base_channels": channels, "pretrained": None}
        return self.model_copy(update=few_channels), 2 * SIDE_STRIDE

    def summary(self) -> list[str]:
        """As in `BackboneFamilySettings`."""
        width = "" if self.base_channels == 64 else f", {self.base_channels} channels in the stem"
        title = "TSN" if self.temporal == "none" else "TSM"
        return [f"{title} (BN-Inception{width}{self.flow_summary})"]

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        if self.base_channels % 2:
            yield f"base_channels {self.base_channels}: expected an even number"
        if self.temporal == "shift" and self.base_channels < self.divisor:
            yield (
                f"temporal shift moves none of base_channels {self.base_channels} with divisor "
                f"{self.divisor}; set a smaller divisor, or more channels"
            )
