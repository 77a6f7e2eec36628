"""The rows of a run's log as TensorBoard scalars: an extra, beside log.jsonl."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmad.errors import ConfigError


def require_tensorboard() -> None:
    """Do nothing if the package is there.

    Raises: ConfigError that says how to install it.
    """
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
        folder: made if it is missing.
        first_step: what earlier event files hold of this step and later ones is hidden; a resumed
            run writes it again.
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
        """Write what is still in memory."""
        self._writer.close()
