"""Stored features as short sequences of few channels, which a small head learns from in seconds.

Shapes: T steps, C channels of the stored features, D channels that are kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmad.data.features.files import FeatureSource
from mmad.data.features.windows import WindowReader
from mmad.data.windows import Window
from mmad.engine.jobs.project_features import record_in_project
from mmad.projects.records import ProjectVideo
from mmad.structures import Annotations, FeatureGrid

NUM_CHANNELS = 96
# Finer steps cost time and, below the length of the shortest micro-actions, bring nothing.
STEPS_PER_SECOND = 6.0
# Directions with less than this share of the largest one's energy are noise of the numbers.
_LEAST_ENERGY = 1e-7


@dataclass(frozen=True, eq=False)
class StepSequence:
    """The features of a video.

    Attributes:
        features_DT: Features, float32.
        grid: Where the steps lie in the video.
    """

    features_DT: Tensor
    grid: FeatureGrid

    @property
    def times(self) -> NDArray[np.float64]:
        """Time of each step in seconds."""
        return self.grid.to_seconds(np.arange(self.grid.num_steps)[:, None].repeat(2, 1))[:, 0]


@dataclass(frozen=True, eq=False)
class Sequences:
    """The features of all videos in the same directions.

    Attributes:
        videos: Features of each video, by name.
        projection_DC: From stored features to these: the directions of most energy, each scaled to
            a mean square of 1. It is linear without an offset, so that a first convolution can
            absorb it.
        steps_per_stored: Steps for each stored step.
    """

    videos: Mapping[str, StepSequence]
    projection_DC: Tensor
    steps_per_stored: float


def read_sequences(source: FeatureSource, videos: Sequence[ProjectVideo]) -> Sequences:
    """The features of videos, all of which ``source`` has.

    Raises: FeatureError if they cannot be read or are not finite.
    """
    records = {video.name: record_in_project(video) for video in videos}
    whole = WindowReader(source, steps_per_stored=1)
    rates = [1 / whole.seconds_per_row(record) for record in records.values()]
    factor = 1 / max(1, int(float(np.median(rates)) // STEPS_PER_SECOND))
    reader = WindowReader(source, steps_per_stored=factor)

    def read(name: str) -> StepSequence:
        steps = source.video(name).num_steps
        sample = reader.sample(records[name], Window(0, steps), Annotations())
        return StepSequence(sample.features_CT[:, : sample.grid.num_steps], sample.grid)

    moment_CC, count = None, 0
    for name in records:
        features_CT = read(name).features_DT.double()
        moment_CC = features_CT @ features_CT.t() + (0 if moment_CC is None else moment_CC)
        count += features_CT.shape[1]
    assert moment_CC is not None
    energies, directions_CC = torch.linalg.eigh(moment_CC / count)
    kept = torch.arange(len(energies) - 1, max(-1, len(energies) - 1 - NUM_CHANNELS), -1)
    kept = kept[energies[kept] > _LEAST_ENERGY * energies[-1].clamp(min=1e-30)]
    directions_DC = directions_CC[:, kept].t()
    # The sign of a direction is arbitrary; its largest entry decides, on every machine.
    largest = directions_DC.abs().argmax(dim=1, keepdim=True)
    directions_DC = directions_DC * directions_DC.gather(1, largest).sign()
    projection_DC = (directions_DC / energies[kept, None].sqrt()).float()
    sequences = {}
    for name in records:
        one = read(name)
        sequences[name] = StepSequence(projection_DC @ one.features_DT, one.grid)
    return Sequences(sequences, projection_DC, factor)
