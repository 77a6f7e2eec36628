"""The contract of a task: data, model, losses and validation."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from mmad.config.backbones.family import BackboneFamilySettings
from mmad.data.features.manifest import FeatureManifest
from mmad.data.samples import Batch
from mmad.labels import LabelMap
from mmad.models.backbones.contract import Backbone
from mmad.models.layers.loss_normalizer import LossNormalizer
from mmad.video.reading import ReadVideo, notices

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Validation:
    """The result of a validation.

    Attributes:
        figure: Larger is better; the best one selects the checkpoint.
        row: Row for the log; empty without validation data.
        keep: Writes the predictions; called if the figure is the best so far.
    """

    figure: float
    row: Mapping[str, Any]
    keep: Callable[[], object] = lambda: None


class FirstReading:
    """Warns once of notices about the video files of a training and its first validation.

    Args:
        notices: The notices about files.
    """

    def __init__(self, notices: Callable[[Sequence[ReadVideo]], list[str]] = notices) -> None:
        self._notices = notices
        self._trained_on: dict[str, ReadVideo] = {}
        self._has_told = False

    def add(self, batch: Any) -> None:
        """Note the notices about the files of a training batch; stored features have none."""
        if isinstance(batch, Batch) and not self._has_told:
            self._trained_on |= batch.read

    def tell(self, validation: Mapping[str, ReadVideo]) -> None:
        """Warn of training and validation videos, at the first call only."""
        if self._has_told:
            return
        self._has_told = True
        for name, read in (("training", self._trained_on), ("validation", validation)):
            for notice in self._notices(list(read.values())):
                _logger.warning("%s: %s", name, notice)


class Task(Protocol):
    """What the loop needs to know of a task."""

    def prepare(self, batch: Any, device: torch.device) -> Any:
        """The micro-batch on its device, as `losses` expects it."""

    def losses(self, model: nn.Module, prepared: Any) -> tuple[Mapping[str, Tensor], Tensor]:
        """Unnormalised sums of the losses of a micro-batch ("loss" is minimised), and the number of
        its positives, whose running mean normalises them.
        """

    def validate(self, model: nn.Module, *, quiet: bool) -> Validation:
        """Validate the model; progress is shown unless ``quiet``."""


class StartingBackbone(NamedTuple):
    """A backbone of a model, and the settings that name its pretrained weights, if any."""

    backbone: Backbone
    settings: BackboneFamilySettings


@dataclass
class Experiment:
    """Everything that `mmad.engine.training.train_run` needs to know of a task.

    Attributes:
        model: Model with random weights, its parameters frozen as configured.
        backbones: Its backbones with the settings of their starts.
        labels: Labels to learn; None if nothing is named.
        task: Losses and validation.
        dataset: Data set indexed by (epoch, index).
        num_items: Length of the data set.
        collate: Collates samples into (batch, failures).
        normalizer: Normaliser of the losses.
        facts: Facts about the data, for the log.
        features: Manifest of the stored features to train on; None for videos.
        rate_factors: As in `parameter_groups`.
        start_more: Loads what a new training starts from beside its backbones; returns what to tell
            about it.
    """

    model: nn.Module
    backbones: tuple[StartingBackbone, ...]
    labels: LabelMap | None
    task: Task
    dataset: Dataset
    num_items: int
    collate: Callable[[Any], tuple[Any, list]]
    normalizer: LossNormalizer
    facts: Mapping[str, Any] = field(default_factory=dict)
    features: FeatureManifest | None = None
    rate_factors: Mapping[str, float] = field(default_factory=dict)
    start_more: Callable[[], Sequence[str]] = lambda: ()
