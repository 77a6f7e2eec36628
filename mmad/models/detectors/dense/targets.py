"""Which points of the pyramid should fire for which annotation.

Shapes: P points, N annotations, K classes, G groups of classes that share offsets (1 or K), M
chosen triples. All lengths are in steps of the feature grid.

Source: centre sampling and regression ranges of ActionFormer (arXiv 2202.07925, Sec. 3.3) as in its
released code.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mmad.models.detectors.dense.points import PointOutputs, choose_offsets, shared_offsets

SIMILAR_LENGTH_STEPS = 1e-3


@dataclass(frozen=True)
class PointTargets:
    """Targets of a batch.

    Attributes:
        classes_BPK: 1 for each class that a point should predict, else 0.
        offsets_BPG2: Distance to start and end of the point's annotation, in units of the point's
            stride; of its annotation of each class (G = K), or of one (G = 1).
    """

    classes_BPK: Tensor
    offsets_BPG2: Tensor

    @property
    def positive_BP(self) -> Tensor:
        """Whether a point has an annotation."""
        return self.classes_BPK.sum(-1) > 0

    @property
    def offsets_BP2(self) -> Tensor:
        """The offsets of the one annotation of each point."""
        return shared_offsets(self.offsets_BPG2)

    def offsets_at(self, window_M: Tensor, point_M: Tensor, label_M: Tensor) -> Tensor:
        """The offsets of chosen windows, points and classes, (M, 2)."""
        return choose_offsets(self.offsets_BPG2, window_M, point_M, label_M)

    def regressed(self, mask_BP: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Windows, points and classes, each (M,), whose offsets are trained: of each positive
        point, one of each of its classes if they have offsets of their own.
        """
        if self.offsets_BPG2.shape[2] == 1:
            chosen_BPG = (self.positive_BP & mask_BP)[..., None]
        else:
            chosen_BPG = (self.classes_BPK > 0) & mask_BP[..., None]
        window_M, point_M, label_M = chosen_BPG.nonzero(as_tuple=True)
        return window_M, point_M, label_M


def _candidates(
    points_P4: Tensor, segments_N2: Tensor, *, centre_radius: float | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Whether each point is a candidate for each annotation, and its distances to start and end,
    each (P, N), as `label_points` describes.
    """
    position, low, high, stride = (points_P4[:, i, None] for i in range(4))
    start, end = segments_N2[None, :, 0], segments_N2[None, :, 1]
    left, right = position - start, end - position
    if centre_radius is None:
        inside = torch.minimum(left, right) > 0
    else:
        centre = (start + end) / 2
        first = torch.maximum(centre - stride * centre_radius, start)
        last = torch.minimum(centre + stride * centre_radius, end)
        inside = torch.minimum(position - first, last - position) > 0
    longest = torch.maximum(left, right)
    return inside & (longest >= low) & (longest <= high), left, right


def label_points(
    points_P4: Tensor,
    segments_N2: Tensor,
    labels_N: Tensor,
    *,
    num_classes: int,
    centre_radius: float | None,
    shortest_labels_only: bool,
) -> tuple[Tensor, Tensor]:
    """Class targets (P, K) and offsets (P, 2) of one video.

    A point is a candidate for an annotation if it lies within ``centre_radius`` strides of its
    centre (and inside it; None: anywhere inside it) and the longer of its two offsets is in the
    level's range. The shortest candidate gives the offsets; its class, and those of candidates as
    short (to 1e-3 steps), are the class targets.

    Args:
        points_P4: Position, lower and upper limit of the regression range, stride.
        segments_N2: Start and end; N may be 0.
        labels_N: Class of each segment.
        num_classes: K.
        centre_radius: Radius in strides of the point's level.
        shortest_labels_only: If false, all candidates of a point are class targets.
    """
    num_points, num_segments = len(points_P4), len(segments_N2)
    if num_segments == 0:
        return points_P4.new_zeros(num_points, num_classes), points_P4.new_zeros(num_points, 2)
    candidate_PN, left, right = _candidates(points_P4, segments_N2, centre_radius=centre_radius)
    length_N = segments_N2[:, 1] - segments_N2[:, 0]
    length_PN = length_N.expand(num_points, -1).masked_fill(~candidate_PN, torch.inf)
    shortest, chosen_P = length_PN.min(dim=1)
    if shortest_labels_only:
        labelled_PN = candidate_PN & (length_PN <= shortest[:, None] + SIMILAR_LENGTH_STEPS)
    else:
        labelled_PN = candidate_PN
    one_hot_NK = torch.nn.functional.one_hot(labels_N, num_classes).to(points_P4.dtype)
    classes_PK = (labelled_PN.to(points_P4.dtype) @ one_hot_NK).clamp(max=1.0)
    rows = torch.arange(num_points, device=points_P4.device)
    offsets_P2 = torch.stack((left[rows, chosen_P], right[rows, chosen_P]), dim=1)
    return classes_PK, offsets_P2 / points_P4[:, 3, None]


def offsets_of_classes(
    points_P4: Tensor,
    segments_N2: Tensor,
    labels_N: Tensor,
    *,
    num_classes: int,
    centre_radius: float | None,
) -> Tensor:
    """Offsets (P, K, 2) to the shortest candidate of each class; 0 where a class has none.

    Args: As in `label_points`.
    """
    candidate_PN, left, right = _candidates(points_P4, segments_N2, centre_radius=centre_radius)
    sides_PN2 = torch.stack((left, right), dim=2) / points_P4[:, 3, None, None]
    offsets_PK2 = points_P4.new_zeros(len(points_P4), num_classes, 2)
    # The shortest is written last.
    length_N = segments_N2[:, 1] - segments_N2[:, 0]
    for row in length_N.argsort(descending=True, stable=True).tolist():
        label, chosen_P1 = int(labels_N[row]), candidate_PN[:, row, None]
        offsets_PK2[:, label] = torch.where(chosen_P1, sides_PN2[:, row], offsets_PK2[:, label])
    return offsets_PK2


@dataclass(frozen=True, kw_only=True)
class CentreSampling:
    """The targets of a batch by centre sampling and regression ranges; see `label_points`.

    Attributes:
        num_classes, centre_radius, shortest_labels_only: As `label_points`.
        class_offsets: Whether the offsets are those of `offsets_of_classes`.
    """

    num_classes: int
    centre_radius: float | None
    shortest_labels_only: bool
    class_offsets: bool

    def __call__(
        self, outputs: PointOutputs, segments_grid: Sequence[Tensor], labels: Sequence[Tensor]
    ) -> PointTargets:
        """Targets of every point; points beyond a window's end have none.

        Args:
            outputs: Raw outputs, of which only points and mask are used.
            segments_grid: Segments (N, 2) of each window, in steps of its grid.
            labels: Their labels (N,).
        """
        classes, offsets = [], []
        for segments, label, mask_P in zip(segments_grid, labels, outputs.mask_BP, strict=True):
            where = (outputs.points_P4, segments.float(), label)
            classes_PK, offsets_P2 = label_points(
                *where,
                num_classes=self.num_classes,
                centre_radius=self.centre_radius,
                shortest_labels_only=self.shortest_labels_only,
            )
            classes.append(classes_PK * mask_P[:, None])
            if self.class_offsets:
                offsets_PK2 = offsets_of_classes(
                    *where, num_classes=self.num_classes, centre_radius=self.centre_radius
                )
                offsets.append(offsets_PK2)
            else:
                offsets.append(offsets_P2[:, None])
        return PointTargets(torch.stack(classes), torch.stack(offsets))
