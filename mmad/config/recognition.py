"""Settings of recognition: clips, inference, and a whole run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from mmad.config.backbones.union import BackboneSettings, backbone_in
from mmad.config.base import Settings, changed
from mmad.config.compat import expand_compat, of_named_poolings, presets_of_recognition
from mmad.config.data import Augmentation, ImageSettings, ImageSize
from mmad.config.recognisers.auxiliary_heads import AuxiliaryHeadsSettings, LossSettings
from mmad.config.recognisers.union import RecogniserSettings
from mmad.config.training import TrainingSettings
from mmad.errors import ConfigError, raise_problems

Crops = Literal["centre", "three", "ten"]
Subset = Literal["val", "test"]


@dataclass(frozen=True)
class Views:
    """The views of a clip whose scores are averaged: stretches in time, times crops.

    Attributes:
        num_clips: Stretches in time.
        crops: Crops of each.
        settings: Settings that images of these views are read with.
    """

    num_clips: int
    crops: Crops
    settings: "ClipDataSettings"

    @property
    def num_crops(self) -> int:
        """Crops of each stretch."""
        return {"centre": 1, "three": 3, "ten": 10}[self.crops]

    def __len__(self) -> int:
        return self.num_clips * self.num_crops

    @property
    def middle(self) -> int:
        """Place of the view in the middle of the clip and of its images; crops are consecutive."""
        return (
            self.num_clips // 2 * self.num_crops + {"centre": 0, "three": 1, "ten": 4}[self.crops]
        )

    @property
    def hw(self) -> tuple[int, int]:
        """Height and width of the images in pixels."""
        return self.settings.image_hw


class ClipDataSettings(ImageSettings):
    """Settings of clips, their lists, sampling and augmentation."""

    labels: str = Field(
        "ma52", description="ma52, or a label file: the classes, with or without body parts"
    )
    train: list[str] = Field(
        min_length=1,
        description="lists to train on: lines 'name.mp4 label', or CSV with columns clip and label",
    )
    val: list[str] = Field([], description="lists that select the best checkpoint")
    test: list[str] = Field([], description="lists for mmad predict, with or without labels")
    fold: int | str | None = Field(
        None, description="fold that is held out (mmad train --fold K); {fold} in paths of lists"
    )
    folds: int | None = Field(
        None,
        ge=2,
        description="divide the training lists into so many folds, no subject in two of them",
    )
    clips: str = Field(description="folder of the clips")
    flow: str | None = Field(
        None,
        description=(
            "folder of their optical flow (mmad data flow): a second stream; with "
            "backbone.flow_stack the only one (mmad data flow --code xy)"
        ),
    )
    image_size: ImageSize = Field(
        224, description="side of the square image in pixels, or [height, width]"
    )
    short_side: int | None = Field(
        None, ge=16, description="decoded short side; null: 256 for images of 224, in proportion"
    )
    least_aspect: float = Field(
        0.6,
        gt=0,
        le=1,
        description=(
            "centre crop: at most image_size / this high, then squashed to a square; 1: image_size"
        ),
    )
    sampling: Literal["uniform", "segments", "dense", "random"] = Field(
        "uniform",
        description=(
            "frames of a view. uniform: one of each equal part, ends included (Li et al.); "
            "segments: one of each segment (TSN, TSM); dense: a stretch of the clip, every "
            "frame_interval frames (3D networks); random: any, in order, in training, uniform in "
            "evaluation"
        ),
    )
    frame_interval: int = Field(
        1, ge=1, description="dense: distance of neighbouring frames of a view"
    )
    view_places: Literal["ends", "middles"] = Field(
        "ends",
        description=(
            "segments and dense, in evaluation: views lie at equal distances from end to end "
            "(mmaction2 1.x), or in the middles of equal parts (TSM, mmaction2 0.x); a second view "
            "of segments then has their first frames"
        ),
    )
    val_clips: int = Field(2, ge=1, description="views of a clip in validation, without crops")
    test_clips: int = Field(3, ge=1, description="views of a clip in prediction, without crops")
    val_crops: Crops = Field(
        "centre",
        description=(
            "crops of each view in validation: centre; three along the longer side; or ten, "
            "corners and centre, also mirrored"
        ),
    )
    test_crops: Crops = Field("centre", description="crops of each view in prediction")
    test_image_size: ImageSize | None = Field(
        None, description="prediction: as image_size; null: the same"
    )
    test_short_side: int | None = Field(
        None, ge=16, description="prediction: as short_side; null: the same"
    )
    max_clips: int | None = Field(
        None, ge=1, description="first clips of each list, for quick trials"
    )
    augmentation: Augmentation | None = Field(
        Augmentation(crop_area=(0.3, 1.0), crop_aspect=(1 / 3, 1.0), erase=0.5),
        description="augmentation in training; null for none",
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

    @field_validator("train", "val", "test", mode="before")
    @classmethod
    def _one_list(cls, value: Any) -> Any:
        # In YAML a path with {fold} needs quotes inside of brackets, but not alone.
        return [value] if isinstance(value, str) else value

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        if self.folds is not None and self.val:
            yield (
                "folds: a fold of data.train is held out to validate on; leave data.val empty, or "
                "leave out data.folds"
            )
        if self.flow is not None and self.flow == self.clips:
            yield (
                "flow and clips are the same folder; set data.flow to the one that mmad data flow "
                "has written"
            )
        if self.frame_interval > 1 and self.sampling != "dense":
            yield (
                f"frame_interval {self.frame_interval} is that of dense views, not of "
                f"{self.sampling}; set data.sampling=dense"
            )
        for subset in ("val", "test"):
            yield from self._problems_of_views(subset)

    def _problems_of_views(self, subset: Subset) -> Iterator[str]:
        views = self.views(subset)
        if self.sampling == "segments" and self.view_places == "middles" and views.num_clips > 2:
            yield (
                f"{subset}_clips {views.num_clips}: segments have two views in the middles, at "
                "most; set data.view_places=ends"
            )
        if views.crops == "centre":
            return
        name = f"{subset}_crops {views.crops}"
        if self.resize == "squash":
            yield f"{name} needs data.resize=crop; squash shows the whole image"
        (high, wide), (height, width) = views.settings.decoded_hw(training=False), views.hw
        if height > high or width > wide:
            yield (
                f"{name}: crops of {width}x{height} pixels are larger than images of short side "
                f"{min(high, wide)}; set a larger data.{'test_' * (subset == 'test')}short_side"
            )

    def views(self, subset: Subset) -> "Views":
        """The views of a clip in validation or prediction."""
        if subset == "val":
            return Views(self.val_clips, self.val_crops, self)
        side = self.test_short_side or self.short_side
        size = self.test_image_size or self.image_size
        of_test = changed(self, image_size=size, short_side=side)
        return Views(self.test_clips, self.test_crops, of_test)

    def decoded_hw(self, *, training: bool) -> tuple[int, int]:
        """As in `ImageSettings`."""
        height, width = self.image_hw
        if self.short_side is not None:
            scale = self.short_side / min(height, width)
            return round(height * scale), round(width * scale)
        return round(height * 256 / 224), round(width * 256 / 224)


class ClipTrainingSettings(TrainingSettings):
    """Settings of the training of a recogniser."""

    last_layer_rate: float = Field(
        1.0, gt=0, description="learning rate of the last layer / that of the heads (TSM: 5)"
    )
    last_layer: Literal["classifier", "last"] = Field(
        "classifier",
        description=(
            "the last layer: the classifier of actions, or the last linear layer of the network, "
            "which is another one in MANet (released)"
        ),
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
    average: Literal["probability", "score"] = Field(
        "probability",
        description=(
            "over the views of a clip: the mean of probabilities, or the probabilities of the mean "
            "score"
        ),
    )
    batch_clips: int = Field(8, ge=1, description="clips in a batch")


class RecognitionConfig(Settings):
    """The settings of a recognition run."""

    task: Literal["recognition"] = Field("recognition", description="what is learnt")
    compat: Literal["released", "released_timesformer"] | None = Field(
        None,
        description=(
            "preset of the reference implementation: of the 2024 winners, with its "
            "pooled or its TimeSformer head, or of MANet"
        ),
    )
    seed: int = Field(0, ge=0, description="random seed of the run")
    data: ClipDataSettings
    backbone: BackboneSettings
    heads: RecogniserSettings = AuxiliaryHeadsSettings()
    losses: LossSettings = LossSettings()
    training: ClipTrainingSettings
    inference: RecognitionInference = RecognitionInference()

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, content: Any) -> Any:
        if not isinstance(content, Mapping):
            return content
        backbone = backbone_in(content)
        norms_vectors = backbone is not None and backbone.norms_vectors
        content = of_named_poolings(content, norms_vectors=norms_vectors)
        presets = presets_of_recognition(_name_of_heads(content), norm=not norms_vectors)
        return expand_compat(content, presets)

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        yield from self._problems_of_images(self.data.image_hw)
        yield from self.heads.problems_of_backbone(self.backbone.name, self.backbone.stages)
        if self.data.test_image_size is not None:
            of_test = self._problems_of_images(self.data.views("test").hw)
            yield from (one.replace("data.image_size", "data.test_image_size") for one in of_test)
        if self.heads.norms_vectors and self.backbone.norms_vectors:
            yield (
                "heads.norm and backbone.final_norm would both normalise the pooled vector; set "
                "one of them to false"
            )
        presets = presets_of_recognition(self.heads.name, norm=False)
        if self.compat is not None and self.compat not in presets:
            known = f"set compat={', or '.join(presets)}" if presets else "leave it out"
            yield f"compat {self.compat}: heads {self.heads.name} has no such preset; {known}"
        is_linear = (
            isinstance(self.heads, AuxiliaryHeadsSettings) and self.heads.is_linear_classifier
        )
        if self.compat == "released" and is_linear and not self.losses.f1:
            yield (
                "compat released changes auxiliary heads, ArcFace and soft F1; a linear classifier "
                "with cross-entropy alone has none of them, so leave it out"
            )
        yield from self.heads.problems_of_losses(self.losses.fine)
        if self.joins_flow:
            yield from self.backbone.problems_of_streams()
            yield from self.heads.problems_of_streams()
            for subset in ("val", "test"):
                if getattr(self.data, f"{subset}_crops") == "ten":
                    yield (
                        f"data.{subset}_crops ten mirrors images, and colours of flow have a "
                        "direction; take three"
                    )
        if self.backbone.reads_flow:
            if self.data.flow is None:
                yield (
                    "backbone.flow_stack reads optical flow; set data.flow to a folder that "
                    "mmad data flow --code xy has written"
                )
            if self.data.subtract_background:
                yield "data.subtract_background is for RGB images, not for backbone.flow_stack"
        if self.inference.hierarchy == "soft" and not self.heads.predicts_body_parts:
            yield "inference.hierarchy soft needs the coarse head; set heads.coarse=true"

    def _problems_of_images(self, image_hw: tuple[int, int]) -> Iterator[str]:
        yield from self.backbone.problems_of_images(image_hw)
        height, width = image_hw
        stride = self.backbone.side_multiple
        yield from self.heads.problems_of_grid((height // stride, width // stride))

    @property
    def joins_flow(self) -> bool:
        """Whether the network has two streams: RGB images, and optical flow coded as colours."""
        return self.data.flow is not None and not self.backbone.reads_flow

    def without_body_parts(self) -> tuple["RecognitionConfig", list[str]]:
        """The settings with what needs body parts switched off, and the names of those.

        Raises: ConfigError if one of them was set.
        """
        switched: list[str] = []
        problems: list[str] = []
        groups: dict[str, Settings] = {}
        for key, off in _NEED_BODY_PARTS.items():
            group, name = key.split(".")
            settings = groups.get(group, getattr(self, group))
            value = getattr(settings, name, off)
            if value == off or (name == "mixup_within_body" and not self.losses.mixup):
                continue
            if name in settings.model_fields_set:
                text = yaml_text(off)
                problems.append(f"{key}={yaml_text(value)} needs body parts; set {key}={text}")
            switched.append(key)
            groups[group] = changed(settings, **{name: off})
        raise_problems(
            ConfigError, source=f"data.labels={self.data.labels}: no body parts", problems=problems
        )
        return changed(self, **groups), switched


# Settings that mean something only where labels have a second level, and what switches them off.
_NEED_BODY_PARTS: Mapping[str, Any] = {
    "heads.coarse": False,
    "heads.frame_coarse": False,
    "losses.within_body_exponent": 0.0,
    "losses.mixup_within_body": 0.0,
    "inference.hierarchy": "mapping",
}


def yaml_text(value: object) -> str:
    """A value as the command line takes it.

    >>> yaml_text(False), yaml_text("soft")
    ('false', 'soft')
    """
    return str(value).lower() if isinstance(value, bool) else str(value)


def _name_of_heads(content: Mapping[str, Any]) -> str:
    heads = content.get("heads")
    return str(heads.get("name", "")) if isinstance(heads, Mapping) else ""
