"""Settings of runs on emotions and sets of actions: videos, copies of faces, and a whole run."""

from collections.abc import Iterator
from typing import Any, Literal, Self

from pydantic import Field, field_validator

from mmad.config.backbones.union import BackboneSettings
from mmad.config.base import Settings, changed
from mmad.config.data import Augmentation, ImageSize
from mmad.config.training import HeadTrainingSettings
from mmad.config.views import ViewSettings
from mmad.errors import ConfigError
from mmad.labels import LabelMap


class EmotionDataSettings(ViewSettings):
    """Settings of videos with emotions, their face copies, and augmentation."""

    labels: str = Field("ma52", description="ma52, or a label file: the actions")
    annotations: list[str] = Field(
        min_length=1, description="lists of videos with emotions and actions, CSV or JSON"
    )
    train_subsets: list[str] = Field(["train"], min_length=1, description="subsets to train on")
    val_subset: str = Field("val", description="subset that selects the best checkpoint")
    videos: str | None = Field(
        None, description="folder of the video files; name = video id; not read by faces alone"
    )
    faces: str | None = Field(
        None, description="folder of their face copies (mmad data faces); not read by bodies alone"
    )
    face_size: ImageSize | None = Field(
        None, description="faces: as image_size; null: image_size, and all sizes of bodies"
    )
    without_parts: list[str] = Field(
        [],
        description=(
            "body parts, by code or name, whose actions are neither learnt nor predicted; [D, G] "
            "in the paper's ablation"
        ),
    )
    max_videos: int | None = Field(
        None, ge=1, description="use only the first so many videos of each subset, for quick trials"
    )
    augmentation: Augmentation | None = Field(
        Augmentation(),
        description=(
            "augmentation in training; face and body are mirrored together and have the same "
            "colours, each has its own crop; null for none"
        ),
    )

    @field_validator("annotations", mode="before")
    @classmethod
    def _one_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @property
    def of_faces(self) -> ViewSettings:
        """Settings that the images of faces are read with; their background moves."""
        own: dict[str, Any] = {"subtract_background": False}
        if self.face_size is not None:
            sizes = ("short_side", "test_image_size", "test_short_side")
            own |= {"image_size": self.face_size, **dict.fromkeys(sizes)}
        return changed(self, **own)


class EmotionSettings(Settings):
    """Which branches there are, and how their steps become an emotion and a set of actions."""

    branches: Literal["both", "faces", "bodies"] = Field(
        "both", description="branches of the network; faces alone predict no actions"
    )
    encoded: Literal["bodies", "both"] = Field(
        "bodies",
        description="branches with a transformer encoder: that of bodies, as printed, or both",
    )
    encoder_layers: int = Field(2, ge=1, description="layers of an encoder")
    encoder_width: int | None = Field(
        512, ge=2, description="width of its tokens, even; null: that of the backbone"
    )
    encoder_heads: int = Field(8, ge=1, description="heads of its attention")
    encoder_hidden: int = Field(2048, ge=1, description="width inside of its perceptrons")
    encoder_dropout: float = Field(0.1, ge=0, lt=1, description="rate inside of it")
    dropout: float = Field(0.5, ge=0, lt=1, description="rate before both classifiers")
    faces_pretrained: str | None = Field(
        None,
        description=(
            "weights that the branch of faces starts from, as backbone.pretrained; null: the same"
        ),
    )

    @property
    def reads_faces(self) -> bool:
        """Whether there is a branch of faces."""
        return self.branches in ("both", "faces")

    @property
    def reads_bodies(self) -> bool:
        """Whether there is a branch of bodies, which alone predicts actions."""
        return self.branches in ("both", "bodies")

    def tiny(self) -> Self:
        """The same modules as small as possible, with random weights."""
        update: dict[str, Any] = {"encoder_layers": 1, "encoder_heads": 2, "encoder_hidden": 8}
        update |= {"encoder_width": None if self.encoder_width is None else 8}
        return self.model_copy(update={**update, "faces_pretrained": None})

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        if self.encoder_width is not None and self.encoder_width % self.encoder_heads:
            yield (
                f"encoder_width {self.encoder_width} is not a multiple of encoder_heads "
                f"{self.encoder_heads}"
            )


class EmotionLossSettings(Settings):
    """The weighted sum of the losses of actions and of the emotion."""

    actions: float = Field(1.0, ge=0, description="weight of the binary cross-entropy of actions")
    emotion: float = Field(0.03, ge=0, description="beta: weight of the emotion's cross-entropy")


class EmotionTrainingSettings(HeadTrainingSettings):
    """Settings of the training on emotions."""

    best_by: Literal["accuracy", "f1_weighted", "f1_macro", "recall_macro"] = Field(
        "accuracy", description="figure of the emotions that selects the best checkpoint"
    )


class EmotionInference(Settings):
    """Settings of prediction."""

    batch_videos: int = Field(4, ge=1, description="videos in a batch")


class EmotionConfig(Settings):
    """The settings of a run on emotions and sets of actions."""

    task: Literal["emotion"] = Field("emotion", description="what is learnt")
    seed: int = Field(0, ge=0, description="random seed of the run")
    data: EmotionDataSettings
    backbone: BackboneSettings = Field(
        description="the network of each branch; they share no weights"
    )
    network: EmotionSettings = EmotionSettings()
    losses: EmotionLossSettings = EmotionLossSettings()
    training: EmotionTrainingSettings
    inference: EmotionInference = EmotionInference()

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        if self.backbone.reads_flow:
            yield "backbone.flow_stack is for recognition; emotions are read from RGB images"
        if not self.backbone.keeps_all_tokens:
            yield (
                "backbone.tokens.keep is for detection and recognition; set it to all: branches "
                "for emotions compute all tokens"
            )
        if self.network.reads_bodies:
            yield from self.backbone.problems_of_images(self.data.image_hw)
        if self.network.reads_faces:
            found = self.backbone.problems_of_images(self.data.of_faces.image_hw)
            name = "image_size" if self.data.face_size is None else "face_size"
            yield from (one.replace("data.image_size", f"data.{name}") for one in found)
        yield from self._problems_of_branches()
        if not (self.losses.emotion or (self.losses.actions and self.network.reads_bodies)):
            yield "losses: their weights leave nothing to learn; set losses.emotion above 0"

    def _problems_of_branches(self) -> Iterator[str]:
        branches = self.network.branches
        if self.network.reads_faces and self.data.faces is None:
            yield (
                f"network.branches {branches} reads faces; set data.faces to a folder that "
                "mmad data faces has written, or network.branches=bodies"
            )
        if self.network.reads_bodies and self.data.videos is None:
            yield (
                f"network.branches {branches} reads whole images; set data.videos to the folder "
                "of the videos, or network.branches=faces"
            )
        if self.network.faces_pretrained is not None and not self.network.reads_faces:
            yield ("network.faces_pretrained is not read by network.branches bodies; leave it out")

    @property
    def face_backbone(self) -> BackboneSettings:
        """Settings of the branch of faces, which may start from weights of its own."""
        own = self.network.faces_pretrained
        return self.backbone if own is None else changed(self.backbone, pretrained=own)

    def learnt_actions(self, labels: LabelMap) -> tuple[int, ...]:
        """Indices of the actions that are learnt and predicted: none without a branch of bodies.

        Raises: ConfigError if `data.without_parts` names no body part, or leaves nothing.
        """
        if not self.network.reads_bodies:
            return ()
        parts = self.data.without_parts
        if parts and not labels.has_parents:
            raise ConfigError(
                f"data.without_parts: {', '.join(parts)}: the actions of {self.data.labels} have "
                "no body parts; leave it out"
            )
        try:
            kept = labels.without_parents(parts)
        except KeyError as error:
            raise ConfigError(f"data.without_parts: {error.args[0]}") from None
        if not kept:
            raise ConfigError("data.without_parts leaves no actions; leave out fewer body parts")
        return kept
