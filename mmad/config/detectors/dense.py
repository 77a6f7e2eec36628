"""Common settings of dense detectors. Lengths are in steps of the feature grid."""

from collections.abc import Iterator
from typing import Self

from pydantic import Field

from mmad.config.detectors.family import FamilySettings


class DenseSettings(FamilySettings):
    """A pyramid with predictions at every point, with any kind of blocks."""

    channels: int = Field(512, ge=8, description="channels of pyramid and head")
    num_embedding: int = Field(3, ge=0, description="convolutions before the blocks")
    num_stem: int = Field(0, ge=0, description="blocks at full resolution")
    num_branch: int = Field(5, ge=0, description="blocks that halve the resolution")
    drop_path: float = Field(0.1, ge=0, lt=1, description="rate of every block")
    absolute_positions: bool = Field(
        False, description="add sinusoid positions after the embedding"
    )
    regression_ranges: list[tuple[float, float]] = Field(
        [(0, 4), (4, 8), (8, 16), (16, 32), (32, 64), (64, 10000)],
        description=(
            "range of each level for the longer distance from a point to the ends of its instance"
        ),
    )
    num_convs: int = Field(2, ge=0, description="convolutions in each tower of the head")
    prior: float = Field(0.01, gt=0, lt=1, description="score of every class before training")
    regression_bias: float = Field(
        1.0,
        ge=0,
        description=(
            "bias before the ReLU of the distances when training starts, in strides of a level; "
            "with 0, as in the reference implementations, some may never be learnt"
        ),
    )
    norm_eps: float = Field(
        1e-5, gt=0, description="epsilon of the norms of embedding, levels and head"
    )
    mask_after_norm: bool = Field(
        True, description="padding stays zero after norms (ActionFormer: false)"
    )
    mask_levels: bool = Field(
        True, description="padding stays zero in each level (reference: false)"
    )
    pool_sees_padding: bool = Field(
        False, description="max-pool shortcuts see padding (reference: true)"
    )

    centre_radius: float | None = Field(
        1.5, gt=0, description="radius of centre sampling in strides; null: the whole instance"
    )
    shortest_labels_only: bool = Field(
        True, description="class targets of only the shortest instances at a point"
    )
    class_offsets: bool = Field(
        False,
        description=(
            "two offsets for each class, and at each point an instance for each class, not the "
            "shortest of all"
        ),
    )
    body_head: bool = Field(
        False, description="score = P(body part) P(action | body part); needs labels with parts"
    )
    body_weight: float = Field(1.0, ge=0, description="body_head: weight of its own focal loss")
    background_cap: float | None = Field(
        None,
        gt=0,
        description=(
            "points without a class count in the focal loss as at most this many times those of "
            "the most frequent class; null: all"
        ),
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="share moved to a uniform distribution"
    )
    focal_alpha: float = Field(
        0.25, ge=0, le=1, description="weight of positives in the focal loss"
    )
    focal_gamma: float = Field(2.0, ge=0, description="focus of the focal loss on hard points")
    regression_weight: float = Field(1.0, ge=0, description="weight of the regression loss")
    normalizer: float = Field(
        100.0, gt=0, description="initial number of positives that losses are divided by"
    )
    normalizer_momentum: float = Field(0.9, ge=0, lt=1, description="momentum of its running mean")

    def tiny(self) -> Self:
        """32 channels."""
        return self.model_copy(update={"channels": 32})

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        if len(self.regression_ranges) != self.num_branch + 1:
            yield (
                f"regression_ranges: expected one for each of {self.num_branch + 1} levels "
                "(num_branch + 1), "
                f"found {len(self.regression_ranges)}"
            )
        if self.class_offsets and self.shortest_labels_only:
            yield (
                "class_offsets: a point needs instances of several classes; set "
                "shortest_labels_only=false"
            )
        if self.body_weight != 1 and not self.body_head:
            yield f"body_weight {self.body_weight:g} needs the body-level head; set body_head=true"
        for low, high in self.regression_ranges:
            if not 0 <= low < high:
                yield f"regression_ranges: expected 0 <= low < high, found [{low}, {high}]"
