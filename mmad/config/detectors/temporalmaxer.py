"""Settings of TemporalMaxer."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from mmad.config.base import Settings
from mmad.config.detectors.dense import DenseSettings


class SimOTASettings(Settings):
    """Targets by cost: each annotation takes the points that predict it best."""

    name: Literal["simota"] = "simota"
    iou_weight: float = Field(2.0, ge=0, description="weight of the distance-IoU loss in the cost")
    class_weight: float = Field(
        1.0, ge=0, description="weight of the classification loss in the cost"
    )


class TemporalMaxerSettings(DenseSettings):
    """TemporalMaxer: max-pooling instead of attention; targets by SimOTA."""

    name: Literal["temporalmaxer"] = "temporalmaxer"
    num_embedding: int = Field(2, ge=0, description="convolutions before the blocks")
    assigner: SimOTASettings | None = Field(
        SimOTASettings(), description="null: centre sampling, as ActionFormer"
    )

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        if self.assigner is not None and not self.shortest_labels_only:
            yield (
                "shortest_labels_only false: with SimOTA a point has the label of its shortest "
                "annotation; set assigner=null, which is centre sampling"
            )
