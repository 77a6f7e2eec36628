"""Settings that are changed for a trained run, and checks of them."""

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from mmad.annotations.clips.folds import ClipLists
from mmad.config.backbones.family import BackboneFamilySettings
from mmad.config.reading import load_any_config
from mmad.config.recognition import RecognitionConfig
from mmad.config.run import AnyConfig
from mmad.engine.runs.folder import RunFolder
from mmad.engine.runs.load import labels_of
from mmad.errors import CheckpointError
from mmad.export.reading import is_exported

# Settings of the data, and the option to pass their new place.
_PLACES = {
    "annotations": "--annotations FILE",
    "videos": "--videos DIR",
    "clips": "--videos DIR",
    "faces": "--faces DIR",
    "features": "--features FILE",
}


def config_for(
    folder: RunFolder,
    subset: str,
    *,
    annotations: Sequence[Path] = (),
    videos: Path | None = None,
    faces: Path | None = None,
    features: Path | None = None,
    overrides: Sequence[str] = (),
) -> AnyConfig:
    """The settings of a run for the predictions of a subset, with its data elsewhere.

    Args:
        folder: Run folder.
        subset: Subset that is predicted.
        annotations: Annotation files or lists; none leaves those of the run.
        videos: Folder of videos or clips.
        faces: Folder of face copies.
        features: Stored features.
        overrides: Changes of single settings, ``key.sub=value``.

    Raises: ConfigError if settings are wrong, CheckpointError if it is no run folder or the data
        are not where they say.
    """
    if is_exported(folder.path):
        raise CheckpointError(
            f"{folder.path}: an exported file has no data of its own; pass the run folder, or use "
            "the file with mmad detect or mmad recognize"
        )
    labels_of(folder)
    of_clips = isinstance(load_any_config(folder.config), RecognitionConfig)
    moved = {
        subset if of_clips else "annotations": [str(path) for path in annotations],
        "clips" if of_clips else "videos": videos and str(videos),
        "faces": faces and str(faces),
        "features": features and str(features),
    }
    # Written as JSON, which is valid YAML for any characters of a path.
    changes = [f"data.{key}={json.dumps(place)}" for key, place in moved.items() if place]
    if of_clips and annotations:  # whole lists, not a fold of the training lists
        changes.append("data.folds=null")
    wanted = load_any_config(folder.config, overrides=[*changes, *overrides])
    _require_places(folder.path, wanted, subset=subset, given={key for key in moved if moved[key]})
    return wanted


def _require_places(
    checkpoint: Path, wanted: AnyConfig, *, subset: str, given: Collection[str]
) -> None:
    """Raise `CheckpointError` unless the data of the settings exist.

    Args:
        checkpoint: Run folder.
        wanted: Settings.
        subset: Subset of the data that is wanted.
        given: Settings of data that an option gave, others than the run's.
    """
    lists = ClipLists.of(wanted.data.model_dump())
    for key, option in {**_PLACES, subset: "--annotations LIST"}.items():
        value = getattr(wanted.data, key, None)
        paths = value if isinstance(value, list) else [value] if isinstance(value, str) else []
        for path in map(lists.place, paths):
            if not Path(path).exists():
                if key in given:
                    raise CheckpointError(
                        f"{option.split()[0]} {path}: there is no such file or folder"
                    )
                raise CheckpointError(
                    f"{checkpoint}: the {key} of this run are no longer at {path}; pass {option}"
                )


def require_same_model(
    checkpoint: Path, trained: AnyConfig, wanted: AnyConfig, groups: Sequence[str]
) -> None:
    """Raise `CheckpointError` if ``groups`` of settings, which define the model, were changed.

    The tokens that are computed may be others than in training.
    """
    differing = [name for name in groups if _of_model(trained, name) != _of_model(wanted, name)]
    if differing:
        raise CheckpointError(
            f"{checkpoint}: was trained with other settings of {', '.join(differing)}; change "
            "those of data and inference only"
        )


def _of_model(config: AnyConfig, name: str) -> Any:
    settings = getattr(config, name)
    is_backbone = isinstance(settings, BackboneFamilySettings)
    return settings.of_all_tokens if is_backbone else settings
