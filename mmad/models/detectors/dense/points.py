"""The points of a temporal pyramid, and what a dense detector predicts at them.

Shapes: B batch, P points over all levels, K classes, G groups of classes that share offsets (1 or
K), M chosen triples. Lengths are in steps of the feature grid.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from mmad.models.detectors.dense.body import BodyLogits


class PointOutputs(Protocol):
    """What every dense detector predicts; the attributes are those of `DenseOutputs`."""

    @property
    def logits_BPK(self) -> Tensor:
        """Class logits."""

    @property
    def mask_BP(self) -> Tensor:
        """Whether the point belongs to its video."""

    @property
    def points_P4(self) -> Tensor:
        """Position, lower and upper limit of the regression range, and stride."""

    def offsets_at(self, *, window_M: Tensor, point_M: Tensor, label_M: Tensor) -> Tensor:
        """Distance to start and end for chosen windows, points and classes, shape (M, 2), in units
        of the point's stride.
        """

    @property
    def body(self) -> BodyLogits | None:
        """Logits of the body parts; None without a head for them."""


@dataclass(frozen=True)
class DenseOutputs:
    """What a dense detector predicts at every point of its pyramid.

    Attributes:
        logits_BPK: Class logits.
        offsets_BPG2: Distance to start and end in units of the point's stride, at least 0, for each
            class (G = K), or the same for all (G = 1).
        mask_BP: Whether the point belongs to its video.
        points_P4: Position, lower and upper limit of the regression range, and stride, in steps of
            the grid.
        body: Logits of the body parts; None without a head for them.
    """

    logits_BPK: Tensor
    offsets_BPG2: Tensor
    mask_BP: Tensor
    points_P4: Tensor
    body: BodyLogits | None = None

    @property
    def offsets_BP2(self) -> Tensor:
        """The offsets that all classes share."""
        return shared_offsets(self.offsets_BPG2)

    def offsets_at(self, *, window_M: Tensor, point_M: Tensor, label_M: Tensor) -> Tensor:
        """The offsets of chosen windows, points and classes, (M, 2)."""
        return choose_offsets(self.offsets_BPG2, window_M, point_M, label_M).float()


def choose_offsets(
    offsets_BPG2: Tensor, window_M: Tensor, point_M: Tensor, label_M: Tensor
) -> Tensor:
    """The offsets of chosen windows, points and classes, (M, 2)."""
    if offsets_BPG2.shape[2] == 1:
        return offsets_BPG2[window_M, point_M, 0]
    return offsets_BPG2[window_M, point_M, label_M]


def shared_offsets(offsets_BPG2: Tensor) -> Tensor:
    """The offsets that all classes share, (B, P, 2)."""
    assert offsets_BPG2.shape[2] == 1, "each class has offsets of its own"
    return offsets_BPG2[:, :, 0]


def make_points(level_lengths: Sequence[int], *, regression_ranges: Tensor) -> Tensor:
    """Points of all levels, shape (P, 4): position, lower and upper limit of the regression range,
    stride; finest level first.

    Args:
        level_lengths: Steps of each level; level l has stride 2^l.
        regression_ranges: Limits (levels, 2), in steps of the finest level.
    """
    rows = []
    for level, length in enumerate(level_lengths):
        stride = 2**level
        position = torch.arange(length, device=regression_ranges.device) * stride
        low, high = regression_ranges[level]
        columns = (position.to(low), low.expand(length), high.expand(length))
        rows.append(torch.stack((*columns, torch.full_like(columns[0], stride)), dim=1))
    return torch.cat(rows)


def join_levels(levels: Sequence[Tensor]) -> Tensor:
    """Outputs at the points of all levels, (B, P, C), from those of each level, (B, C, T)."""
    return torch.cat(list(levels), dim=2).transpose(1, 2)
