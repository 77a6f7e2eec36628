"""A whole run: what one YAML file says, read, overridden, checked and written back."""

import copy
import difflib
import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import (
    BaseModel,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from mmad.config.backbones.union import BackboneSettings
from mmad.config.base import Settings
from mmad.config.compat import (
    PRESETS_OF_DETECTION,
    PRESETS_OF_FEATURES,
    expand_compat,
    of_first_runs,
    only_known,
)
from mmad.config.data import DataSettings
from mmad.config.detectors.actionformer import ActionFormerSettings
from mmad.config.detectors.union import DetectorSettings, settings_of_detector
from mmad.config.features import FeatureDataSettings
from mmad.config.inference import InferenceSettings
from mmad.config.paths import RELATIVE_TO, absolute, found_from_here, with_start
from mmad.config.recognition import RecognitionConfig
from mmad.config.training import TrainingSettings
from mmad.errors import ConfigError, raise_problems
from mmad.parsing import read_text, yaml_value

# Inside the installed package, or beside it in a checkout.
_PACKAGE = Path(__file__).resolve().parents[1]
SHIPPED_CONFIGS = next(
    (folder for folder in (_PACKAGE / "configs", _PACKAGE.parent / "configs") if folder.is_dir()),
    _PACKAGE / "configs",
)


def _kind_of_data(value: Any) -> str:
    has_features = isinstance(value, FeatureDataSettings) or (
        isinstance(value, Mapping) and "features" in value
    )
    return FeatureDataSettings.TAG if has_features else DataSettings.TAG


AnyData = Annotated[
    Annotated[DataSettings, Tag(DataSettings.TAG)]
    | Annotated[FeatureDataSettings, Tag(FeatureDataSettings.TAG)],
    Discriminator(_kind_of_data),
]


class RunConfig(Settings):
    """Everything that decides a run."""

    task: Literal["detection"] = Field("detection", description="what is learnt")
    compat: Literal["opentad", "actionformer"] | None = Field(
        None, description="preset of what a published code does otherwise; see docs/parity.md"
    )
    seed: int = Field(0, ge=0, description="of all random choices")
    data: AnyData
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

    def of_videos(self) -> tuple[DataSettings, BackboneSettings]:
        """Data and backbone of a run on videos.

        Raises: ConfigError if it is a run on stored features.
        """
        if isinstance(self.data, FeatureDataSettings) or self.backbone is None:
            raise ConfigError(
                "this is a run on stored features, which has no videos and no backbone; expected "
                "one on videos"
            )
        return self.data, self.backbone

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, content: Any) -> Any:
        if not isinstance(content, Mapping):
            return content
        on_videos = _kind_of_data(content.get("data")) == DataSettings.TAG
        presets = PRESETS_OF_DETECTION if on_videos else PRESETS_OF_FEATURES
        known = settings_of_detector(content.get("detector", {})).model_fields
        expanded = expand_compat(content, only_known(presets, "detector", known))
        if "upsampling" not in expanded:
            # Its name while all backbones had tubelets.
            expanded["upsampling"] = expanded.pop("steps_per_tubelet", None)
            if expanded["upsampling"] is None:
                expanded["upsampling"] = _frames_per_step(content) if on_videos else 1
        return expanded

    def problems(self) -> Iterator[str]:
        """As in `Settings`."""
        yield from super().problems()
        if not (self.upsampling.is_integer() or (1 / self.upsampling).is_integer()):
            yield (
                "upsampling: expected a whole number, or 0.5, 0.25 and so on; found "
                f"{self.upsampling:g}"
            )
        if isinstance(self.data, FeatureDataSettings):
            return
        if self.backbone is None:
            yield "backbone: videos need one; stored features (data.features) do not"
            return
        yield from self.backbone.problems_of_images(self.data.image_hw)
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


_BACKBONE = TypeAdapter(BackboneSettings)


def _frames_per_step(content: Mapping[str, Any]) -> int:
    """Frames of a step of the backbone in ``content``; 1 if that is wrong and refused later."""
    try:
        return _BACKBONE.validate_python(content.get("backbone")).frames_per_step
    except ValidationError:
        return 1


AnyConfig = RunConfig | RecognitionConfig


def load_config(path: str | Path, *, overrides: Sequence[str] = ()) -> RunConfig:
    """The settings of a detection run; as `load_any_config`.

    Raises: ConfigError, also if it is a run of another task.
    """
    config = load_any_config(path, overrides=overrides)
    if not isinstance(config, RunConfig):
        raise ConfigError(f"{path}: is a config of {config.task}; expected one of detection")
    return config


def load_any_config(path: str | Path, *, overrides: Sequence[str] = ()) -> AnyConfig:
    """The settings of a YAML file, with ``key.sub=value`` overrides; ``task`` says of which kind.

    A path that does not exist but names a shipped file (``configs/NAME.yaml``) finds that file.

    Raises: ConfigError, with every problem in one message.
    """
    source = find_config(path)
    content = read_settings(source)
    problems = []
    for override in overrides:
        try:
            _override(content, override)
        except ConfigError as error:
            problems.append(str(error))
    return parse_any_config(content, source=str(source), problems=problems)


def read_settings(source: Path) -> dict[str, Any]:
    """The settings that a YAML file names, not yet checked, with paths from the working folder.

    Raises: ConfigError if the file holds no settings.
    """
    content = yaml_value(source, read_text(source, error=ConfigError), error=ConfigError)
    if not isinstance(content, dict):
        raise ConfigError(f"{source}: expected settings (key: value), found {content!r:.40}")
    if RELATIVE_TO not in content and (source.parent / "labels.json").is_file():
        content = of_first_runs(content)
    return found_from_here(content, source)


def find_config(path: str | Path) -> Path:
    """The file itself, or the shipped one of that name.

    Raises: ConfigError if neither is there.
    """
    path = Path(path)
    if path.is_file():
        return path
    shipped = SHIPPED_CONFIGS / path.name
    if path.parent in (Path("."), Path("configs")) and shipped.is_file():
        return shipped
    known = sorted(file.name for file in SHIPPED_CONFIGS.glob("*.yaml"))
    near = difflib.get_close_matches(path.name, known, n=1)
    hint = f"did you mean configs/{near[0]}?" if near else f"shipped: {', '.join(known)}"
    raise ConfigError(f"{path}: there is no such config; {hint}")


def parse_config(content: Mapping[str, Any], *, source: str) -> RunConfig:
    """The settings of a detection run in ``content``; as `parse_any_config`."""
    config = parse_any_config({"task": "detection", **content}, source=source)
    assert isinstance(config, RunConfig)
    return config


VideoConfig = TypeVar("VideoConfig", RunConfig, RecognitionConfig)
TASKS: Mapping[str, type[RunConfig] | type[RecognitionConfig]] = {
    "detection": RunConfig,
    "recognition": RecognitionConfig,
}


def parse_any_config(
    content: Mapping[str, Any], *, source: str, problems: Sequence[str] = ()
) -> AnyConfig:
    """The settings in ``content``, of the task that it names.

    Args:
        content: the settings.
        source: their name in messages.
        problems: what is wrong with them already.

    Raises: ConfigError, with every problem in one message.
    """
    task = content.get("task", "detection")
    if not isinstance(task, str) or task not in TASKS:
        found = [*problems, f"task: expected {' or '.join(TASKS)}; found {task!r}"]
        raise_problems(ConfigError, source=source, problems=found)
    model = TASKS[task]
    found = list(problems)
    rest = copy.deepcopy(dict(content))
    removed: set[str] = set()
    # What is wrong with one setting hides what is wrong with several together, so these are looked
    # at without it.
    while True:
        try:
            config = model.model_validate(rest)
            break
        except ValidationError as error:
            gone: set[str] = set()
            for item in error.errors(include_url=False):
                lines = _explain(item, model).splitlines()
                found += [line for line in lines if not removed.intersection(_words(line))]
                keys, _ = _follow(item["loc"], model)
                if item["type"] == "extra_forbidden":
                    keys.append(str(item["loc"][-1]))
                of_group = _words(item["msg"]) if item["type"] == "value_error" else None
                gone |= _remove(rest, keys, of_group)
            removed |= gone
            if not gone:
                break
    raise_problems(ConfigError, source=source, problems=found)
    return config


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text))


def _remove(content: dict[str, Any], keys: Sequence[str], of_group: set[str] | None) -> set[str]:
    """Remove a setting, or some ``of_group``; the names of what was removed.

    Of a list, the whole list is removed.
    """
    place: Any = content
    for parent in keys[:-1]:
        if not isinstance(place.get(parent), dict):
            keys = [parent]
            break
        place = place[parent]
    value = place.get(keys[-1]) if keys else None
    if isinstance(value, dict) and of_group is not None:
        return {key for key in of_group.intersection(value) if value.pop(key) is not None}
    return {keys[-1]} if keys and place.pop(keys[-1], None) is not None else set()


def with_max_missing(config: VideoConfig, share: float | None) -> VideoConfig:
    """The settings with another ``data.max_missing``; the same for None."""
    if share is None:
        return config
    data = config.data.model_copy(update={"max_missing": share})
    return config.model_copy(update={"data": data})


def dump_config(config: AnyConfig, *, folder: Path | None = None) -> str:
    """The settings as YAML that `load_config` reads back to an equal value.

    Args:
        config: the settings.
        folder: that the file goes into, if paths are to be found from other working folders.
    """
    content = config.model_dump(mode="json")
    if folder is not None:
        content = with_start(content, folder)
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def differing_settings(first: AnyConfig, second: AnyConfig) -> list[str]:
    """Lines that name the settings in which two configs differ, wherever their paths start.

    >>> one = load_any_config("configs/demo.yaml")
    >>> other = load_any_config("configs/demo.yaml", overrides=["seed=3"])
    >>> differing_settings(one, one), differing_settings(one, other)
    ([], ['seed: 0, now 3'])
    """
    one, other = (_flat(absolute(each.model_dump(mode="json"))) for each in (first, second))
    return [
        f"{key}: {one.get(key)}, now {other.get(key)}"
        for key in {**one, **other}
        if one.get(key) != other.get(key)
    ]


def _flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in content.items():
        is_group = isinstance(value, Mapping)
        flat |= _flat(value, f"{prefix}{key}.") if is_group else {f"{prefix}{key}": value}
    return flat


def _override(content: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ConfigError(f"override '{override}': expected key=value, such as training.epochs=10")
    *parents, last = key.split(".")
    place = content
    for parent in parents:
        inner = place.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise ConfigError(
                f"override '{override}': '{parent}' is {inner!r}, not a group of settings"
            )
        place = inner
    place[last] = yaml_value(f"override '{override}'", text, error=ConfigError)


def _explain(item: Any, root: type[BaseModel]) -> str:
    """One problem that pydantic found, in words."""
    *parents, last = item["loc"] or ("config",)
    if item["type"] == "extra_forbidden":
        keys, models = _follow(parents, root)
        known = sorted({name for model in models for name in model.model_fields})
        near = difflib.get_close_matches(last, known, n=1, cutoff=0.5)
        hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}"
        return f"{'.'.join([*keys, last])}: there is no such setting; {hint}"
    key = ".".join(_follow(item["loc"], root)[0]) or "config"
    if item["type"] == "missing":
        return f"{key}: this setting is missing"
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "union_tag_invalid":
        tag, known = item["ctx"]["tag"], item["ctx"]["expected_tags"]
        near = difflib.get_close_matches(tag, re.findall(r"'([^']*)'", known), n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        return f"{key}: there is no '{tag}'; {hint}known: {known}"
    if item["type"] == "model_type":
        return f"{key}: expected a group of settings; found {item['input']!r:.60}"
    if item["type"] == "value_error":
        prefix = f"{key}: " if item["loc"] else ""
        return "\n".join(prefix + line for line in message.splitlines())
    return f"{key}: {message[0].lower()}{message[1:]}; found {item['input']!r:.60}"


def _follow(
    location: Sequence[str | int], root: type[BaseModel]
) -> tuple[list[str], list[type[BaseModel]]]:
    """The keys on the way to a place of the config, and the models that may stand there.

    Pydantic's locations also name the members of unions that it tried; those are no keys.
    """
    keys: list[str] = []
    models: list[type[BaseModel]] = [root]
    for part in location:
        annotations = [m.model_fields[part].annotation for m in models if part in m.model_fields]
        if annotations:
            models = [inner for one in annotations for inner in _models_in(one)]
        elif isinstance(part, str):
            models = [model for model in models if _tag(model) == part] or models
            continue
        keys.append(str(part))
    return keys, models


def _tag(model: type[BaseModel]) -> object:
    if "name" in model.model_fields:
        return model.model_fields["name"].default
    return getattr(model, "TAG", None)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType, typing.Annotated):
        return [m for arg in typing.get_args(annotation) for m in _models_in(arg)]
    return []
