"""What the training loop needs to know of a task: its losses, and how a model is judged."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from mmad.data.samples import Batch
from mmad.video.reading import ReadVideo, notices

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Validation:
    """What a validation found.

    Attributes:
        figure: larger is better; the best one chooses the checkpoint.
        row: for the log; empty if there is nothing to validate on.
        keep: writes the predictions; called if the figure is the best so far.
    """

    figure: float
    row: Mapping[str, Any]
    keep: Callable[[], object] = lambda: None


class FirstReading:
    """Warns once of what was found in the video files of a training and its first validation."""

    def __init__(self) -> None:
        self._trained_on: dict[str, ReadVideo] = {}
        self._has_told = False

    def add(self, batch: Any) -> None:
        """Note what was found in the files of a training batch; stored features have none."""
        if isinstance(batch, Batch) and not self._has_told:
            self._trained_on |= batch.read

    def tell(self, validation: Mapping[str, ReadVideo]) -> None:
        """Warn, at the first call, of training and validation videos."""
        if self._has_told:
            return
        self._has_told = True
        for name, read in (("training", self._trained_on), ("validation", validation)):
            for notice in notices(list(read.values())):
                _logger.warning("%s: %s", name, notice)


class Task(Protocol):
    """What the loop needs to know of a task."""

    def prepare(self, batch: Any, device: torch.device) -> Any:
        """The micro-batch on its device, as `losses` wants it."""

    def losses(self, model: nn.Module, prepared: Any) -> tuple[Mapping[str, Tensor], Tensor]:
        """Sums of the losses of a micro-batch ("loss" is what is minimised), not yet divided by
        anything, and the number of its positives, by a mean of which they will be.
        """

    def validate(self, model: nn.Module, *, quiet: bool) -> Validation:
        """How good the model is; its progress is shown unless ``quiet``."""
