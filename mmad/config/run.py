"""Settings of a whole run, as in one YAML file; each kind of run is a type.

`mmad.config.reading` reads them.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeVar

from pydantic import Field, model_validator

from mmad.config.backbones.union import BackboneSettings, backbone_in
from mmad.config.base import Settings
from mmad.config.compat import (
    PRESETS_OF_DETECTION,
    PRESETS_OF_FEATURES,
    Presets,
    expand_compat,
    only_known,
)
from mmad.config.data import DataSettings
from mmad.config.detectors.actionformer import ActionFormerSettings
from mmad.config.detectors.union import DetectorSettings, settings_of_detector
from mmad.config.emotion import EmotionConfig
from mmad.config.features import FeatureDataSettings
from mmad.config.inference import InferenceSettings
from mmad.config.pretraining import PretrainingConfig
from mmad.config.recognition import RecognitionConfig
from mmad.config.training import TrainingSettings
from mmad.errors import ConfigError


class RunConfig(Settings):
    """A run of detection: a `VideoRun` or a `FeatureRun`."""

    task: Literal["detection"] = Field("detection", description="what is learnt")
    compat: Literal["opentad", "actionformer"] | None = Field(
        None, description="preset of a reference implementation; see docs/parity.md"
    )
    seed: int = Field(0, ge=0, description="random seed of the run")
    data: DataSettings | FeatureDataSettings
    backbone: BackboneSettings | None = Field(
        None, description="the video network; stored features need none"
    )
    upsampling: float = Field(
        1.0,
        gt=0,
        description=(
            "feature steps for each step of the backbone, interpolated; if not given, one for each "
            "frame, and with stored features one for each stored step"
        ),
    )
    detector: DetectorSettings = ActionFormerSettings()
    training: TrainingSettings
    inference: InferenceSettings = InferenceSettings()

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        if not (self.upsampling.is_integer() or (1 / self.upsampling).is_integer()):
            yield (
                "upsampling: expected a whole number, or 0.5, 0.25 and so on; found "
                f"{self.upsampling:g}"
            )


class VideoRun(RunConfig):
    """End-to-end detection in videos."""

    data: DataSettings
    backbone: BackboneSettings = Field(
        description="the video network; only stored features (data.features) need none"
    )

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, content: Any) -> Any:
        if not isinstance(content, Mapping):
            return content
        given = {key: value for key, value in content.items() if (key, value) != ("backbone", None)}
        backbone = backbone_in(content)
        upsampling = 1 if backbone is None else backbone.frames_per_step
        return _expanded(given, PRESETS_OF_DETECTION, upsampling=upsampling)

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        yield from self.backbone.problems_of_images(self.data.image_hw)
        yield from self.backbone.problems_of_steps()
        if self.backbone.reads_flow:
            yield "backbone.flow_stack is for recognition; a detector reads RGB images"
        clip = self.backbone.clip_frames
        steps = clip / self.backbone.frames_per_step * self.upsampling
        if steps < 1 or not steps.is_integer():
            yield (
                f"upsampling {self.upsampling:g}: a clip of {clip} frames would have {steps:g} "
                "steps; expected a whole number of them"
            )
        if self.data.window_frames % clip:
            yield (
                f"data.window_frames {self.data.window_frames} is not a multiple of "
                f"backbone.clip_frames {clip}"
            )


class FeatureRun(RunConfig):
    """Detection in stored features."""

    data: FeatureDataSettings
    backbone: None = Field(None, description="stored features need none")

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, content: Any) -> Any:
        if not isinstance(content, Mapping):
            return content
        # A run on videos becomes one on its features by another `data` alone.
        rest = {key: value for key, value in content.items() if key != "backbone"}
        return _expanded(rest, PRESETS_OF_FEATURES, upsampling=1)


def _expanded(content: Mapping[str, Any], presets: Presets, *, upsampling: float) -> dict[str, Any]:
    """The settings with those of ``compat``, and ``upsampling`` if it is not given."""
    known = settings_of_detector(content.get("detector", {})).model_fields
    expanded = expand_compat(content, only_known(presets, "detector", known))
    if "upsampling" not in expanded:
        # The old name, when all backbones had tubelets.
        given = expanded.pop("steps_per_tubelet", None)
        expanded["upsampling"] = upsampling if given is None else given
    return expanded


DetectionRun = VideoRun | FeatureRun
AnyConfig = VideoRun | FeatureRun | RecognitionConfig | EmotionConfig | PretrainingConfig
# For functions whose result has the type of the argument.
AnyRun = TypeVar("AnyRun", bound=AnyConfig)


def require_videos(config: AnyConfig) -> VideoRun:
    """The run itself, if it is detection in videos.

    Raises: ConfigError if it is on stored features, or of another task.
    """
    if isinstance(config, VideoRun):
        return config
    what = (
        "on stored features, which has no videos and no backbone"
        if isinstance(config, FeatureRun)
        else f"of {config.task}"
    )
    raise ConfigError(f"this is a run {what}; expected one of detection in videos")


_WITHOUT_KINDS: Mapping[str, type[AnyConfig]] = {
    "recognition": RecognitionConfig,
    "emotion": EmotionConfig,
    "pretraining": PretrainingConfig,
}


def kind_of_run(content: Mapping[str, Any]) -> type[AnyConfig] | None:
    """The type of the run that ``content`` describes; None if there is no such task."""
    task = content.get("task", "detection")
    if isinstance(task, str) and task in _WITHOUT_KINDS:
        return _WITHOUT_KINDS[task]
    if task != "detection":
        return None
    data = content.get("data")
    return FeatureRun if isinstance(data, Mapping) and "features" in data else VideoRun
