"""What a task brings to a training: made by `prepare_detection` or `prepare_recognition`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn
from torch.utils.data import Dataset

from mmad.data.feature_manifest import FeatureManifest
from mmad.engine.task import Task
from mmad.labels import LabelMap
from mmad.models.losses import LossNormalizer
from mmad.models.videomae import VideoMAE


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
    backbones: tuple[VideoMAE, ...]
    labels: LabelMap
    task: Task
    dataset: Dataset
    num_items: int
    collate: Callable[[Any], tuple[Any, list]]
    normalizer: LossNormalizer
    facts: Mapping[str, Any] = field(default_factory=dict)
    features: FeatureManifest | None = None
