"""Models, weights and labels of trained runs."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar, cast

from torch import Tensor, nn

from mmad import __version__
from mmad.checkpoint import few, hash_state, load_exactly, load_tensors
from mmad.config.emotion import EmotionConfig
from mmad.config.labels import read_label_map
from mmad.config.pretraining import PretrainingConfig
from mmad.config.reading import load_any_config, load_config
from mmad.config.recognition import RecognitionConfig
from mmad.config.run import AnyConfig, DetectionRun
from mmad.data.features.manifest import FeatureManifest
from mmad.engine.runs.folder import FROZEN_HASH, RunFolder, read_state, version_numbers
from mmad.errors import CheckpointError, MmadError
from mmad.export.reading import (
    ExportedRecogniser,
    describe_exported,
    is_exported,
    open_exported,
)
from mmad.labels import LabelMap
from mmad.models.backbones.features import BACKBONE_PREFIX
from mmad.models.build import build_detector, build_emotion, build_pretraining, build_recogniser
from mmad.models.detectors.whole import Detector, FeatureDetector
from mmad.models.emotion.network import EmotionNetwork
from mmad.models.pretraining.network import MaskedAutoencoder
from mmad.models.recognisers.whole import Recogniser


def run_weights(folder: RunFolder) -> dict[str, Tensor]:
    """All weights of a run by name: of the best checkpoint, else the averaged ones of the last.

    Raises: CheckpointError if the folder is not a run, has no checkpoint yet, or its files do not
        belong together.
    """
    if not folder.config.is_file() or not folder.frozen.is_file():
        raise CheckpointError(
            f"{folder.path}: is not a run folder (no config.yaml or frozen.safetensors in it)"
        )
    frozen, _ = load_tensors(folder.frozen)
    if folder.best.is_file():
        trained, information = load_tensors(folder.best)
        expected = information.get(FROZEN_HASH, "")
    elif folder.last.is_file():
        state = read_state(folder)
        trained, expected = state.average, state.frozen_sha256
    else:
        raise CheckpointError(
            f"{folder.path}: has no checkpoint yet; train longer, or see log.jsonl"
        )
    if hash_state(frozen) != expected:
        raise CheckpointError(
            f"{folder.frozen}: these are not the frozen weights that the checkpoint was "
            "trained with"
        )
    return {**frozen, **trained}


def fill_from_run(
    model: nn.Module,
    path: str | Path,
    *,
    labels: LabelMap | None = None,
    keeps_backbone: bool = False,
) -> None:
    """Load the weights of a run into a model.

    A detector on features takes the temporal detector of one on videos.

    Args:
        model: Model to load into.
        path: Run folder.
        labels: Labels of the model; a run on their body parts (``data.level=body``) then gives
            each action the rows of its body part. None: those of the run.
        keeps_backbone: Whether a detector on videos may keep its own backbone and take the temporal
            detector of a run on features.

    Raises: CheckpointError as `run_weights`, or if the run has another kind of model.
    """
    weights = run_weights(RunFolder(Path(path)))
    state = model.state_dict()
    wanted = set(state)
    if labels is not None and labels.has_parents:
        found = labels_of(RunFolder(Path(path)))
        if found.names == labels.parent_names:
            weights = rows_of_parts(weights, state, labels.parents, num_parts=len(found))
    if isinstance(model, FeatureDetector):
        weights = {name: value for name, value in weights.items() if name in wanted}
    elif keeps_backbone and not any(name.startswith(BACKBONE_PREFIX) for name in weights):
        wanted = {name for name in wanted if not name.startswith(BACKBONE_PREFIX)}
    missing = sorted(wanted - set(weights))
    if missing:
        raise CheckpointError(
            f"{path}: the checkpoint lacks {few(missing)}; a run of another task or head gives its "
            "backbone and adapters with backbone.pretrained"
        )
    load_exactly(model, weights, source=str(path))


def rows_of_parts(
    weights: Mapping[str, Tensor],
    state: Mapping[str, Tensor],
    parents: Sequence[int],
    *,
    num_parts: int,
) -> dict[str, Tensor]:
    """The weights of a classifier of body parts for one of actions: each action has the rows of
    its body part, and a body-level head those of all parts.
    """
    filled = dict(weights)
    for name, value in weights.items():
        wanted = state[name].shape if name in state else value.shape
        if wanted == value.shape or wanted[1:] != value.shape[1:] or len(value) % num_parts:
            continue
        size = len(value) // num_parts
        for parts in (list(parents), [*parents, *range(num_parts)]):
            if wanted[0] == len(parts) * size:
                filled[name] = value.unflatten(0, (num_parts, size))[parts].flatten(0, 1)
    return filled


@contextmanager
def named_if_newer(folder: RunFolder) -> Iterator[None]:
    """Say that a newer version made the run, if that may be why it cannot be read.

    Raises: CheckpointError in place of another MmadError.
    """
    try:
        yield
    except MmadError as error:
        made = folder.version()
        if made is None or version_numbers(made) <= version_numbers(__version__):
            raise
        raise CheckpointError(
            f"{folder.path}: was made by mmad {made}; this is {__version__} and cannot read it "
            f"({error}); upgrade: pip install --upgrade mmad"
        ) from None


def labels_of(folder: RunFolder) -> LabelMap:
    """The labels that a run was trained on.

    Raises: CheckpointError if the folder is not a run.
    """
    if is_exported(folder.path):
        return describe_exported(folder.path).labels
    if folder.config.is_file() and not folder.labels.is_file():
        _require_task_with_labels(folder)
    if not folder.config.is_file() or not folder.labels.is_file():
        raise CheckpointError(
            f"{folder.path}: is not a run folder (no config.yaml or labels.json in it)"
        )
    return read_label_map(folder.labels)


def _require_task_with_labels(folder: RunFolder) -> None:
    if is_pretraining(folder.path):
        raise CheckpointError(
            f"{folder.path}: is a run of pre-training, which finds and names nothing yet; train a "
            f"model on it: mmad train CONFIG backbone.pretrained={folder.path}"
        )


def run_config(path: str | Path) -> AnyConfig:
    """The settings of a run of any task.

    Raises: CheckpointError if the folder is not a run, ConfigError if they are wrong.
    """
    folder = RunFolder(Path(path))
    if is_exported(path):
        return describe_exported(path).settings(folder.path)
    labels_of(folder)
    with named_if_newer(folder):
        return load_any_config(folder.config)


def load_run(
    path: str | Path, *, features: FeatureManifest | None = None
) -> tuple[Detector, DetectionRun, LabelMap]:
    """The trained detector of a run folder, ready to use, its settings and its labels.

    Args:
        path: Run folder.
        features: Use its temporal detector on stored features of these settings, even if it was
            trained on videos.

    Raises: CheckpointError as `run_weights`.
    """
    folder = RunFolder(Path(path))
    labels = labels_of(folder)
    with named_if_newer(folder):
        config = load_config(folder.config)
        if features is None:
            features = folder.manifest()
        model = build_detector(
            config,
            num_classes=len(labels),
            parents=labels.parents,
            feature_channels=None if features is None else features.channels,
            weights_follow=True,
        )
        fill_from_run(model, path)
    return model.eval(), config, labels


def load_recogniser(path: str | Path) -> tuple[Recogniser, RecognitionConfig, LabelMap]:
    """The trained recogniser of a run folder, ready to use, its settings and its labels.

    Raises: CheckpointError as `run_weights`, or if the run has another task.
    """
    with named_if_newer(RunFolder(Path(path))):
        config, labels = _settings_of(path, RecognitionConfig)
        if is_exported(path):
            opened = open_exported(path, ExportedRecogniser)
            return cast(Recogniser, opened.network), config, labels
        model = build_recogniser(config, labels=labels, weights_follow=True)
        fill_from_run(model, path)
    return model.eval(), config, labels


def load_emotion(path: str | Path) -> tuple[EmotionNetwork, EmotionConfig, LabelMap]:
    """The trained network of emotions of a run folder, ready to use, its settings and its labels.

    Raises: CheckpointError as `run_weights`, or if the run has another task.
    """
    with named_if_newer(RunFolder(Path(path))):
        config, labels = _settings_of(path, EmotionConfig)
        model = build_emotion(config, labels=labels)
        fill_from_run(model, path)
    return model.eval(), config, labels


def load_pretraining(path: str | Path) -> tuple[MaskedAutoencoder, PretrainingConfig]:
    """The network of a run of pre-training, ready to use, and its settings.

    Raises: CheckpointError as `run_weights`, or if the run has another task.
    """
    folder = RunFolder(Path(path))
    with named_if_newer(folder):
        config = load_any_config(folder.config)
        if not isinstance(config, PretrainingConfig):
            raise CheckpointError(f"{path}: is a run of {config.task}; expected one of pretraining")
        model = build_pretraining(config)
        fill_from_run(model, path)
    return model.eval(), config


def is_pretraining(path: str | Path) -> bool:
    """Whether a run folder is one of pre-training."""
    config = RunFolder(Path(path)).config
    return config.is_file() and isinstance(load_any_config(config), PretrainingConfig)


_Config = TypeVar("_Config", RecognitionConfig, EmotionConfig)


def _settings_of(path: str | Path, kind: type[_Config]) -> tuple[_Config, LabelMap]:
    """The settings of a run, which is to be of this kind, and its labels."""
    config, labels = run_config(path), labels_of(RunFolder(Path(path)))
    if not isinstance(config, kind):
        expected = kind.model_fields["task"].default
        raise CheckpointError(f"{path}: is a run of {config.task}; expected one of {expected}")
    return config, labels
