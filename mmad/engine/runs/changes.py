"""Checks of settings that are changed for a trained run."""

from collections.abc import Sequence
from pathlib import Path

from mmad.annotations.clips.folds import ClipLists
from mmad.config.run import AnyConfig
from mmad.errors import CheckpointError

# Settings of the data, and the option to pass their new place.
_PLACES = {
    "annotations": "--annotations FILE",
    "videos": "--videos DIR",
    "clips": "--videos DIR",
    "faces": "--faces DIR",
    "features": "--features FILE",
}


def require_places(checkpoint: Path, wanted: AnyConfig, *, subset: str) -> None:
    """Raise `CheckpointError` unless the data of the settings exist."""
    lists = ClipLists.of(wanted.data.model_dump())
    for key, option in {**_PLACES, subset: "--annotations LIST"}.items():
        value = getattr(wanted.data, key, None)
        paths = value if isinstance(value, list) else [value] if isinstance(value, str) else []
        for path in map(lists.place, paths):
            if not Path(path).exists():
                raise CheckpointError(
                    f"{checkpoint}: the {key} of this run are no longer at {path}; pass {option}"
                )


def require_same_model(
    checkpoint: Path, trained: AnyConfig, wanted: AnyConfig, groups: Sequence[str]
) -> None:
    """Raise `CheckpointError` if ``groups`` of settings, which define the model, were changed."""
    differing = [name for name in groups if getattr(trained, name) != getattr(wanted, name)]
    if differing:
        raise CheckpointError(
            f"{checkpoint}: was trained with other settings of {', '.join(differing)}; change "
            "those of data and inference only"
        )
