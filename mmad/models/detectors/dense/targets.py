"""Which points of the pyramid should fire for which annotation.

Shapes: P points, N annotations, K classes. All lengths are in steps of the feature grid.

Source: centre sampling and regression ranges of ActionFormer (arXiv 2202.07925, Sec. 3.3) as in its
released code.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mmad.models.detectors.dense.points import PointOutputs

SIMILAR_LENGTH_STEPS = 1e-3


@dataclass(frozen=True)
class PointTargets:
    """Targets of a batch.

    Attributes:
        classes_BPK: 1 for each class that a point should predict, else 0.
        offsets_BP2: Distance to start and end of the point's annotation, in units of the point's
            stride.
    """

    classes_BPK: Tensor
    offsets_BP2: Tensor

    @property
    def positive_BP(self) -> Tensor:
        """Whether a point has an annotation."""
        return self.classes_BPK.sum(-1) > 0


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
    candidate_PN = inside & (longest >= low) & (longest <= high)

    length_PN = (end - start).expand(num_points, -1).masked_fill(~candidate_PN, torch.inf)
    shortest, chosen_P = length_PN.min(dim=1)
    if shortest_labels_only:
        labelled_PN = candidate_PN & (length_PN <= shortest[:, None] + SIMILAR_LENGTH_STEPS)
    else:
        labelled_PN = candidate_PN
    one_hot_NK = torch.nn.functional.one_hot(labels_N, num_classes).to(points_P4.dtype)
    classes_PK = (labelled_PN.to(points_P4.dtype) @ one_hot_NK).clamp(max=1.0)
    rows = torch.arange(num_points, device=points_P4.device)
    offsets_P2 = torch.stack((left[rows, chosen_P], right[rows, chosen_P]), dim=1)
    return classes_PK, offsets_P2 / stride


@dataclass(frozen=True, kw_only=True)
class CentreSampling:
    """The targets of a batch by centre sampling and regression ranges; see `label_points`.

    Attributes:
        num_classes, centre_radius, shortest_labels_only: As `label_points`.
    """

    num_classes: int
    centre_radius: float | None
    shortest_labels_only: bool

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
            classes_PK, offsets_P2 = label_points(
                outputs.points_P4,
                segments.float(),
                label,
                num_classes=self.num_classes,
                centre_radius=self.centre_radius,
                shortest_labels_only=self.shortest_labels_only,
            )
            classes.append(classes_PK * mask_P[:, None])
            offsets.append(offsets_P2)
        return PointTargets(torch.stack(classes), torch.stack(offsets))
