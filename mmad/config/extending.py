"""Settings that extend those of another file: only what differs is written down."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mmad.errors import ConfigError

# The key, in a YAML file, of the file whose settings it starts from: relative to its folder, or a
# shipped one.
EXTENDS = "extends"


def extended(
    content: Mapping[str, Any],
    source: Path,
    *,
    read: Callable[[Path], Mapping[str, Any]],
    find: Callable[[str], Path],
) -> dict[str, Any]:
    """The settings of a file over those of the file that it extends, which may extend another.

    Args:
        content: Settings of the file.
        source: The file.
        read: Reads the settings of a file, without those that it extends.
        find: Finds a file that is not in the folder, or raises ConfigError.

    Raises: ConfigError if a file to extend is missing, or extends itself in the end.
    """
    result = dict(content)
    files = [source.resolve()]
    while EXTENDS in result:
        named = result.pop(EXTENDS)
        if not isinstance(named, str):
            raise ConfigError(f"{files[-1]}: {EXTENDS}: expected a file, found {named!r:.40}")
        file = (files[-1].parent / named).resolve()
        if not file.is_file():
            try:
                file = find(named).resolve()
            except ConfigError as error:
                raise ConfigError(f"{files[-1]}: {EXTENDS}: {error}") from None
        if file in files:
            raise ConfigError(f"{files[-1]}: {EXTENDS}: {named} extends this file in turn")
        files.append(file)
        result = merged(read(file), result)
    return result


def merged(base: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of ``given``, group by group over those of ``base``.

    A group of another ``name`` replaces that of the base, which has other settings; so does null.

    >>> base = {"adapter": {"name": "tia", "temporal_kernel": 5}, "size": "small"}
    >>> merged(base, {"adapter": {"ratio": 0.5}})["adapter"]
    {'name': 'tia', 'temporal_kernel': 5, 'ratio': 0.5}
    >>> merged(base, {"adapter": {"name": "none"}})
    {'adapter': {'name': 'none'}, 'size': 'small'}
    """
    result = {**base, **given}
    for key, value in base.items():
        own = given.get(key, {})
        if not isinstance(value, Mapping) or not isinstance(own, Mapping):
            continue
        if own.get("name", value.get("name")) != value.get("name", own.get("name")):
            continue
        result[key] = merged(value, own)
    return result
