"""Weights & Biases. Its own variables choose the rest: WANDB_PROJECT, WANDB_ENTITY, WANDB_MODE."""

import os
import secrets
from collections.abc import Sequence

from mmad.engine.loggers.contract import Ending, LoggedRun, Row, figures_of


class WandbLogger:
    """One W&B run for a run folder. Steps that a resumed training runs again are equal, and W&B
    keeps those that it has.
    """

    def __init__(self, run: LoggedRun) -> None:
        import wandb

        self.id: str | None = run.id or secrets.token_hex(4)
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "mmad"),
            id=self.id,
            name=run.folder.name,
            resume="allow",
            dir=str(run.folder),
            config=dict(run.settings),
            settings=wandb.Settings(console="off"),
        )

    def log(self, rows: Sequence[Row]) -> None:
        """As in `Logger`."""
        for row in rows:
            self._run.log(figures_of(row), step=row["step"])

    def close(self, ending: Ending) -> None:
        """As in `Logger`."""
        self._run.finish(exit_code=0 if ending == "finished" else 1)
