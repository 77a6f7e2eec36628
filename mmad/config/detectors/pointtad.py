"""Settings of PointTAD. Lengths are in steps of the feature grid."""

from collections.abc import Iterator
from typing import Literal, Self

from pydantic import Field

from mmad.config.detectors.family import FamilySettings


class PointTADSettings(FamilySettings):
    """PointTAD: queries with learnable points; the defaults are those of the challenge's baseline
    for MMA-52.
    """

    name: Literal["pointtad"] = "pointtad"
    channels: int = Field(512, ge=8, description="channels of features and queries")
    num_queries: int = Field(24, ge=1, description="maximum segments of a window")
    num_points: int = Field(
        30, ge=2, description="points of a query; the first two thirds span its segment"
    )
    num_boundary_points: int = Field(
        4, ge=0, description="number of first points that have offsets of their own"
    )
    num_subpoints: int = Field(4, ge=1, description="sampled places around each point")
    num_layers: int = Field(2, ge=1, description="decoder layers, each of which moves the points")
    num_heads: int = Field(8, ge=1, description="heads of the attention among queries")
    hidden_channels: int = Field(2048, ge=1, description="channels of the feed-forward networks")
    dynamic_channels: int = Field(64, ge=1, description="bottleneck of the mixing over channels")
    dropout: float = Field(0.1, ge=0, lt=1, description="rate inside the decoder layers")

    class_cost: float = Field(10.0, ge=0, description="matching cost of the class probability")
    distance_cost: float = Field(5.0, ge=0, description="matching cost of centre and width")
    iou_cost: float = Field(5.0, ge=0, description="matching cost of the tIoU")
    class_weight: float = Field(1.0, ge=0, description="weight of the cross-entropy of queries")
    distance_weight: float = Field(5.0, ge=0, description="weight of the centre and width loss")
    iou_weight: float = Field(5.0, ge=0, description="weight of the tIoU loss")
    dense_weight: float = Field(10.0, ge=0, description="weight of the cross-entropy of steps")
    background_weight: float = Field(
        0.1, gt=0, le=1, description="weight of unmatched queries in the cross-entropy"
    )
    auxiliary_losses: bool = Field(True, description="losses also for the layers before the last")
    labels_per_query: int = Field(
        1, ge=1, description="best classes of a query that become candidates"
    )

    def tiny(self) -> Self:
        """Eight channels a head and few points."""
        return self.model_copy(
            update={
                "channels": 8 * self.num_heads,
                "hidden_channels": 32,
                "dynamic_channels": 8,
                "num_points": 6,
                "num_boundary_points": 2,
            }
        )

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        if self.channels % self.num_heads:
            yield f"channels {self.channels} is not a multiple of num_heads {self.num_heads}"
        if self.num_boundary_points > self.num_points:
            yield (
                f"num_boundary_points {self.num_boundary_points} is more than num_points "
                f"{self.num_points}"
            )
