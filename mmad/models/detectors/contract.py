"""What every family of detectors supplies.

A family is three objects: the network (features and mask to raw outputs of its own), the criterion
(raw outputs and annotations to `Losses`) and the decoder (raw outputs to `WindowCandidates`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from mmad.config.inference import InferenceSettings


@dataclass(frozen=True)
class Losses:
    """Losses of a batch.

    Attributes:
        parts: sums by name, weighted as they enter the total, not divided by anything.
        num_positives: what they are to be divided by is a running mean of this.
    """

    parts: Mapping[str, Tensor]
    num_positives: Tensor

    @property
    def total(self) -> Tensor:
        """What is minimised."""
        return torch.stack([part.float() for part in self.parts.values()]).sum()


class Criterion(Protocol):
    """Targets and losses of a family."""

    def __call__(
        self, outputs: Any, segments_grid: Sequence[Tensor], labels: Sequence[Tensor]
    ) -> Losses:
        """The losses.

        Args:
            outputs: of the network.
            segments_grid: (N, 2) of each window, in steps of its grid, on the outputs' device.
            labels: (N,) of each window.
        """


@dataclass(frozen=True)
class WindowCandidates:
    """Candidates of one window by falling score: segments (N, 2) in steps, labels, scores."""

    segments_grid: Tensor
    labels: Tensor
    scores: Tensor


class Decoder(Protocol):
    """Raw outputs to candidates."""

    def __call__(self, outputs: Any) -> list[WindowCandidates]:
        """The best candidates of each window of the batch."""


@dataclass(frozen=True)
class Family:
    """How the three objects of a detector are made of its settings.

    Attributes:
        network: from settings, channels of the features and number of classes.
        criterion: from settings and number of classes.
        decoder: from settings and those of inference.
    """

    network: Callable[[Any, int, int], nn.Module]
    criterion: Callable[[Any, int], Criterion]
    decoder: Callable[[Any, InferenceSettings], Decoder]
