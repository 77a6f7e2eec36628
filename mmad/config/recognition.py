"""Settings of recognition: clips, heads, losses, and a whole run."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from mmad.config.backbones.union import BackboneSettings
from mmad.config.base import Settings
from mmad.config.compat import expand_compat, presets_of_recognition
from mmad.config.data import Augmentation, ImageSize, PictureSettings
from mmad.config.training import TrainingSettings


class ClipDataSettings(PictureSettings):
    """Where clips and their lists are, and which frames and pixels of a clip are shown."""

    train: list[str] = Field(min_length=1, description="lists to train on, lines 'name.mp4 label'")
    val: list[str] = Field([], description="lists that choose the best checkpoint")
    test: list[str] = Field([], description="lists for mmad predict, with or without labels")
    clips: str = Field(description="folder of the clips")
    flow: str | None = Field(
        None, description="folder of their optical flow (mmad data flow): a second stream"
    )
    image_size: ImageSize = Field(
        224, description="side of the square image in pixels, or [height, width]"
    )
    short_side: int | None = Field(
        None, ge=16, description="decoded short side; null: 256 for pictures of 224, in proportion"
    )
    least_aspect: float = Field(
        0.6,
        gt=0,
        le=1,
        description="test crop: at most image_size / this high, then squashed to a square",
    )
    val_clips: int = Field(2, ge=1, description="samples of 16 frames of a clip in validation")
    test_clips: int = Field(3, ge=1, description="samples of 16 frames of a clip in prediction")
    max_clips: int | None = Field(None, ge=1, description="for tries: the first clips of each list")
    augmentation: Augmentation | None = Field(
        Augmentation(crop_area=(0.3, 1.0), crop_aspect=(1 / 3, 1.0), erase=0.5),
        description="random changes in training; null for none",
    )
    balance_exponent: float = Field(
        1.0,
        ge=0,
        le=1,
        description="a class with n clips is drawn in proportion to n to this power; 1: as it is",
    )
    repeat_below: int | None = Field(
        None,
        ge=1,
        description="a class with n clips below this is repeated floor(log2(this / n)) + 1 times",
    )

    def decoded_hw(self, *, training: bool) -> tuple[int, int]:
        """As in `PictureSettings`."""
        height, width = self.image_hw
        if self.short_side is not None:
            scale = self.short_side / min(height, width)
            return round(height * scale), round(width * scale)
        return round(height * 256 / 224), round(width * 256 / 224)


class HeadSettings(Settings):
    """What stands on the backbone."""

    primary: Literal["tsn", "i3d", "timesformer"] = Field(
        "tsn", description="pooling of the primary head; all three are the mean over all tokens"
    )
    norm: bool | None = Field(
        None,
        description=(
            "layer norm of the pooled vector; null: for timesformer, unless backbone.final_norm "
            "has one"
        ),
    )
    classifier: Literal["arcface", "linear"] = Field(
        "arcface", description="of primary and coarse head (released timesformer: linear)"
    )
    frame_classifier: Literal["arcface", "linear"] = Field(
        "arcface", description="of both frame heads (released: linear)"
    )
    scale: float = Field(30.0, gt=0, description="ArcFace: scale of the cosines")
    margin: float = Field(0.5, ge=0, lt=1.57, description="ArcFace: margin in radians")
    dropout: float = Field(0.5, ge=0, lt=1, description="before primary and coarse classifier")
    frame: bool = Field(True, description="auxiliary head: the action at each tubelet")
    coarse: bool = Field(True, description="auxiliary head: the body part")
    frame_coarse: bool = Field(True, description="auxiliary head: the body part at each tubelet")
    squeeze: int = Field(16, ge=1, description="frame heads: width / width of the gate")
    shared_gate: bool = Field(True, description="both frame heads share a gate (released: false)")
    gate: Literal["multiply", "replace"] = Field(
        "multiply", description="the gate scales features, or stands for them (released)"
    )
    frame_rows: Literal["frames", "channel_groups"] = Field(
        "frames",
        description="a row of a frame head is a tubelet, or a group of channels (released)",
    )
    flow_weights: Literal["shared", "separate"] = Field(
        "shared", description="one backbone for both streams, or one for each"
    )
    flow_fusion: Literal["add", "concat"] = Field(
        "add", description="how the tokens of the streams are joined"
    )
    margin_on: Literal["target", "all"] = Field(
        "target", description="margin on the target in training, or on all, always (released)"
    )


class LossSettings(Settings):
    """The weighted sum of the losses of the heads, each cross-entropy plus soft F1."""

    fine: float = Field(1.0, ge=0, description="weight of the primary head")
    coarse: float = Field(0.5, ge=0, description="weight of the coarse head")
    fine_frame: float = Field(0.5, ge=0, description="weight of the frame head")
    coarse_frame: float = Field(0.25, ge=0, description="weight of the coarse frame head")
    f1: bool = Field(True, description="add soft F1, macro and micro (released timesformer: false)")
    f1_frames: Literal["each", "together"] = Field(
        "each",
        description=(
            "frame heads: the mean of the F1 of each tubelet, as printed, or one F1 over all "
            "tubelets (released)"
        ),
    )
    f1_constant: Literal[1, 2] = Field(
        1, description="1 - (macro + micro), as printed, or (1 - macro) + (1 - micro), as released"
    )
    f1_present_only: bool = Field(
        False, description="macro over the classes of the batch, not over all"
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="share moved to a uniform guess")
    within_body_exponent: float = Field(
        0.0,
        ge=0,
        le=1,
        description="weigh actions by (mean count in the body part / count) to this power",
    )
    mixup: float = Field(
        0.0, ge=0, description="clips are mixed with a share from Beta(this, this); 0: not"
    )
    mixup_within_body: float = Field(
        1.0, ge=0, le=1, description="chance that the partner is of the same body part"
    )


class RecognitionInference(Settings):
    """From scores of clips to actions and body parts."""

    hierarchy: Literal["mapping", "summed", "soft"] = Field(
        "mapping",
        description=(
            "body part: that of the action, the sum of its actions, or the coarse head, which "
            "then weighs its actions, too"
        ),
    )
    batch_clips: int = Field(8, ge=1, description="clips in a batch")


class RecognitionConfig(Settings):
    """Everything that decides a recognition run."""

    task: Literal["recognition"] = Field("recognition", description="what is learnt")
    compat: Literal["released"] | None = Field(
        None, description="preset of what the released code of the 2024 winners does otherwise"
    )
    seed: int = Field(0, ge=0, description="of all random choices")
    data: ClipDataSettings
    backbone: BackboneSettings
    heads: HeadSettings = HeadSettings()
    losses: LossSettings = LossSettings()
    training: TrainingSettings
    inference: RecognitionInference = RecognitionInference()

    @property
    def has_head_norm(self) -> bool:
        """Whether the heads norm the pooled vector."""
        if self.heads.norm is not None:
            return self.heads.norm
        return self.heads.primary == "timesformer" and not self.backbone.norms_vectors

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, content: Any) -> Any:
        if not isinstance(content, Mapping):
            return content
        heads = content.get("heads")
        primary = heads.get("primary") if isinstance(heads, Mapping) else None
        return expand_compat(content, presets_of_recognition(primary))

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        yield from self.backbone.problems_of_images(self.data.image_hw)
        if self.heads.norm and self.backbone.norms_vectors:
            yield (
                "heads.norm and backbone.final_norm would both norm the pooled vector; set one of "
                "them to false"
            )
        if self.data.flow is not None:
            yield from self.backbone.problems_of_streams()
        if self.inference.hierarchy == "soft" and not self.heads.coarse:
            yield "inference.hierarchy soft needs the coarse head; set heads.coarse=true"
