"""Paths in settings: relative to the working folder, or to the file that they stand in.

The settings of a run folder are of the second kind, so that a run is found to be whole from any
folder, and after it was moved together with its data.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mmad.errors import ConfigError

# Says in a YAML file that its relative paths start at the folder that the file is in.
RELATIVE_TO = "paths_relative_to"
FILE = "file"

DATA_PATHS = ("annotations", "videos", "features", "clips", "flow", "train", "val", "test")
# These may also name weights on a hub, or shipped ones.
_WEIGHTS = {"backbone": "pretrained", "training": "start"}


def relative_to_file(content: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The settings with their relative paths starting at ``folder``; absolute ones are kept."""
    # Symbolic links are followed on one side only: the folder may be reached by another name later,
    # and links in the data are part of how it was laid out.
    base = folder.resolve()

    def change(path: str, is_weights: bool) -> str:
        if os.path.isabs(path) or (is_weights and not os.path.exists(path)):
            return path
        try:
            return Path(os.path.relpath(os.path.abspath(path), base)).as_posix()
        except ValueError:  # another drive of Windows
            return os.path.abspath(path)

    return {RELATIVE_TO: FILE, **_changed(content, change)}


def found_from_here(content: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """The settings of ``file`` with paths that lead there from the working folder.

    Raises: ConfigError if the file says its paths are relative to something unknown.
    """
    kind = content.get(RELATIVE_TO)
    content = {key: value for key, value in content.items() if key != RELATIVE_TO}
    if kind is None:
        return content
    if kind != FILE:
        raise ConfigError(f"{file}: {RELATIVE_TO}: expected '{FILE}', found {kind!r:.40}")
    base, here = file.parent.resolve(), os.getcwd()

    def change(path: str, is_weights: bool) -> str:
        target = os.path.normpath(base / path)
        if os.path.isabs(path) or (
            is_weights and not path.startswith("..") and not os.path.exists(target)
        ):
            return path
        inside = target.startswith(os.path.join(here, ""))
        return os.path.relpath(target, here) if inside else target

    return _changed(content, change)


def absolute(content: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with absolute paths, to compare them."""
    return _changed(
        content,
        lambda path, is_weights: (
            path if is_weights and not os.path.exists(path) else os.path.abspath(path)
        ),
    )


def _changed(content: Mapping[str, Any], change: Callable[[str, bool], str]) -> dict[str, Any]:
    """A copy of the settings with each path changed; what is no path is left to be refused."""
    result = dict(content)
    keys = [("data", key, False) for key in DATA_PATHS]
    keys += [(group, key, True) for group, key in _WEIGHTS.items()]
    for group, key, is_weights in keys:
        settings = result.get(group)
        if not isinstance(settings, Mapping):
            continue
        value = settings.get(key)
        if isinstance(value, str):
            value = change(value, is_weights)
        elif isinstance(value, list):
            value = [change(one, is_weights) if isinstance(one, str) else one for one in value]
        else:
            continue
        result[group] = {**settings, key: value}
    return result
