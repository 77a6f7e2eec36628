"""The files of a run folder; docs/train.md has a table."""

import json
import platform
import re
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
    frozen_state,
    hash_state,
    load_pickled,
    save_tensors,
)
from mmad.config.base import LARGEST, Count, PositiveRate, validated
from mmad.config.reading import dump_config
from mmad.config.run import AnyConfig
from mmad.data.features.manifest import FeatureManifest, read_manifest
from mmad.errors import CheckpointError, ConfigError
from mmad.evaluation.thresholds import FILE_NAME as THRESHOLDS_FILE
from mmad.files import cannot_write, remove_partials_in, write_json, write_text
from mmad.labels import LabelMap
from mmad.names import safe_name
from mmad.parsing import json_value, read_text, reading
from mmad.process_lock import LOCK_FILE
from mmad.sharded import gathered, is_sharded
from mmad.weights.hub import source_of

FROZEN_HASH = "frozen_sha256"


class LogRow(BaseModel):
    """A line of the log; each kind has further figures."""

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
        """The complete settings."""
        return self.path / "config.yaml"

    @property
    def labels(self) -> Path:
        """The labels."""
        return self.path / "labels.json"

    @property
    def log(self) -> Path:
        """One JSON object per line: steps and validations."""
        return self.path / "log.jsonl"

    @property
    def frozen(self) -> Path:
        """Frozen weights."""
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
        """Manifest of the stored features that it was trained on; missing if trained on videos."""
        return self.path / "features.json"

    @property
    def reconstructions(self) -> Path:
        """Images of what pre-training paints, at the best validation."""
        return self.path / "reconstructions.png"

    @property
    def curves(self) -> Path:
        """Figure of losses and validation."""
        return self.path / "curves.png"

    @property
    def thresholds(self) -> Path:
        """Lowest score of each behaviour, chosen on the validation subset; see `Thresholds`."""
        return self.path / THRESHOLDS_FILE

    def version(self) -> str | None:
        """Version of mmad that made the run; None if it is not recorded."""
        path = self.path / "environment.json"
        if not path.is_file():
            return None
        content = json_value(path, read_text(path, error=CheckpointError), error=CheckpointError)
        found = content.get("mmad") if isinstance(content, dict) else None
        return found if isinstance(found, str) else None

    def manifest(self) -> FeatureManifest | None:
        """Manifest of the stored features that it was trained on; None if trained on videos."""
        if not self.features.is_file():
            return None
        text = read_text(self.features, error=CheckpointError)
        return read_manifest(text, source=str(self.features))

    def predictions(self, subset: str, suffix: str) -> Path:
        """Predictions of a subset; of a run in the cache of the Hub, in the working folder."""
        source = source_of(self.path)
        if source is not None:
            name = safe_name(source.repository.replace("/", "_"))
            return Path("predictions") / name / f"{subset}{suffix}"
        return self.path / "predictions" / f"{subset}{suffix}"

    def training_fps(self) -> float | None:
        """Frames per second of the training videos, or None if the run has not recorded it."""
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
        """The log; a line cut short by an interruption is dropped."""
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
        """Drop the lines after ``step``, whose steps will be run again."""
        kept = [row for row in self.rows() if row.get("step", 0) <= step]
        write_text(self.log, "".join(json.dumps(row) + "\n" for row in kept))


def version_numbers(version: str) -> tuple[int, ...]:
    """The numbers of a version, for comparison.

    >>> version_numbers("0.10.1") > version_numbers("0.9.3"), version_numbers("1.2.dev3")
    (True, (1, 2))
    """
    found = re.match(r"\d{1,9}(\.\d{1,9})*", version)
    return tuple(map(int, found.group().split("."))) if found else ()


_BEFORE_FIRST_STEP = {
    *("config.yaml", "labels.json", "environment.json"),
    *("frozen.safetensors", "features.json", "log.jsonl"),
}


def create_run(path: Path, config: AnyConfig, *, labels: LabelMap | None) -> RunFolder:
    """A new run folder with its settings, labels (pre-training has none) and environment.

    Raises: ConfigError if the folder holds anything but a run that was never trained.
    """
    folder = RunFolder(path)
    if path.exists():
        remove_partials_in(path)
        present = {file.name for file in path.iterdir()} - {LOCK_FILE}
        # A run interrupted before its first checkpoint has lost nothing and starts over.
        if present and (folder.config.name not in present or present - _BEFORE_FIRST_STEP):
            raise ConfigError(f"{path}: exists already; choose another --out, or pass --resume")
        folder.log.unlink(missing_ok=True)
    write_text(folder.config, dump_config(config, folder=path))
    if labels is not None:
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


def read_state(folder: RunFolder) -> TrainingState:
    """The state to resume from.

    Raises: CheckpointError if it is damaged or holds anything else.
    """
    expected = "the state of a training; start again without --resume"
    with reading(folder.last, expected=expected, error=CheckpointError):
        content = load_pickled(folder.last, error=CheckpointError)
    return validated(_STATE, content, source=folder.last, error=CheckpointError)


def save_frozen(folder: RunFolder, model: nn.Module, *, is_main: bool = True) -> str:
    """Write the frozen weights in the main process, and return their hash.

    Processes that share the weights must all call this.
    """
    state = frozen_state(model)
    if any(map(is_sharded, state.values())):
        state = gathered(state, keep=is_main)
    if not is_main:
        return ""
    save_tensors(folder.frozen, state)
    return hash_state(state)
