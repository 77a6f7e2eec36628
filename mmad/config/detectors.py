"""Settings of the temporal detectors: network, targets and losses, decoding."""

from typing import Literal

from pydantic import Field, model_validator

from mmad.config.base import Settings


class ActionFormerSettings(Settings):
    """ActionFormer's pyramid and head. Lengths are in steps of the feature grid."""

    name: Literal["actionformer"] = "actionformer"
    channels: int = Field(512, ge=8, description="channels of pyramid and head")
    num_embedding: int = Field(3, ge=1, description="convolutions before the blocks")
    num_stem: int = Field(0, ge=0, description="blocks at full resolution")
    num_branch: int = Field(5, ge=0, description="blocks that halve the resolution")
    num_heads: int = Field(4, ge=1, description="attention heads")
    attention_window: int | None = Field(None, ge=3, description="steps a query sees; null for all")
    drop_path: float = Field(0.1, ge=0, lt=1, description="rate of every block")
    absolute_positions: bool = Field(
        False, description="add sinusoid positions after the embedding"
    )
    regression_ranges: list[tuple[float, float]] = Field(
        [(0, 4), (4, 8), (8, 16), (16, 32), (32, 64), (64, 10000)],
        description=(
            "of each level, on the longer distance from a point to the ends of its instance"
        ),
    )
    num_convs: int = Field(2, ge=0, description="convolutions in each tower of the head")
    prior: float = Field(0.01, gt=0, lt=1, description="score of every class before training")
    norm_eps: float = Field(
        1e-5, gt=0, description="epsilon of the norms of embedding, levels and head"
    )
    mask_after_norm: bool = Field(True, description="padding stays zero after norms (peers differ)")
    mask_levels: bool = Field(True, description="padding stays zero in each level (peers: false)")
    pool_sees_padding: bool = Field(
        False, description="max-pool shortcuts see padding (peers: true)"
    )
    mask_features: bool = Field(
        True, description="features beyond a video's end are zero (OpenTAD: false)"
    )

    centre_radius: float | None = Field(
        1.5, gt=0, description="strides; null: anywhere in the instance"
    )
    shortest_labels_only: bool = Field(
        True, description="class targets of the shortest instances at a point only"
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="share moved to a uniform guess")
    focal_alpha: float = Field(
        0.25, ge=0, le=1, description="weight of positives in the focal loss"
    )
    focal_gamma: float = Field(2.0, ge=0, description="focus of the focal loss on hard points")
    regression_weight: float = Field(1.0, ge=0, description="weight of the regression loss")
    normalizer: float = Field(
        100.0, gt=0, description="initial number of positives the losses are divided by"
    )
    normalizer_momentum: float = Field(0.9, ge=0, lt=1, description="of the running mean")

    @model_validator(mode="after")
    def _consistent(self) -> "ActionFormerSettings":
        if len(self.regression_ranges) != self.num_branch + 1:
            raise ValueError(
                f"regression_ranges: expected one for each of {self.num_branch + 1} levels "
                "(num_branch + 1), "
                f"found {len(self.regression_ranges)}"
            )
        if self.channels % self.num_heads:
            raise ValueError(
                f"channels {self.channels} is not a multiple of num_heads {self.num_heads}"
            )
        for low, high in self.regression_ranges:
            if not 0 <= low < high:
                raise ValueError(
                    f"regression_ranges: expected 0 <= low < high, found [{low}, {high}]"
                )
        return self


class InferenceSettings(Settings):
    """From raw predictions to detections."""

    score_threshold: float = Field(0.001, ge=0, le=1, description="candidates below it are dropped")
    max_candidates: int = Field(2000, ge=1, description="best candidates of a window before NMS")
    candidates_per_level: bool = Field(
        False, description="max_candidates of each level, as ActionFormer, not of a window"
    )
    min_length: float = Field(
        0.0, ge=0, description="steps; shorter candidates are dropped (ActionFormer: 0.05)"
    )
    round_seconds: float | None = Field(
        None, gt=0, description="round times to a multiple before and after NMS (OpenTAD: 0.01)"
    )
    round_scores: float | None = Field(
        None, gt=0, description="round scores to a multiple before and after NMS (OpenTAD: 0.0001)"
    )
    nms: Literal["soft_gaussian", "soft_gaussian_by_length", "soft_linear", "soft_hard", "hard"] = (
        Field("soft_gaussian", description="kind of suppression")
    )
    sigma: float = Field(0.5, gt=0, description="width of Gaussian Soft-NMS")
    iou_threshold: float = Field(0.5, ge=0, le=1, description="tIoU of hard and linear NMS")
    per_class: bool = Field(True, description="suppress inside each class only")
    min_score: float = Field(
        0.001, ge=0, description="after Soft-NMS, detections below it are dropped"
    )
    keep_best: bool = Field(
        False, description="keep the best candidate of a class even below min_score (peers: true)"
    )
    max_detections: int = Field(200, ge=1, description="most detections of a video of one window")
    voting_threshold: float | None = Field(
        None,
        gt=0,
        le=1,
        description="average boundaries of candidates with this tIoU; null: no voting",
    )
    voting_weight: Literal["score_iou", "score"] = Field(
        "score_iou", description="weight of a vote (OpenTAD: score)"
    )
    batch_windows: int = Field(2, ge=1, description="windows in a batch")
