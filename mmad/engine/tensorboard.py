"""Optional TensorBoard scalars of a run's log, beside log.jsonl."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmad.errors import ConfigError


def require_tensorboard() -> None:
    """Raise `ConfigError`, with how to install it, unless TensorBoard can be imported."""
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"training.tensorboard: TensorBoard cannot be imported ({error}); "
            "pip install 'mmad[logging]', or leave the setting false"
        ) from None


class TensorBoardLog:
    """Writes event files into a folder; see `require_tensorboard`.

    Args:
        folder: Folder of event files; created if missing.
        first_step: Events of this step and later ones in earlier files are hidden; a resumed run
            writes them again.
    """

    def __init__(self, folder: Path, *, first_step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder), purge_step=first_step)

    def append(self, row: Mapping[str, Any]) -> None:
        """Add the numbers of a row as scalars ``<kind>/<name>`` at its step."""
        for name, value in row.items():
            if name not in ("step", "epoch") and isinstance(value, int | float):
                self._writer.add_scalar(f"{row['kind']}/{name}", value, row["step"])

    def close(self) -> None:
        """Flush and close the file."""
        self._writer.close()
