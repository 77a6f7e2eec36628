"""TensorBoard: event files in ``tensorboard/`` of the run folder."""

from collections.abc import Sequence

from mmad.engine.loggers.contract import Ending, LoggedRun, Row, figures_of


class TensorBoardLogger:
    """Events of steps that a resumed training runs again are hidden in earlier files."""

    id: str | None = None

    def __init__(self, run: LoggedRun) -> None:
        from torch.utils.tensorboard import SummaryWriter

        folder = str(run.folder / "tensorboard")
        self._writer = SummaryWriter(folder, purge_step=run.first_step)

    def log(self, rows: Sequence[Row]) -> None:
        """As in `Logger`."""
        for row in rows:
            for name, value in figures_of(row).items():
                self._writer.add_scalar(name, value, row["step"])

    def close(self, ending: Ending) -> None:
        """As in `Logger`."""
        self._writer.close()
