"""Settings of MS-TCT: network, losses, and the decoder from frame-wise scores to segments."""

from collections.abc import Iterator
from typing import Literal, Self

from pydantic import Field

from mmad.config.detectors.family import FamilySettings


class MSTCTSettings(FamilySettings):
    """MS-TCT: frame-wise scores from a convolutional transformer at several resolutions."""

    name: Literal["mstct"] = "mstct"
    stage_channels: list[int] = Field(
        [256, 384, 576, 864],
        min_length=2,
        description="channels of each stage; each but the first halves the resolution",
    )
    num_blocks: int = Field(3, ge=1, description="blocks of a stage")
    num_heads: int = Field(8, ge=1, description="attention heads")
    mlp_ratio: float = Field(8.0, gt=0, description="hidden channels of a block over its channels")
    mixer_channels: int = Field(512, ge=1, description="channels of each stage in the mixer")
    input_dropout: float = Field(0.5, ge=0, lt=1, description="rate on the features")
    block_dropout: float = Field(0.0, ge=0, lt=1, description="rate inside the blocks")
    head_dropout: float = Field(0.5, ge=0, lt=1, description="rate before the class logits")

    classification_weight: float = Field(1.0, ge=0, description="weight of the frame-wise loss")
    heatmap_weight: float = Field(
        0.05, ge=0, description="weight of the loss of the centre heat-map"
    )
    heatmap_reach: float = Field(
        2.0, ge=0, description="radius of a centre's Gaussian over the length of its instance"
    )
    heatmap_sharpness: float = Field(
        4.0, gt=0, description="width of that radius on both sides over the Gaussian's sigma"
    )
    heatmap_focus: float = Field(
        2.0, ge=0, description="focus of the heat-map loss on hard entries"
    )
    heatmap_tolerance: float = Field(
        4.0, ge=0, description="reduction of the weight of entries near a centre"
    )

    lowest_level: float = Field(0.01, gt=0, lt=1, description="lowest threshold of probability")
    highest_level: float = Field(0.95, gt=0, lt=1, description="highest threshold of probability")
    num_levels: int = Field(16, ge=1, description="number of thresholds, evenly spaced as logits")
    max_gap: int = Field(1, ge=0, description="steps below a threshold that a segment may contain")
    contrast: float = Field(
        2.0, ge=0, description="power of 1 - (mean around / mean inside) in a segment's score"
    )
    margin: float = Field(
        0.25, ge=0, description="width of the context on each side of a segment over its length"
    )
    centre_weight: float = Field(
        0.0, ge=0, description="power of the heat-map in a segment's score; 0: not used"
    )

    def tiny(self) -> Self:
        """Four channels a head, one block a stage."""
        width = 4 * self.num_heads
        return self.model_copy(
            update={
                "stage_channels": [width] * len(self.stage_channels),
                "num_blocks": 1,
                "mlp_ratio": 1.0,
                "mixer_channels": 16,
            }
        )

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        for channels in self.stage_channels:
            if channels < 1 or channels % self.num_heads:
                yield (
                    f"stage_channels: {channels} is not a multiple of num_heads {self.num_heads}"
                )
        if self.lowest_level >= self.highest_level:
            yield (
                f"expected lowest_level < highest_level, found {self.lowest_level} and "
                f"{self.highest_level}"
            )
