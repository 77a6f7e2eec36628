"""SimOTA target assignment, as TemporalMaxer's authors use it: positives by centre sampling, each
with the annotation of least cost as its regression target.

Shapes: P points, N annotations, K classes.

Source: TemporalMaxer (arXiv 2303.09055) as released in OpenTAD; SimOTA is of YOLOX (arXiv
2107.08430).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mmad.models.detectors.dense.points import DenseOutputs
from mmad.models.detectors.dense.targets import PointTargets, label_points
from mmad.models.detectors.losses import distance_iou_loss, sigmoid_focal_loss

# The focal loss of the cost has its own parameters, as in the released code.
FOCAL_ALPHA, FOCAL_GAMMA = 0.25, 2.0


def assignment_cost(
    logits_PK: Tensor,
    offsets_P2: Tensor,
    points_P4: Tensor,
    segments_N2: Tensor,
    labels_N: Tensor,
    *,
    iou_weight: float,
    class_weight: float,
) -> Tensor:
    """Matching cost of each point-annotation pair, (P, N); infinite for points outside the
    annotation.

    The focal loss of the point's scores against the annotation's class, over all classes, plus the
    distance-IoU loss of its segment, each with its weight.
    """
    position, stride = points_P4[:, 0, None], points_P4[:, 3, None]
    left = (position - segments_N2[None, :, 0]) / stride
    right = (segments_N2[None, :, 1] - position) / stride
    outside_PN = (left < 0) | (right < 0)
    true_PN2 = torch.stack((left, right), dim=-1)
    distance_PN = distance_iou_loss(offsets_P2[:, None].expand_as(true_PN2), true_PN2)
    one_hot_NK = torch.nn.functional.one_hot(labels_N, logits_PK.shape[1]).to(logits_PK.dtype)
    # Focal loss against 0 for all classes; then the annotation's own class against 1 instead.
    as_negative_PK, as_positive_PK = (
        sigmoid_focal_loss(logits_PK, target_PK, alpha=FOCAL_ALPHA, gamma=FOCAL_GAMMA)
        for target_PK in (torch.zeros_like(logits_PK), torch.ones_like(logits_PK))
    )
    change_PN = (as_positive_PK - as_negative_PK) @ one_hot_NK.t()
    class_PN = as_negative_PK.sum(dim=1, keepdim=True) + change_PN
    cost_PN = class_weight * class_PN + iou_weight * distance_PN
    return cost_PN.masked_fill(outside_PN, torch.inf)


@dataclass(frozen=True, kw_only=True)
class SimOTA:
    """SimOTA targets of a batch.

    A point is positive for the same annotations as in centre sampling with regression ranges; its
    offsets are those of the annotation of least cost around it.

    Attributes:
        num_classes: K.
        centre_radius: As `label_points`.
        iou_weight, class_weight: As `assignment_cost`.
    """

    num_classes: int
    centre_radius: float | None
    iou_weight: float
    class_weight: float

    @torch.no_grad()
    def __call__(
        self, outputs: DenseOutputs, segments_grid: Sequence[Tensor], labels: Sequence[Tensor]
    ) -> PointTargets:
        """Targets of every point; arguments as in `CentreSampling`."""
        rows = zip(
            outputs.logits_BPK.float(),
            outputs.offsets_BP2.float(),
            outputs.mask_BP,
            segments_grid,
            labels,
            strict=True,
        )
        targets = [self._of_window(outputs.points_P4, *row) for row in rows]
        classes, offsets = zip(*targets, strict=True)
        return PointTargets(torch.stack(classes), torch.stack(offsets)[:, :, None])

    def _of_window(
        self,
        points_P4: Tensor,
        logits_PK: Tensor,
        offsets_P2: Tensor,
        mask_P: Tensor,
        segments_N2: Tensor,
        labels_N: Tensor,
    ) -> tuple[Tensor, Tensor]:
        segments_N2 = segments_N2.float()
        classes_PK, targets_P2 = label_points(
            points_P4,
            segments_N2,
            labels_N,
            num_classes=self.num_classes,
            centre_radius=self.centre_radius,
            shortest_labels_only=True,
        )
        classes_PK = classes_PK * mask_P[:, None]
        if len(segments_N2) == 0:
            return classes_PK, targets_P2
        cost_PN = assignment_cost(
            logits_PK,
            offsets_P2,
            points_P4,
            segments_N2,
            labels_N,
            iou_weight=self.iou_weight,
            class_weight=self.class_weight,
        )
        chosen_N2 = segments_N2[cost_PN.argmin(dim=1)]
        position, stride = points_P4[:, 0], points_P4[:, 3]
        left, right = position - chosen_N2[:, 0], chosen_N2[:, 1] - position
        return classes_PK, torch.stack((left, right), dim=1) / stride[:, None]
