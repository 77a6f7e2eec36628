"""`train`: a config, with changes, to a run."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmad.api.calls import Place, public
from mmad.api.overrides import as_overrides
from mmad.api.tables import data_frame
from mmad.config.reading import load_any_config, run_folder_of
from mmad.config.run import AnyConfig
from mmad.engine.runs.folder import RunFolder
from mmad.engine.training import train_run
from mmad.errors import CheckpointError
from mmad.progress import Listener

if TYPE_CHECKING:
    from pandas import DataFrame

    from mmad.api.model import Model


@dataclass(frozen=True)
class Run:
    """A trained run in its folder.

    Attributes:
        path: Run folder; docs/train.md says what is in it.

    Raises: CheckpointError if the folder is not a run.
    """

    path: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))
        if not self._folder.config.is_file():
            raise CheckpointError(f"{self.path}: is not a run folder (no config.yaml in it)")

    @property
    def _folder(self) -> RunFolder:
        return RunFolder(self.path)

    @property
    def config(self) -> AnyConfig:
        """All settings.

        Raises: ConfigError if they cannot be read.
        """
        return load_any_config(self._folder.config)

    @property
    def log(self) -> list[dict[str, Any]]:
        """The rows of the log: steps (loss, learning rate) and validations."""
        return self._folder.rows()

    @property
    def best(self) -> dict[str, Any] | None:
        """The validation whose weights are kept; None if there was none."""
        rows = [row for row in self.log if row.get("kind") == "validation"]
        step = _step_of(self._folder)
        return next((row for row in rows if row["step"] == step), None)

    @property
    def curves(self) -> Path:
        """Figure of losses and validations."""
        return self._folder.curves

    def predictions(self, subset: str = "val") -> Path:
        """File of the predictions of a subset, for `mmad.evaluate`."""
        return self._folder.predictions(subset, ".csv")

    @public
    def to_frame(self, kind: str = "validation") -> "DataFrame":
        """A pandas table of the rows of the log of a kind: "step" or "validation".

        Raises: MmadError if pandas is not installed.
        """
        rows = [row for row in self.log if row.get("kind") == kind]
        names = dict.fromkeys(name for row in rows for name in row if name != "kind")
        return data_frame({name: [row.get(name) for row in rows] for name in names})

    def load(self, *, device: str = "auto") -> "Model":
        """The trained model, as `mmad.load` gives it."""
        from mmad.api.model import load

        return load(self.path, device=device)


def _step_of(folder: RunFolder) -> int | None:
    """The step whose weights are the best."""
    from mmad.checkpoint import load_tensors

    if not folder.best.is_file():
        return None
    step = load_tensors(folder.best)[1].get("step", "")
    return int(step) if step.isdecimal() else None


@public
def train(
    config: Place,
    overrides: Mapping[str, Any] | None = None,
    *,
    out: Place | None = None,
    resume: bool = False,
    device: str = "auto",
    progress: bool | Listener = True,
    **changes: Any,
) -> Run:
    """Train a model, as ``mmad train`` does.

    Args:
        config: YAML file, your own or a shipped one.
        overrides: Changes of settings by their keys, such as ``{"training.epochs": 10}``.
        out: Run folder; by default that of ``mmad train``, runs/CONFIG.
        resume: Resume from the last checkpoint of ``out``.
        device: As in `mmad.load`.
        progress: True shows a bar; a function is called with the fraction done after each step, and
            may raise to stop: the last checkpoint is kept, and ``resume=True`` goes on from it.
        changes: Changes of settings as arguments, such as ``training__epochs=10``.

    Returns: The run.

    Raises: MmadError for any problem with settings, annotations, videos or weights.
    """
    settings = load_any_config(os.fspath(config), overrides=as_overrides(overrides or {}, changes))
    folder = Path(out) if out is not None else run_folder_of(os.fspath(config), settings)
    quiet = progress is not True
    listener = None if isinstance(progress, bool) else progress
    train_run(settings, out=folder, resume=resume, quiet=quiet, device=device, listener=listener)
    return Run(folder)
