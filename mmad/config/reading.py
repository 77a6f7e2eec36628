"""Reading settings from YAML files, with overrides, and writing them; all problems at once."""

import copy
import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from mmad.config.base import changed
from mmad.config.compat import of_first_runs
from mmad.config.explain import explain, follow
from mmad.config.extending import extended
from mmad.config.paths import RELATIVE_TO, absolute, found_from_here, with_start
from mmad.config.recognition import RecognitionConfig
from mmad.config.run import AnyConfig, AnyRun, DetectionRun, kind_of_run
from mmad.errors import ConfigError, raise_problems
from mmad.names import safe_name
from mmad.parsing import read_text, yaml_value

# Inside the installed package, or beside it in a checkout.
_PACKAGE = Path(__file__).resolve().parents[1]
SHIPPED_CONFIGS = next(
    (folder for folder in (_PACKAGE / "configs", _PACKAGE.parent / "configs") if folder.is_dir()),
    _PACKAGE / "configs",
)


def load_config(path: str | Path, *, overrides: Sequence[str] = ()) -> DetectionRun:
    """The settings of a detection run; as in `load_any_config`.

    Raises: ConfigError, also if it is a run of another task.
    """
    config = load_any_config(path, overrides=overrides)
    if not isinstance(config, DetectionRun):
        raise ConfigError(f"{path}: is a config of {config.task}; expected one of detection")
    return config


def load_any_config(path: str | Path, *, overrides: Sequence[str] = ()) -> AnyConfig:
    """The settings in a YAML file, with ``key.sub=value`` overrides; their type is by ``task``.

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
    """The unvalidated settings in a YAML file and those that it extends, with paths relative to
    the working folder.

    Raises: ConfigError if a file contains no settings.
    """
    return extended(_own_settings(source), source, read=_own_settings, find=find_config)


def _own_settings(source: Path) -> dict[str, Any]:
    content = yaml_value(source, read_text(source, error=ConfigError), error=ConfigError)
    if not isinstance(content, dict):
        raise ConfigError(f"{source}: expected settings (key: value), found {content!r:.40}")
    if RELATIVE_TO not in content and (source.parent / "labels.json").is_file():
        content = of_first_runs(content)
    return found_from_here(content, source)


def find_config(path: str | Path) -> Path:
    """The file itself, or the shipped one with that path, with or without ``configs/``.

    Raises: ConfigError if neither exists.
    """
    path = Path(path)
    if path.is_file():
        return path
    parts = path.parts[1:] if path.parts[:1] == ("configs",) else path.parts
    wanted = Path(*parts)
    if not wanted.is_absolute() and ".." not in parts and (SHIPPED_CONFIGS / wanted).is_file():
        return SHIPPED_CONFIGS / wanted
    known = sorted(_shipped_name(file) for file in SHIPPED_CONFIGS.rglob("*.yaml"))
    near = difflib.get_close_matches(wanted.as_posix(), known, n=1)
    hint = f"did you mean configs/{near[0]}?" if near else f"shipped: {', '.join(known)}"
    raise ConfigError(f"{path}: there is no such config; {hint}")


def _shipped_name(path: Path) -> str:
    return path.relative_to(SHIPPED_CONFIGS).as_posix()


def name_of_config(path: str | Path) -> str:
    """The name of a folder for runs of a config.

    >>> name_of_config("configs/demo.yaml"), name_of_config("configs/recognition/demo.yaml")
    ('demo', 'recognition_demo')
    """
    found = find_config(path).resolve()
    if found.is_relative_to(SHIPPED_CONFIGS):
        return _shipped_name(found).removesuffix(".yaml").replace("/", "_")
    return found.stem


def run_folder_of(path: str | Path, config: AnyConfig) -> Path:
    """The folder of a run that is not named: runs/CONFIG, or runs/CONFIG_foldK.

    >>> run_folder_of("configs/demo.yaml", load_any_config("configs/demo.yaml")).as_posix()
    'runs/demo'
    """
    return Path("runs") / f"{name_of_config(path)}{fold_suffix(config)}"


def parse_config(content: Mapping[str, Any], *, source: str) -> DetectionRun:
    """The settings of a detection run in ``content``; as in `parse_any_config`."""
    config = parse_any_config({"task": "detection", **content}, source=source)
    assert isinstance(config, DetectionRun)
    return config


def parse_any_config(
    content: Mapping[str, Any], *, source: str, problems: Sequence[str] = ()
) -> AnyConfig:
    """The settings in ``content``, of the task that it names.

    Args:
        content: Settings as nested mappings.
        source: Their origin, for messages.
        problems: Problems known already.

    Raises: ConfigError, with every problem in one message.
    """
    found = list(problems)
    model = kind_of_run(content)
    if model is None:
        found.append(
            "task: expected detection, recognition, emotion or pretraining; found "
            f"{content['task']!r}"
        )
        if content["task"] == "ensemble":
            found[-1] += ", which is for mmad ensemble --config"
        raise_problems(ConfigError, source=source, problems=found)
    assert model is not None
    rest = copy.deepcopy(dict(content))
    removed: set[str] = set()
    # A problem of one setting hides problems of several together, so these are checked without it.
    while True:
        try:
            config = model.model_validate(rest)
            break
        except ValidationError as error:
            gone: set[str] = set()
            for item in error.errors(include_url=False):
                lines = explain(item, model).splitlines()
                found += [line for line in lines if not removed.intersection(_words(line))]
                keys, _ = follow(item["loc"], model)
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


def with_max_missing(config: AnyRun, share: float | None) -> AnyRun:
    """The settings with another ``data.max_missing``; the same for None.

    Raises: ConfigError if it is no share, 0 to 1.
    """
    if share is None:
        return config
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        raise ConfigError(
            f"--max-missing: expected a share of the frames from 0 to 1, found {share!r}"
        )
    return changed(config, data=changed(config.data, max_missing=share))


def with_fold(config: AnyConfig, fold: str) -> AnyConfig:
    """The settings with ``data.fold``.

    Raises: ConfigError if the run is not one of recognition, which alone has folds.
    """
    if not isinstance(config, RecognitionConfig):
        raise ConfigError(f"--fold {fold}: folds are of clips, and this run is of {config.task}")
    held_out = int(fold) if fold.isascii() and fold.isdigit() else fold
    return changed(config, data=changed(config.data, fold=held_out))


def fold_suffix(config: AnyConfig) -> str:
    """What the name of a run says of its fold, such as ``_fold2``; nothing without one."""
    fold = config.data.fold if isinstance(config, RecognitionConfig) else None
    return "" if fold is None else safe_name(f"_fold{fold}")


def dump_config(config: AnyConfig, *, folder: Path | None = None) -> str:
    """The settings as YAML that `load_config` reads back to an equal value.

    Args:
        config: Settings of a run.
        folder: Folder of the file, if paths must also work from other working folders.
    """
    content = config.model_dump(mode="json")
    if folder is not None:
        content = with_start(content, folder)
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


_WITHOUT_EFFECT = ("training.sharding",)


def differing_settings(first: AnyConfig, second: AnyConfig) -> list[str]:
    """Lines that name the settings in which two configs differ, with paths compared as absolute.

    Settings that change no result are left out.

    >>> one = load_any_config("configs/demo.yaml")
    >>> other = load_any_config("configs/demo.yaml", overrides=["seed=3"])
    >>> differing_settings(one, one), differing_settings(one, other)
    ([], ['seed: 0, now 3'])
    """
    one, other = (_flat(absolute(each.model_dump(mode="json"))) for each in (first, second))
    return [
        f"{key}: {one.get(key)}, now {other.get(key)}"
        for key in {**one, **other}
        if one.get(key) != other.get(key) and key not in _WITHOUT_EFFECT
    ]


def flat_settings(config: AnyConfig) -> dict[str, Any]:
    """All settings by their names with dots, such as ``training.epochs``."""
    return _flat(config.model_dump(mode="json"))


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
