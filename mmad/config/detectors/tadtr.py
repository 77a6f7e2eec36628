"""Settings of TadTR."""

from collections.abc import Iterator
from typing import Literal, Self

from pydantic import Field

from mmad.config.detectors.family import FamilySettings


class TadTRSettings(FamilySettings):
    """TadTR: queries that become segments, with deformable attention over time."""

    name: Literal["tadtr"] = "tadtr"
    channels: int = Field(256, ge=8, description="channels of encoder and decoder")
    num_groups: int = Field(32, ge=1, description="groups of the norm after the input projection")
    num_encoder_layers: int = Field(4, ge=0, description="layers over the steps")
    num_decoder_layers: int = Field(4, ge=1, description="layers over the queries")
    num_heads: int = Field(8, ge=1, description="attention heads")
    num_points: int = Field(4, ge=1, description="sampled places per head of a query")
    hidden_channels: int = Field(1024, ge=8, description="channels of the feed-forward networks")
    dropout: float = Field(0.1, ge=0, lt=1, description="rate of encoder and decoder")
    num_queries: int = Field(40, ge=1, description="maximum segments of a window")
    num_bins: int = Field(
        16, ge=1, description="steps to which a segment is pooled for its actionness"
    )
    extension: float = Field(
        0.25, ge=0, description="share of its width that is added on either side for that"
    )
    prior: float = Field(0.01, gt=0, lt=1, description="score of every class before training")
    offset_rate: float = Field(
        0.1,
        gt=0,
        le=1,
        description="learning rate of sampling offsets and first centres, relative to the rest",
    )

    class_cost: float = Field(6.0, ge=0, description="matching cost of the class")
    l1_cost: float = Field(5.0, ge=0, description="matching cost of centre and width")
    iou_cost: float = Field(2.0, ge=0, description="matching cost of the tIoU")
    class_weight: float = Field(2.0, ge=0, description="weight of the focal loss")
    l1_weight: float = Field(5.0, ge=0, description="weight of the loss of centre and width")
    iou_weight: float = Field(2.0, ge=0, description="weight of the tIoU loss")
    actionness_weight: float = Field(4.0, ge=0, description="weight of the actionness loss")
    focal_alpha: float = Field(
        0.25, ge=0, le=1, description="weight of positives in the focal loss"
    )
    focal_gamma: float = Field(2.0, ge=0, description="focus of the focal loss on hard queries")

    def tiny(self) -> Self:
        """One group and eight channels a head, one layer each."""
        return self.model_copy(
            update={
                "channels": 8 * self.num_heads,
                "num_groups": 1,
                "hidden_channels": 64,
                "num_encoder_layers": min(self.num_encoder_layers, 1),
                "num_decoder_layers": 1,
            }
        )

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        for name in ("num_heads", "num_groups"):
            if self.channels % getattr(self, name):
                yield (
                    f"channels {self.channels} is not a multiple of {name} {getattr(self, name)}"
                )
