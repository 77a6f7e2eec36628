"""The Trident head, which predicts start and end as means of distributions over the steps around a
point, and its criterion.

Shapes: B batch, C channels, T steps, P points over all levels, K classes, N distances (0 to the
number of bins), M chosen triples of window, point and class. Lengths are in steps of the feature
grid, distances in strides of the point's level.

Source: TriDet (arXiv 2303.07347), its released code, and its implementation in OpenTAD.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mmad.models.detectors.contract import Losses
from mmad.models.detectors.dense.body import BodyLogits
from mmad.models.detectors.dense.criterion import PointCriterion
from mmad.models.detectors.dense.head import LevelScales, PyramidDetector
from mmad.models.detectors.dense.points import join_levels
from mmad.models.detectors.dense.pyramid import Pyramid
from mmad.models.detectors.dense.targets import PointTargets
from mmad.models.detectors.losses import distance_iou_loss, offsets_iou

SMALLEST_IOU = 1e-6  # a small power of 0 has an infinite slope


@dataclass(frozen=True)
class TridentOutputs:
    """The predictions of the Trident head at every point of its pyramid.

    Attributes:
        logits_BPK: Class logits.
        start_logits_BPK, end_logits_BPK: How much a step looks like the start or end of each class;
            0 beyond a video's end.
        distance_logits_BP2N: Logits of the distance of the start (0) and the end (1) from the
            point.
        mask_BP: Whether the point belongs to its video.
        points_P4: Position, lower and upper limit of the regression range, and stride, in steps of
            the grid.
        body: Logits of the body parts; None without a head for them.
    """

    logits_BPK: Tensor
    start_logits_BPK: Tensor
    end_logits_BPK: Tensor
    distance_logits_BP2N: Tensor
    mask_BP: Tensor
    points_P4: Tensor
    body: BodyLogits | None = None

    def offsets_at(self, *, window_M: Tensor, point_M: Tensor, label_M: Tensor) -> Tensor:
        """Mean distance to start and end for chosen windows, points and classes, shape (M, 2), in
        strides.

        The step d before a point is its start with a probability that is a softmax over d, of the
        start logit of that step plus the point's own logit for the distance d; in the same way the
        step d after it is its end. What lies outside of the level has a boundary logit of 0.
        """
        stride_P = self.points_P4[:, 3]
        num_points = stride_P.shape[0]  # not len, which a traced network would fix
        distance_N = torch.arange(self.distance_logits_BP2N.shape[-1], device=stride_P.device)
        own_M2N = self.distance_logits_BP2N[window_M, point_M].float()
        sides = []
        for side, (sign, logits_BPK) in enumerate(
            ((-1, self.start_logits_BPK), (1, self.end_logits_BPK))
        ):
            neighbour_MN = point_M[:, None] + sign * distance_N
            known_MN = (neighbour_MN >= 0) & (neighbour_MN < num_points)
            neighbour_MN = torch.where(known_MN, neighbour_MN, 0)
            same_level_MN = stride_P[neighbour_MN] == stride_P[point_M][:, None]
            known_MN = known_MN & same_level_MN
            boundary_MN = logits_BPK[window_M[:, None], neighbour_MN, label_M[:, None]].float()
            boundary_MN = boundary_MN.masked_fill(~known_MN, 0.0)
            probability_MN = (boundary_MN + own_M2N[:, side]).softmax(dim=-1)
            sides.append((probability_MN * distance_N).sum(dim=-1))
        return torch.stack(sides, dim=-1)


class TridentDetector(PyramidDetector):
    """Pyramid and Trident head.

    Args:
        pyramid: Temporal pyramid.
        classification, start, end: Towers to logits of each class.
        distances: Tower to N distance logits of the start, farthest first, as in the released
            weights, and N of the end.
        regression_ranges, input_noise, parents: As `DenseDetector`.

    Differs: the authors give the prior to the boundary logits too, which makes what lies beyond a
    video's end (0) the likeliest boundary before training; here, as in OpenTAD, they have none.
    OpenTAD leaves the boundary logits of the padding unmasked, in reach of a video's last steps;
    here, as the authors have it, they are 0. Their noise falls on the padding too.
    """

    def __init__(
        self,
        pyramid: Pyramid,
        *,
        classification: nn.Module,
        start: nn.Module,
        end: nn.Module,
        distances: nn.Module,
        regression_ranges: Sequence[tuple[float, float]],
        input_noise: float,
        parents: Sequence[int],
    ) -> None:
        super().__init__(
            pyramid, regression_ranges=regression_ranges, input_noise=input_noise, parents=parents
        )
        self.classification, self.start, self.end = classification, start, end
        self.distances = distances
        self.level_scales = LevelScales(pyramid.num_levels)

    def forward(self, features_BCT: Tensor, mask_BT: Tensor) -> TridentOutputs:
        """Predictions at every point; any T, as `Pyramid.forward`.

        The towers of start and end pass no gradient to the pyramid, as in the reference
        implementations.
        """
        levels, masks = self.levels(features_BCT, mask_BT)
        fixed = [x.detach() for x in levels]
        distances_BPD = join_levels(self.level_scales.distances(self.distances(levels, masks)))
        to_start_BPN, to_end_BPN = distances_BPD.chunk(2, dim=2)
        logits_BPK, body = self.class_logits(self.classification(levels, masks))
        return TridentOutputs(
            logits_BPK=logits_BPK,
            start_logits_BPK=join_levels(self.start(fixed, masks)),
            end_logits_BPK=join_levels(self.end(fixed, masks)),
            distance_logits_BP2N=torch.stack((to_start_BPN.flip(2), to_end_BPN), dim=2),
            mask_BP=torch.cat(masks, dim=1),
            points_P4=self.points(levels),
            body=body,
        )


@dataclass(frozen=True, kw_only=True)
class TridentCriterion(PointCriterion):
    """Focal loss over points and classes, and DIoU loss over positive points and their classes.

    A point of two classes counts once in the number of positives, as in the reference
    implementations. Boundaries are predicted for each class in any case; `class_offsets` of the
    targets trains each towards an annotation of its own.

    Attributes:
        iou_weight_power: The focal loss of a point for a class that it should predict is multiplied
            by its tIoU to this power.
        iou_weight_gradient: Let gradients of the focal loss reach the boundaries through that
            factor, where they work against the regression loss; the reference implementations do.
    """

    iou_weight_power: float
    iou_weight_gradient: bool

    def losses(self, outputs: TridentOutputs, targets: PointTargets) -> Losses:
        """The losses for given targets."""
        wanted_BPK = (targets.classes_BPK > 0) & outputs.mask_BP[..., None]
        window_M, point_M, label_M = chosen = wanted_BPK.nonzero(as_tuple=True)
        offsets_M2 = outputs.offsets_at(window_M=window_M, point_M=point_M, label_M=label_M)
        true_M2 = targets.offsets_at(window_M, point_M, label_M)
        iou_M = offsets_iou(offsets_M2, true_M2).clamp(min=SMALLEST_IOU)
        if not self.iou_weight_gradient:
            iou_M = iou_M.detach()
        focal_BPK = self.focal(outputs.logits_BPK, targets.classes_BPK, outputs.mask_BP)
        weight_BPK = torch.ones_like(focal_BPK).index_put(chosen, iou_M**self.iou_weight_power)
        return Losses(
            {
                "classification": (focal_BPK * weight_BPK * outputs.mask_BP[..., None]).sum(),
                "regression": self.regression_weight * distance_iou_loss(offsets_M2, true_M2).sum(),
                **self.body_losses(outputs, targets),
            },
            wanted_BPK.any(dim=2).sum(),
        )
