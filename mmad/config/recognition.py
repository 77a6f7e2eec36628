"""Settings of recognition: clips, inference, and a whole run."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from mmad.config.backbones.family import ColourStatistics, StatisticsSettings, colours_of
from mmad.config.backbones.union import BackboneSettings, backbone_in
from mmad.config.base import Settings, changed
from mmad.config.compat import expand_compat, of_named_poolings, presets_of_recognition
from mmad.config.data import Augmentation, BalanceSettings
from mmad.config.recognisers.auxiliary_heads import AuxiliaryHeadsSettings, LossSettings
from mmad.config.recognisers.union import RecogniserSettings
from mmad.config.training import HeadTrainingSettings
from mmad.config.views import ViewSettings
from mmad.errors import ConfigError, raise_problems


class ClipDataSettings(ViewSettings, BalanceSettings):
    """Settings of clips, their lists and augmentation."""

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
            "folder of their optical flow (mmad data flow): a second stream; with flow_only, or "
            "with backbone.flow_stack (mmad data flow --code xy), the only one"
        ),
    )
    flow_only: bool = Field(
        False, description="the images of the optical flow are all that the network is given"
    )
    flow_statistics: StatisticsSettings | None = Field(
        None,
        description=(
            "mean and standard deviation of the flow images, as backbone.statistics; null: that "
            "setting itself"
        ),
    )
    mirror_flow: bool = Field(
        False,
        description=(
            "two streams: mirror both where images are mirrored, the colours of the flow turned to "
            "the other direction; false: neither"
        ),
    )
    max_clips: int | None = Field(
        None, ge=1, description="first clips of each list, for quick trials"
    )
    augmentation: Augmentation | None = Field(
        Augmentation(crop_area=(0.3, 1.0), crop_aspect=(1 / 3, 1.0), erase=0.5),
        description="augmentation in training; null for none",
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
        yield from self._problems_of_flow()

    def _problems_of_flow(self) -> Iterator[str]:
        if self.flow is None:
            for name in ("flow_only", "flow_statistics", "mirror_flow"):
                if getattr(self, name):
                    yield (
                        f"{name} needs optical flow; set data.flow to a folder that mmad data flow "
                        "has written"
                    )
        elif self.flow_only and self.mirror_flow:
            yield (
                "mirror_flow is for two streams; flow alone is mirrored by data.augmentation.flip"
            )

    def flow_colours(self, statistics: ColourStatistics) -> ColourStatistics:
        """Mean and standard deviation of flow images, for a network that expects ``statistics``."""
        return statistics if self.flow_statistics is None else colours_of(self.flow_statistics)


class ClipTrainingSettings(HeadTrainingSettings):
    """Settings of the training of a recogniser."""

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
                "heads.norm and the norm of the backbone (final_norm, pooled_norm of InternVideo2) "
                "would both normalise the pooled vector; set one of them to false"
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
        yield from self._problems_of_flow()
        if self.inference.hierarchy == "soft" and not self.heads.predicts_body_parts:
            yield "inference.hierarchy soft needs the coarse head; set heads.coarse=true"

    def _problems_of_images(self, image_hw: tuple[int, int]) -> Iterator[str]:
        yield from self.backbone.problems_of_images(image_hw)
        height, width = image_hw
        stride = self.backbone.side_multiple
        yield from self.heads.problems_of_grid((height // stride, width // stride))

    def _problems_of_flow(self) -> Iterator[str]:
        pretrained = self.heads.flow_pretrained
        if self.joins_flow:
            yield from self.heads.problems_of_streams()
            for subset in ("val", "test"):
                if getattr(self.data, f"{subset}_crops") == "ten" and not self.data.mirror_flow:
                    yield (
                        f"data.{subset}_crops ten mirrors images, and colours of flow have a "
                        "direction; take three, or set data.mirror_flow=true"
                    )
            if pretrained is not None and self.heads.flow_weights == "shared":
                yield (
                    "heads.flow_pretrained is for a backbone of the flow's own; set "
                    "heads.flow_weights=separate"
                )
        elif pretrained is not None:
            yield (
                "heads.flow_pretrained is for the second of two streams; leave it out, or set "
                "data.flow to the folder of its optical flow"
            )
        if self.data.flow is not None and not self.backbone.keeps_all_tokens:
            yield (
                "backbone.tokens.keep compares images of a camera, not optical flow; set it to "
                "all, or leave out data.flow"
            )
        if self.backbone.reads_flow:
            if self.data.flow is None:
                yield (
                    "backbone.flow_stack reads optical flow; set data.flow to a folder that "
                    "mmad data flow --code xy has written"
                )
            if self.data.flow_only:
                yield "data.flow_only is for flow as colours; leave it out with backbone.flow_stack"
        if self.reads_flow and self.data.subtract_background:
            setting = "backbone.flow_stack" if self.backbone.reads_flow else "data.flow_only"
            yield f"data.subtract_background is for RGB images, not for {setting}"

    @property
    def reads_flow(self) -> bool:
        """Whether optical flow is all that the network is given."""
        return self.backbone.reads_flow or self.data.flow_only

    @property
    def joins_flow(self) -> bool:
        """Whether the network has two streams: RGB images, and optical flow coded as colours."""
        return self.data.flow is not None and not self.reads_flow

    @property
    def flow_code(self) -> Literal["colours", "xy"]:
        """The code of the optical flow that the network reads, as in `mmad.video.flow`."""
        return "xy" if self.backbone.reads_flow else "colours"

    @property
    def flow_backbone(self) -> BackboneSettings | None:
        """Settings of the backbone that the second stream has for itself; None if it has none."""
        if not self.joins_flow or self.heads.flow_weights == "shared":
            return None
        start = self.heads.flow_pretrained or self.backbone.pretrained
        return changed(self.backbone, pretrained=start)

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
