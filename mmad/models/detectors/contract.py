"""The contract of detector families.

A family is three objects: the network (features and mask to raw outputs of its own), the criterion
(raw outputs and annotations to `Losses`) and the decoder (raw outputs to `WindowCandidates`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from mmad.config.inference import InferenceSettings


@dataclass(frozen=True)
class Losses:
    """Losses of a batch.

    Attributes:
        parts: Sums by name, weighted as in the total, not normalised.
        num_positives: Number of positives, whose running mean is the normaliser.
    """

    parts: Mapping[str, Tensor]
    num_positives: Tensor

    @property
    def total(self) -> Tensor:
        """The total loss, which is minimised."""
        return torch.stack([part.float() for part in self.parts.values()]).sum()


class Criterion(Protocol):
    """Targets and losses of a family."""

    def __call__(
        self, outputs: Any, segments_grid: Sequence[Tensor], labels: Sequence[Tensor]
    ) -> Losses:
        """The losses.

        Args:
            outputs: Raw outputs of the network.
            segments_grid: Annotated segments (N, 2) of each window, in steps of its grid, on the
                outputs' device.
            labels: Their labels (N,).
        """


@runtime_checkable
class PartialCriterion(Criterion, Protocol):
    """A criterion for videos of which people have annotated only some stretches and labels."""

    def where_known(
        self,
        outputs: Any,
        segments_grid: Sequence[Tensor],
        labels: Sequence[Tensor],
        known_BTK: Tensor,
    ) -> Losses:
        """The losses where it is known if a label is there; in the segments of a label it is.

        Args:
            outputs, segments_grid, labels: As in `Criterion`.
            known_BTK: Whether that is known, for each window, step of its grid and label.
        """


@dataclass(frozen=True)
class WindowCandidates:
    """Candidates of one window by descending score: segments (N, 2) in steps, labels, scores."""

    segments_grid: Tensor
    labels: Tensor
    scores: Tensor


class Decoder(Protocol):
    """Raw outputs to candidates."""

    def __call__(self, outputs: Any) -> list[WindowCandidates]:
        """The best candidates of each window of the batch."""


@dataclass(frozen=True)
class RankedCandidates:
    """The best pairs of a row of scores and a class of each window, in a number that no value
    decides; so an exported network can give them.

    Attributes:
        segments_BN2: Start and end in steps.
        labels_BN: Their classes.
        scores_BN: Their scores.
    """

    segments_BN2: Tensor
    labels_BN: Tensor
    scores_BN: Tensor


@runtime_checkable
class RankingDecoder(Decoder, Protocol):
    """A decoder whose candidates are the best of a list, less those that it drops."""

    @property
    def score_threshold(self) -> float:
        """Candidates at or below it are dropped."""

    @property
    def max_candidates(self) -> int:
        """Maximum number of candidates of a window."""

    @property
    def min_length(self) -> float:
        """Candidates of this many steps or fewer are dropped; 0 keeps all."""

    def ranked(self, outputs: Any) -> RankedCandidates:
        """The list of each window, before any is dropped."""


@dataclass(frozen=True)
class Family:
    """How the three objects of a detector are built from its settings.

    Attributes:
        network: Builds the network from settings, feature channels and number of classes; a dense
            detector with a body-level head also from the body part of each class.
        criterion: Builds the criterion from settings and number of classes.
        decoder: Builds the decoder from settings and inference settings.
        outputs: Type of the raw outputs, a dataclass of tensors.
    """

    network: Callable[..., nn.Module]
    criterion: Callable[[Any, int], Criterion]
    decoder: Callable[[Any, InferenceSettings], Decoder]
    outputs: type
