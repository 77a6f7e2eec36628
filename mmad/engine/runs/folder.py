"""The folder of a run: what is in it, under which name; docs/train.md has a table."""

import json
import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from torch import Tensor, nn

from mmad import __version__
from mmad.checkpoint import (
    few,
    frozen_state,
    hash_state,
    load_exactly,
    load_pickled,
    load_tensors,
    save_tensors,
)
from mmad.config.base import LARGEST, Count, PositiveRate, validated
from mmad.config.labels import read_label_map
from mmad.config.reading import dump_config, load_any_config, load_config
from mmad.config.recognition import RecognitionConfig
from mmad.config.run import AnyConfig, DetectionRun
from mmad.data.features.manifest import FeatureManifest, read_manifest
from mmad.errors import CheckpointError, ConfigError
from mmad.files import cannot_write, remove_partials_in, write_json, write_text
from mmad.labels import LabelMap
from mmad.models.build import build_detector, build_recogniser
from mmad.models.detectors.whole import Detector, FeatureDetector
from mmad.models.recognisers.whole import Recogniser
from mmad.parsing import json_value, read_text, reading
from mmad.process_lock import LOCK_FILE

FROZEN_HASH = "frozen_sha256"
_BACKBONE = "features."


class LogRow(BaseModel):
    """A line of the log; each kind has figures of its own besides."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float | str | list | dict | None] = Field(init=False)
    kind: str = ""
    step: Count = 0
    fps: PositiveRate | None = None


class TrainingState(BaseModel):
    """What training needs to resume, in ``last.pt``."""

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid", frozen=True)

    step: Count
    best: float
    best_step: int = Field(ge=-1, le=LARGEST)
    trained: dict[str, Tensor]
    average: dict[str, Tensor]
    average_updates: Count
    optimizer: dict[str, Any]
    scaler: dict[str, Any]
    normalizer: Tensor
    frozen_sha256: str


_ROW = TypeAdapter(LogRow)
_STATE = TypeAdapter(TrainingState)


@dataclass(frozen=True)
class RunFolder:
    """Paths in a run folder."""

    path: Path

    @property
    def config(self) -> Path:
        """The settings, complete."""
        return self.path / "config.yaml"

    @property
    def labels(self) -> Path:
        """The classes."""
        return self.path / "labels.json"

    @property
    def log(self) -> Path:
        """One JSON object a line: steps and validations."""
        return self.path / "log.jsonl"

    @property
    def frozen(self) -> Path:
        """Weights that are not trained."""
        return self.path / "frozen.safetensors"

    @property
    def last(self) -> Path:
        """State to resume from."""
        return self.path / "last.pt"

    @property
    def best(self) -> Path:
        """Trained weights of the best validation."""
        return self.path / "best.safetensors"

    @property
    def features(self) -> Path:
        """Manifest of the stored features that it was trained on; not there if on videos."""
        return self.path / "features.json"

    @property
    def curves(self) -> Path:
        """Picture of losses and validation."""
        return self.path / "curves.png"

    @property
    def tensorboard(self) -> Path:
        """Event files, if they are asked for."""
        return self.path / "tensorboard"

    def manifest(self) -> FeatureManifest | None:
        """Of the stored features that it was trained on; None if on videos."""
        if not self.features.is_file():
            return None
        text = read_text(self.features, error=CheckpointError)
        return read_manifest(text, source=str(self.features))

    def predictions(self, subset: str, suffix: str) -> Path:
        """Detections of a subset."""
        return self.path / "predictions" / f"{subset}{suffix}"

    def training_fps(self) -> float | None:
        """Frames per second of the training videos, or None in a run that has not written it."""
        rates = [row["fps"] for row in self.rows() if row.get("kind") == "data" and "fps" in row]
        return rates[-1] if rates else None

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a line to the log."""
        try:
            with self.log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        except OSError as error:
            raise cannot_write(self.log, error) from None

    def rows(self) -> list[dict[str, Any]]:
        """The log; a line that a kill cut short is dropped."""
        if not self.log.is_file() or not self.log.stat().st_size:
            return []
        rows = []
        lines = read_text(self.log, error=CheckpointError).splitlines()
        for number, line in enumerate(lines, start=1):
            source = f"{self.log}: line {number}"
            try:
                content = json_value(source, line, error=CheckpointError)
            except CheckpointError:
                continue
            row = validated(_ROW, content, source=source, error=CheckpointError)
            rows.append(row.model_dump(exclude_unset=True))
        return rows

    def keep_rows_until(self, step: int) -> None:
        """Drop the lines of steps after ``step``, which will be run again."""
        kept = [row for row in self.rows() if row.get("step", 0) <= step]
        write_text(self.log, "".join(json.dumps(row) + "\n" for row in kept))


_BEFORE_FIRST_STEP = {
    *("config.yaml", "labels.json", "environment.json"),
    *("frozen.safetensors", "features.json", "log.jsonl"),
}


def create_run(path: Path, config: AnyConfig, *, labels: LabelMap) -> RunFolder:
    """A new run folder with its settings, classes and environment.

    Raises: ConfigError if the folder holds something else than a run that was never trained.
    """
    folder = RunFolder(path)
    if path.exists():
        remove_partials_in(path)
        present = {file.name for file in path.iterdir()} - {LOCK_FILE}
        # A run that was stopped before its first checkpoint has lost nothing: it starts anew.
        if present and (folder.config.name not in present or present - _BEFORE_FIRST_STEP):
            raise ConfigError(f"{path}: exists already; choose another --out, or pass --resume")
        folder.log.unlink(missing_ok=True)
    write_text(folder.config, dump_config(config, folder=path))
    write_json(folder.labels, asdict(labels))
    write_json(path / "environment.json", describe_environment())
    return folder


def describe_environment() -> dict[str, Any]:
    """Versions and hardware that a result depends on."""
    packages = ("torch", "numpy", "av", "opencv-python-headless", "pydantic", "safetensors")
    return {
        "mmad": __version__,
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "packages": {name: metadata.version(name) for name in packages},
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def run_weights(folder: RunFolder) -> dict[str, Tensor]:
    """All weights of a run by name: those of the best checkpoint, else the averaged of the last.

    Raises: CheckpointError if the folder is not a run, holds no checkpoint yet, or its files do not
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


def fill_from_run(model: nn.Module, path: str | Path, *, keeps_backbone: bool = False) -> None:
    """Give the model the weights of a run.

    A detector on features takes the temporal part of one on videos.

    Args:
        keeps_backbone: of a run on features, which has none, a detector on videos may take the
            temporal part and keep its own backbone.

    Raises: CheckpointError as `run_weights`, or if the run is of another kind of model.
    """
    weights = run_weights(RunFolder(Path(path)))
    wanted = set(model.state_dict())
    if isinstance(model, FeatureDetector):
        weights = {name: value for name, value in weights.items() if name in wanted}
    elif keeps_backbone and not any(name.startswith(_BACKBONE) for name in weights):
        wanted = {name for name in wanted if not name.startswith(_BACKBONE)}
    missing = sorted(wanted - set(weights))
    if missing:
        raise CheckpointError(
            f"{path}: the checkpoint lacks {few(missing)}; a run of another task or head gives its "
            "backbone and adapters with backbone.pretrained"
        )
    load_exactly(model, weights, source=str(path))


def labels_of(folder: RunFolder) -> LabelMap:
    """The classes that a run was trained on.

    Raises: CheckpointError if the folder is not a run.
    """
    if not folder.config.is_file() or not folder.labels.is_file():
        raise CheckpointError(
            f"{folder.path}: is not a run folder (no config.yaml or labels.json in it)"
        )
    return read_label_map(folder.labels)


def read_state(folder: RunFolder) -> TrainingState:
    """The state to resume from.

    Raises: CheckpointError if it is damaged or holds anything else.
    """
    expected = "the state of a training; start again without --resume"
    with reading(folder.last, expected=expected, error=CheckpointError):
        content = load_pickled(folder.last, error=CheckpointError)
    return validated(_STATE, content, source=folder.last, error=CheckpointError)


def load_run(
    path: str | Path, *, features: FeatureManifest | None = None
) -> tuple[Detector, DetectionRun, LabelMap]:
    """The trained detector of a run folder, ready to use, its settings and its classes.

    Args:
        path: the run folder.
        features: use its temporal part on such features, also if it was trained on videos.

    Raises: CheckpointError as `run_weights`.
    """
    folder = RunFolder(Path(path))
    labels = labels_of(folder)
    config = load_config(folder.config)
    if features is None:
        features = folder.manifest()
    model = build_detector(
        config,
        num_classes=len(labels),
        feature_channels=None if features is None else features.channels,
    )
    fill_from_run(model, path)
    return model.eval(), config, labels


def load_recogniser(path: str | Path) -> tuple[Recogniser, RecognitionConfig, LabelMap]:
    """The trained recogniser of a run folder, ready to use, its settings and its classes.

    Raises: CheckpointError as `run_weights`, or if the run is of another task.
    """
    folder = RunFolder(Path(path))
    labels = labels_of(folder)
    config = load_any_config(folder.config)
    if not isinstance(config, RecognitionConfig):
        raise CheckpointError(f"{path}: is a run of {config.task}; expected one of recognition")
    model = build_recogniser(config, labels=labels)
    fill_from_run(model, path)
    return model.eval(), config, labels


def save_frozen(folder: RunFolder, model: nn.Module) -> str:
    """Write the frozen weights and return their hash."""
    state = frozen_state(model)
    save_tensors(folder.frozen, state)
    return hash_state(state)
