"""Relative paths in settings, and the folder they are relative to."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mmad.errors import ConfigError
from mmad.files import path_from

# The key, in a YAML file, of the folder that its relative paths start at, itself relative to the
# folder of the file. The settings of a run have it, so that its paths work from any working folder
# and after a move of the run together with its data.
RELATIVE_TO = "paths_relative_to"

DATA_PATHS = (
    *("annotations", "videos", "faces", "features", "extra_clips", "extra_videos", "val_videos"),
    *("clips", "flow", "train", "val", "test"),
)
# These may also be names: of weights on a hub, of shipped ones, of label sets.
_NAMES = (
    ("backbone", "pretrained"),
    ("heads", "flow_pretrained"),
    ("network", "faces_pretrained"),
    ("training", "start"),
    ("data", "labels"),
    ("probe", "labels"),
)
# Values of `data.labels` that are never paths, whatever is in the folder.
_LABEL_SETS = ("ma52", "file")


def with_start(content: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The settings for a file in ``folder``, with the key that relates paths to this folder."""
    here = Path.cwd()
    # The folder itself, not a link to it, which may have another name later.
    return {RELATIVE_TO: path_from(folder, here) or str(here), **content}


def found_from_here(content: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """The settings of ``file`` with paths relative to the working folder.

    A path that does not exist there but does from the working folder is kept: in this way a run
    that was copied without its data finds them.

    Raises: ConfigError if the file does not name a folder for its paths.
    """
    if RELATIVE_TO not in content:
        return dict(content)
    start = content[RELATIVE_TO]
    content = {key: value for key, value in content.items() if key != RELATIVE_TO}
    if not isinstance(start, str):
        raise ConfigError(f"{file}: {RELATIVE_TO}: expected a folder, found {start!r:.40}")
    here = os.getcwd()
    base = file.parent.resolve() / start

    def change(path: str, is_name: bool) -> str:
        target = os.path.normpath(os.path.join(base, path))
        if os.path.isabs(path) or (
            not os.path.exists(target) and (is_name or os.path.exists(path))
        ):
            return path
        inside = target.startswith(os.path.join(here, ""))
        return os.path.relpath(target, here) if inside else target

    return _changed(content, change)


def absolute(content: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with absolute paths, for comparison."""
    return _changed(
        content,
        lambda path, is_name: (
            path if is_name and not os.path.exists(path) else os.path.abspath(path)
        ),
    )


def without_folders(content: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with paths that say nothing of this machine: an absolute one, or one out of the
    working folder, keeps its last part alone.
    """

    def change(path: str, is_name: bool) -> str:
        parts = Path(path).parts
        leads_out = os.path.isabs(path) or path.startswith("~") or ".." in parts
        return Path(path).name if leads_out else path

    return _changed(content, change)


def _changed(content: Mapping[str, Any], change: Callable[[str, bool], str]) -> dict[str, Any]:
    """A copy of the settings with each path changed; what is not a path is kept, to be refused."""
    result = dict(content)
    keys = [("data", key, False) for key in DATA_PATHS]
    keys += [("heads", "word_vectors", False)]
    keys += [("probe", key, False) for key in ("clips", "train", "val")]
    keys += [(group, key, True) for group, key in _NAMES]
    for group, key, is_name in keys:
        settings = result.get(group)
        if not isinstance(settings, Mapping):
            continue
        value = settings.get(key)
        if key == "labels" and value in _LABEL_SETS:
            continue
        if isinstance(value, str):
            value = change(value, is_name)
        elif isinstance(value, list):
            value = [change(one, is_name) if isinstance(one, str) else one for one in value]
        else:
            continue
        result[group] = {**settings, key: value}
    return result
