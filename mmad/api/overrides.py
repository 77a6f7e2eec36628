"""Changes of settings, from Python."""

import os
from collections.abc import Mapping
from typing import Any

import yaml

from mmad.errors import ConfigError


def as_overrides(given: Mapping[str, Any], changes: Mapping[str, Any] | None = None) -> list[str]:
    """Changes of settings as ``key.sub=value``, as on the command line.

    Args:
        given: Values by the keys of settings.
        changes: The same with ``__`` in the place of each dot.

    Raises: ConfigError if ``given`` is no mapping, or a value cannot be written as YAML.

    >>> as_overrides({"training.epochs": 3}, {"data__videos": "a b"})
    ['training.epochs=3', 'data.videos=a b']
    """
    if not isinstance(given, Mapping):
        raise ConfigError(
            f"overrides: expected settings by their keys, such as {{'training.epochs': 10}}; found "
            f"{given!r:.60}"
        )
    named = dict(given) | {key.replace("__", "."): value for key, value in (changes or {}).items()}
    return [f"{key}={_as_yaml(key, value)}" for key, value in named.items()]


def _as_yaml(key: str, value: Any) -> str:
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, tuple):
        value = list(value)
    try:
        text = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True)
    except yaml.YAMLError:
        raise ConfigError(
            f"{key}: expected text, a number, a list or a group of settings; found {value!r:.60}"
        ) from None
    return text.strip().removesuffix("...").strip()
