"""Settings of C3D."""

from collections.abc import Iterator
from typing import Literal, Self

from pydantic import Field

from mmad.config.backbones.family import BackboneFamilySettings, StatisticsSettings
from mmad.config.data import ImageSize

# Images of this side are small enough for a trial.
_TINY_SIDE = 32


class C3DSettings(BackboneFamilySettings):
    """C3D: 3x3x3 convolutions, and two fully connected layers that make one vector of a clip."""

    name: Literal["c3d"] = "c3d"
    image_size: ImageSize = Field(
        112,
        description=(
            "side of the images in pixels, or [height, width], on which the first fully connected "
            "layer depends; the same as data.image_size"
        ),
    )
    base_channels: int = Field(
        64,
        ge=1,
        description="channels of the first convolution; the last four have eight times as many",
    )
    hidden_channels: int = Field(4096, ge=1, description="channels of the fully connected layers")
    dropout: float = Field(
        0.5,
        ge=0,
        lt=1,
        description="dropout rate between the fully connected layers, if they are trained",
    )
    norm: bool = Field(False, description="batch norms instead of the biases of convolutions")
    keep_statistics: bool = Field(
        False,
        description=(
            "batch norms keep their stored statistics while the network is fine-tuned; frozen ones "
            "always do"
        ),
    )
    clip_frames: int = Field(16, ge=16, description="frames of a clip")
    statistics: StatisticsSettings = Field(
        "sports1m", description="mean and standard deviation of colours that the weights expect"
    )

    @property
    def frames_per_step(self) -> int:
        """As in `BackboneFamilySettings`."""
        return self.clip_frames

    @property
    def side_multiple(self) -> int:
        """As in `BackboneFamilySettings`."""
        return 1

    @property
    def image_hw(self) -> tuple[int, int]:
        """Height and width of the images in pixels."""
        size = self.image_size
        return (size, size) if isinstance(size, int) else size

    def tiny(self) -> tuple[Self, int]:
        """As in `BackboneFamilySettings`: few channels, small images."""
        few = {"base_channels": 4, "hidden_channels": 16, "image_size": _TINY_SIDE}
        return self.model_copy(update={**few, "pretrained": None}), _TINY_SIDE

    def summary(self) -> list[str]:
        """As in `BackboneFamilySettings`."""
        height, width = self.image_hw
        channels = "" if self.base_channels == 64 else f", {self.base_channels} channels at first"
        return [f"C3D ({height}x{width} pixels{channels})"]

    def problems_of_images(self, image_hw: tuple[int, int]) -> Iterator[str]:
        """As in `BackboneFamilySettings`: only one size fits the fully connected layer."""
        if tuple(image_hw) != self.image_hw:
            given, own = (f"[{height}, {width}]" for height, width in (image_hw, self.image_hw))
            yield (
                f"data.image_size {given} is not backbone.image_size {own}; backbone c3d takes "
                "images of one size only, so set both to the same"
            )
