"""The contract of a task: its data, model and losses, and how the model is judged."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from mmad.data.features.manifest import FeatureManifest
from mmad.data.samples import Batch
from mmad.labels import LabelMap
from mmad.models.backbones.contract import Backbone
from mmad.models.layers.loss_normalizer import LossNormalizer
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


@dataclass
class Experiment:
    """Everything that `mmad.engine.training.train_run` needs to know of a task.

    Attributes:
        model: at random weights, with the right parameters frozen.
        backbones: of it; all start from the same pretrained weights.
        labels: what is learnt.
        task: losses and validation.
        dataset: indexed by (epoch, index).
        num_items: length of the dataset.
        collate: makes (batch, failures) of samples.
        normalizer: of the losses.
        facts: about the data, for the log.
        features: manifest of the stored features that are learnt from; None for videos.
    """

    model: nn.Module
    backbones: tuple[Backbone, ...]
    labels: LabelMap
    task: Task
    dataset: Dataset
    num_items: int
    collate: Callable[[Any], tuple[Any, list]]
    normalizer: LossNormalizer
    facts: Mapping[str, Any] = field(default_factory=dict)
    features: FeatureManifest | None = None
