"""The head that a project teaches: a max-pooling pyramid with few channels on stored features.

It is a run on features like any other: what is learnt on projected features is turned into weights
for the stored ones.

Shapes: B windows, T steps, P points over all levels, K behaviours, C channels of stored features, D
of projected ones.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mmad.config.run import FeatureRun
from mmad.engine.teaching.lesson import LessonBatch, VideoLesson, batch_of, windows_of
from mmad.models.build import build_detector
from mmad.models.detectors.contract import PartialCriterion
from mmad.models.detectors.families import build_criterion, build_normalizer
from mmad.models.detectors.whole import FeatureDetector
from mmad.models.layers.loss_normalizer import LossNormalizer

# After how many steps of training a head is kept and judged.
CHECKPOINTS = (40, 80, 120, 160)
_BATCH_WINDOWS = 8
_LEARNING_RATE = 2e-3
_WEIGHT_DECAY = 0.05
_WARMUP_STEPS = 20
_AVERAGE = 0.97
# Of the noise on features in training, whose mean square is 1.
_NOISE = 0.3
_FIRST = "network.pyramid.embed.0.conv.conv.weight"


def head_config(features: Path, *, steps_per_stored: float, seed: int) -> FeatureRun:
    """The settings of a head, as a run on the features in a file."""
    return FeatureRun.model_validate(
        {
            "seed": seed,
            "data": {
                "annotations": "none",
                "features": str(features),
                "window_steps": round(1024 / steps_per_stored),
            },
            "upsampling": steps_per_stored,
            "detector": {
                "name": "temporalmaxer",
                "channels": 96,
                "num_embedding": 2,
                "num_branch": 4,
                "num_convs": 1,
                "drop_path": 0.0,
                "assigner": None,
                "shortest_labels_only": False,
                "regression_ranges": [[0, 6], [4, 12], [8, 24], [16, 48], [32, 10000]],
                "normalizer": 20.0,
            },
            "training": {"epochs": 1},
            "inference": {"max_candidates": 1000, "max_detections": 1000, "batch_windows": 4},
        }
    )


@dataclass(frozen=True, eq=False)
class Head:
    """A trained head.

    Attributes:
        config: Its settings.
        network: On projected features.
        num_behaviours: K.
        num_steps: Steps of training.
    """

    config: FeatureRun
    network: FeatureDetector
    num_behaviours: int
    num_steps: int

    def on_stored(self, projection_DC: Tensor) -> FeatureDetector:
        """The same head on the stored features, whose projection its first convolution absorbs."""
        network = build_detector(
            self.config,
            num_classes=self.num_behaviours,
            feature_channels=projection_DC.shape[1],
        )
        assert isinstance(network, FeatureDetector)
        state = dict(self.network.state_dict())
        weight = state[_FIRST].double()
        state[_FIRST] = torch.einsum("odk,dc->ock", weight, projection_DC.double()).float()
        network.load_state_dict(state)
        return network.eval()


def train_head(
    config: FeatureRun,
    lessons: Mapping[str, VideoLesson],
    *,
    num_behaviours: int,
    checkpoints: Sequence[int],
    on_step: Callable[[], object] = lambda: None,
) -> Iterator[Head]:
    """Train a head, and give it after each of some numbers of steps; the same for the same seed.

    Its random weights are drawn at once, so that several heads can then be trained in threads.

    Args:
        config: Settings.
        lessons: Videos to learn from.
        num_behaviours: K.
        checkpoints: Numbers of steps, ascending.
        on_step: Called after each step.
    """
    videos = [lessons[name] for name in sorted(lessons)]
    channels = len(videos[0].sequence.features_DT)
    network = build_detector(config, num_classes=num_behaviours, feature_channels=channels)
    assert isinstance(network, FeatureDetector)
    criterion = build_criterion(config.detector, num_classes=num_behaviours)
    assert isinstance(criterion, PartialCriterion)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY
    )
    started = _Training(config, videos, network, criterion, optimizer)
    return started.heads(num_behaviours, checkpoints, on_step)


@dataclass(frozen=True, eq=False)
class _Training:
    """The training of a head."""

    config: FeatureRun
    videos: Sequence[VideoLesson]
    network: FeatureDetector
    criterion: PartialCriterion
    optimizer: torch.optim.Optimizer

    def heads(
        self, num_behaviours: int, checkpoints: Sequence[int], on_step: Callable[[], object]
    ) -> Iterator[Head]:
        """The head after each of some numbers of steps."""
        rng = np.random.default_rng(self.config.seed)
        noise = torch.Generator().manual_seed(self.config.seed)
        normalizer = build_normalizer(self.config.detector)
        average = {name: value.clone() for name, value in self.network.state_dict().items()}
        windows: list[tuple[VideoLesson, int]] = []
        self.network.train()
        for step in range(1, checkpoints[-1] + 1):
            while len(windows) < _BATCH_WINDOWS:
                windows += windows_of(self.videos, rng)
            batch = batch_of(windows[:_BATCH_WINDOWS])
            del windows[:_BATCH_WINDOWS]
            self._step(batch, step, noise, normalizer)
            decay = min(_AVERAGE, step / (step + 10))
            for name, value in self.network.state_dict().items():
                average[name].lerp_(value, 1 - decay)
            on_step()
            if step in checkpoints:
                kept = copy.deepcopy(self.network)
                kept.load_state_dict(average)
                yield Head(self.config, kept.eval(), num_behaviours, step)

    def _step(
        self, batch: LessonBatch, step: int, noise: torch.Generator, normalizer: LossNormalizer
    ) -> None:
        features = batch.features_BDT
        added = torch.randn(features.shape, generator=noise) * _NOISE
        outputs = self.network((features + added) * batch.mask_BT[:, None], batch.mask_BT)
        losses = self.criterion.where_known(
            outputs, batch.segments_grid, batch.labels, batch.known_BTK
        )
        loss = losses.total / normalizer.update(losses.num_positives)
        for group in self.optimizer.param_groups:
            group["lr"] = _LEARNING_RATE * min(1.0, step / _WARMUP_STEPS)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
