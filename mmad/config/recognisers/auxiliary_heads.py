"""Settings of the primary and auxiliary heads, and of their losses."""

from typing import Literal

from pydantic import Field

from mmad.config.base import Settings
from mmad.config.recognisers.family import RecogniserFamilySettings


class AuxiliaryHeadsSettings(RecogniserFamilySettings):
    """A primary head and up to three auxiliary ones, each a linear layer or ArcFace."""

    name: Literal["auxiliary_heads"] = "auxiliary_heads"
    norm: bool = Field(
        False, description="layer norm of the pooled vector, for a backbone without one"
    )
    classifier: Literal["arcface", "linear"] = Field(
        "arcface",
        description="classifier of primary and coarse head (released_timesformer: linear)",
    )
    frame_classifier: Literal["arcface", "linear"] = Field(
        "arcface", description="classifier of both frame heads (released: linear)"
    )
    scale: float = Field(30.0, gt=0, description="ArcFace: scale of the cosines")
    margin: float = Field(0.5, ge=0, lt=1.57, description="ArcFace: margin in radians")
    dropout: float = Field(0.5, ge=0, lt=1, description="rate before primary and coarse classifier")
    frame: bool = Field(True, description="auxiliary head: the action at each step")
    coarse: bool = Field(True, description="auxiliary head: the body part")
    frame_coarse: bool = Field(True, description="auxiliary head: the body part at each step")
    squeeze: int = Field(16, ge=1, description="frame heads: width / width of the gate")
    shared_gate: bool = Field(True, description="both frame heads share a gate (released: false)")
    gate: Literal["multiply", "replace"] = Field(
        "multiply", description="the gate scales the features, or replaces them (released)"
    )
    frame_rows: Literal["frames", "channel_groups"] = Field(
        "frames",
        description="a row of a frame head is a step, or a group of channels (released)",
    )
    margin_on: Literal["target", "all"] = Field(
        "target", description="margin on the target in training, or on all, always (released)"
    )

    @property
    def norms_vectors(self) -> bool:
        """As in `RecogniserFamilySettings`."""
        return self.norm

    @property
    def predicts_body_parts(self) -> bool:
        """As in `RecogniserFamilySettings`."""
        return self.coarse

    @property
    def is_linear_classifier(self) -> bool:
        """Whether a linear classifier of actions is all there is, as in TSN."""
        auxiliary = self.frame or self.coarse or self.frame_coarse
        return self.classifier == "linear" and not self.norm and not auxiliary

    @property
    def rows_are_steps(self) -> bool:
        """As in `RecogniserFamilySettings`."""
        return self.frame_rows == "frames"


class LossSettings(Settings):
    """The weighted sum of the losses of the heads, each cross-entropy plus soft F1."""

    fine: float = Field(1.0, ge=0, description="weight of the primary head")
    coarse: float = Field(0.5, ge=0, description="weight of the coarse head")
    fine_frame: float = Field(0.5, ge=0, description="weight of the frame head")
    coarse_frame: float = Field(0.25, ge=0, description="weight of the coarse frame head")
    f1: bool = Field(True, description="add soft F1, macro and micro (released_timesformer: false)")
    f1_frames: Literal["each", "together"] = Field(
        "each",
        description=(
            "frame heads: the mean of the F1 of each step, as printed, or one F1 over all steps "
            "(released)"
        ),
    )
    f1_constant: Literal[1, 2] = Field(
        1, description="1 - (macro + micro), as printed, or (1 - macro) + (1 - micro), as released"
    )
    f1_over: Literal["all", "each"] = Field(
        "all",
        description=(
            "soft F1 over the clips of all processes, or the mean of that of each process "
            "(released); always that of each micro-batch"
        ),
    )
    f1_present_only: bool = Field(
        False, description="macro over the classes of the batch, not over all"
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="share moved to a uniform distribution"
    )
    within_body_exponent: float = Field(
        0.0,
        ge=0,
        le=1,
        description="weight actions by (mean count in the body part / count) to this power",
    )
    mixup: float = Field(0.0, ge=0, description="mixup with a share from Beta(this, this); 0: none")
    mixup_within_body: float = Field(
        1.0, ge=0, le=1, description="probability that the partner has the same body part"
    )
