"""Settings of inference: from the raw outputs of a detector to detections."""

from typing import Literal

from pydantic import Field

from mmad.config.base import Settings


class InferenceSettings(Settings):
    """Settings of candidates, suppression and voting."""

    score_threshold: float = Field(0.001, ge=0, le=1, description="candidates below it are dropped")
    max_candidates: int = Field(2000, ge=1, description="best candidates of a window before NMS")
    candidates_per_level: bool = Field(
        False, description="apply max_candidates to each level, as ActionFormer, not to a window"
    )
    min_length: float = Field(
        0.0, ge=0, description="minimum length of candidates in steps (ActionFormer: 0.05)"
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
    per_class: bool = Field(True, description="suppress within each class only")
    min_score: float = Field(
        0.001, ge=0, description="after Soft-NMS, detections below it are dropped"
    )
    keep_best: bool = Field(
        False,
        description="keep the best candidate of a class even below min_score (reference: true)",
    )
    max_detections: int = Field(
        200, ge=1, description="maximum detections of a video of one window"
    )
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
