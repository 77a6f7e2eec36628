"""The Trident head: where an action starts and ends, as the mean of a distribution over the steps
around a point; its criterion and its decoder.

Shapes: B batch, C channels, T steps, P points over all levels, K classes, N distances (0 to the
number of bins), M chosen triples of window, point and class. Lengths are in steps of the feature
grid, distances in strides of the point's level.

Source: TriDet (arXiv 2303.07347), its released code, and its implementation in OpenTAD.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmad.models.dense import Tower
from mmad.models.detector import Losses, WindowCandidates
from mmad.models.losses import distance_iou_loss, sigmoid_focal_loss, smooth_labels
from mmad.models.masked import mask_steps
from mmad.models.points import make_points
from mmad.models.pyramid import Pyramid
from mmad.models.targets import PointTargets

Assigner = Callable[[Any, Sequence[Tensor], Sequence[Tensor]], PointTargets]
SMALLEST_IOU = 1e-6  # a small power of 0 has an infinite slope


@dataclass(frozen=True)
class TridentOutputs:
    """What the Trident head predicts at every point of its pyramid.

    Attributes:
        logits_BPK: class logits.
        start_logits_BPK, end_logits_BPK: how much a step looks like the start or end of each class;
            0 beyond a video's end.
        distance_logits_BP2N: how far the start (0) and the end (1) are from the point, at least 0.
        mask_BP: whether the point belongs to its video.
        points_P4: position, smallest and largest regression range and stride, in steps of the grid.
    """

    logits_BPK: Tensor
    start_logits_BPK: Tensor
    end_logits_BPK: Tensor
    distance_logits_BP2N: Tensor
    mask_BP: Tensor
    points_P4: Tensor


def expected_offsets(
    outputs: TridentOutputs, *, window_M: Tensor, point_M: Tensor, label_M: Tensor
) -> Tensor:
    """Distance to start and end for chosen windows, points and classes, shape (M, 2), in strides.

    The step d before a point is its start with a probability that is a softmax over d, of the start
    logit of that step plus the point's own logit for the distance d; in the same way the step d
    after it is its end. What lies outside of the level has a boundary logit of 0.
    """
    stride_P = outputs.points_P4[:, 3]
    num_points = len(stride_P)
    distance_N = torch.arange(outputs.distance_logits_BP2N.shape[-1], device=stride_P.device)
    own_M2N = outputs.distance_logits_BP2N[window_M, point_M].float()
    sides = []
    for side, (sign, logits_BPK) in enumerate(
        ((-1, outputs.start_logits_BPK), (1, outputs.end_logits_BPK))
    ):
        neighbour_MN = point_M[:, None] + sign * distance_N
        known_MN = (neighbour_MN >= 0) & (neighbour_MN < num_points)
        neighbour_MN = neighbour_MN.clamp(0, num_points - 1)
        known_MN &= stride_P[neighbour_MN] == stride_P[point_M][:, None]  # of the same level
        boundary_MN = logits_BPK[window_M[:, None], neighbour_MN, label_M[:, None]].float()
        boundary_MN = boundary_MN.masked_fill(~known_MN, 0.0)
        probability_MN = (boundary_MN + own_M2N[:, side]).softmax(dim=-1)
        sides.append((probability_MN * distance_N).sum(dim=-1))
    return torch.stack(sides, dim=-1)


def offsets_iou(offsets_M2: Tensor, targets_M2: Tensor) -> Tensor:
    """The tIoU of each pair, shape (M,), of distances to start and end from one common point."""
    inner_M = torch.minimum(offsets_M2, targets_M2).sum(dim=-1)
    union_M = torch.maximum(offsets_M2, targets_M2).sum(dim=-1)
    return inner_M / union_M.clamp(min=1e-8)


class TridentDetector(nn.Module):
    """Pyramid and Trident head.

    Args:
        pyramid: the temporal pyramid.
        channels: its C.
        num_classes: K.
        regression_ranges: (low, high) of each level in steps of the grid, on the longer of the two
            offsets; only the targets use them.
        num_bins: largest distance between a point and its boundaries, in strides.
        num_convs: convolutions in each of the four towers of the head.
        input_noise: standard deviation of the noise on the features in training.
        prior: score of every class before training.
        norm_eps, mask_after_norm: as `Pyramid`.

    Differs: the authors give the prior to the boundary logits too, which makes what lies beyond a
    video's end (0) the likeliest boundary before training; here, as in OpenTAD, they have none.
    OpenTAD leaves the boundary logits of the padding unmasked, in reach of a video's last steps;
    here, as the authors have it, they are 0. Their noise falls on the padding too.
    """

    def __init__(
        self,
        pyramid: Pyramid,
        *,
        channels: int,
        num_classes: int,
        regression_ranges: Sequence[tuple[float, float]],
        num_bins: int = 16,
        num_convs: int = 2,
        input_noise: float = 0.0,
        prior: float = 0.01,
        norm_eps: float = 1e-5,
        mask_after_norm: bool = True,
    ) -> None:
        super().__init__()
        assert len(regression_ranges) == pyramid.num_levels, "one regression range per level"

        def tower(out_channels: int) -> Tower:
            return Tower(
                channels,
                out_channels,
                num_convs=num_convs,
                norm_eps=norm_eps,
                mask_after_norm=mask_after_norm,
            )

        self.pyramid = pyramid
        self.input_noise = input_noise
        self.classification, self.start, self.end = (tower(num_classes) for _ in range(3))
        # Of the start the farthest distance comes first, as in the released weights.
        self.distances = tower(2 * (num_bins + 1))
        self.level_scales = nn.ParameterList(
            nn.Parameter(torch.ones(())) for _ in range(pyramid.num_levels)
        )
        nn.init.constant_(self.classification.out.conv.bias, -math.log((1 - prior) / prior))  # type: ignore[arg-type]
        ranges = torch.tensor(regression_ranges, dtype=torch.float32)
        self.register_buffer("regression_ranges", ranges, persistent=False)
        self.regression_ranges: Tensor

    def forward(self, features_BCT: Tensor, mask_BT: Tensor) -> TridentOutputs:
        """Predictions at every point; any T, as `DenseDetector.forward`.

        The towers of start and end do not teach the pyramid, as in the released codes.
        """
        if self.training and self.input_noise > 0:
            noise_BCT = torch.randn_like(features_BCT) * self.input_noise
            features_BCT = features_BCT + mask_steps(noise_BCT, mask_BT)
        tail = -features_BCT.shape[2] % 2 ** (self.pyramid.num_levels - 1)
        features_BCT = functional.pad(features_BCT, (0, tail))
        mask_BT = functional.pad(mask_BT, (0, tail))
        levels = self.pyramid(features_BCT, mask_BT)
        columns: list[tuple[Tensor, ...]] = []
        for scale, (x, mask) in zip(self.level_scales, levels, strict=True):
            columns.append(
                (
                    self.classification(x, mask),
                    self.start(x.detach(), mask),
                    self.end(x.detach(), mask),
                    functional.relu(self.distances(x, mask) * scale),
                )
            )
        logits_BPK, start_BPK, end_BPK, distances_BPD = (
            torch.cat(rows, dim=2).transpose(1, 2) for rows in zip(*columns, strict=True)
        )
        to_start_BPN, to_end_BPN = distances_BPD.chunk(2, dim=2)
        return TridentOutputs(
            logits_BPK=logits_BPK,
            start_logits_BPK=start_BPK,
            end_logits_BPK=end_BPK,
            distance_logits_BP2N=torch.stack((to_start_BPN.flip(2), to_end_BPN), dim=2),
            mask_BP=torch.cat([mask for _, mask in levels], dim=1),
            points_P4=make_points(
                [x.shape[2] for x, _ in levels], regression_ranges=self.regression_ranges
            ),
        )


class TridentCriterion:
    """Targets and losses.

    Args:
        assign: gives the targets of a batch, from its outputs, segments and labels.
        label_smoothing: as `smooth_labels`.
        focal_alpha, focal_gamma: of the focal loss.
        regression_weight: weight of the regression loss in the total.
        iou_weight_power: the focal loss of a point for a class that it should predict is multiplied
            by its tIoU to this power.
        iou_weight_gradient: let the focal loss teach the boundaries through that factor, which
            grows with the tIoU, so that it pulls against the regression loss; the released codes
            do.
    """

    def __init__(
        self,
        *,
        assign: Assigner,
        label_smoothing: float = 0.0,
        focal_alpha: float = 0.25,
        focal_gamma: float = 2.0,
        regression_weight: float = 1.0,
        iou_weight_power: float = 0.2,
        iou_weight_gradient: bool = True,
    ) -> None:
        self.assign = assign
        self.label_smoothing = label_smoothing
        self.focal_alpha = focal_alpha
        self.focal_gamma = focal_gamma
        self.regression_weight = regression_weight
        self.iou_weight_power = iou_weight_power
        self.iou_weight_gradient = iou_weight_gradient

    def __call__(
        self, outputs: TridentOutputs, segments_grid: Sequence[Tensor], labels: Sequence[Tensor]
    ) -> Losses:
        """Focal loss over points and classes, and DIoU loss over positive points and their classes.

        A point of two classes counts once in the number of positives, as in the released codes.
        """
        return self.losses(outputs, self.assign(outputs, segments_grid, labels))

    def losses(self, outputs: TridentOutputs, targets: PointTargets) -> Losses:
        """The losses for targets that are known."""
        wanted_BPK = (targets.classes_BPK > 0) & outputs.mask_BP[..., None]
        window_M, point_M, label_M = chosen = wanted_BPK.nonzero(as_tuple=True)
        offsets_M2 = expected_offsets(outputs, window_M=window_M, point_M=point_M, label_M=label_M)
        true_M2 = targets.offsets_BP2[window_M, point_M]
        iou_M = offsets_iou(offsets_M2, true_M2).clamp(min=SMALLEST_IOU)
        if not self.iou_weight_gradient:
            iou_M = iou_M.detach()
        classes_BPK = smooth_labels(targets.classes_BPK, smoothing=self.label_smoothing)
        focal_BPK = sigmoid_focal_loss(
            outputs.logits_BPK.float(), classes_BPK, alpha=self.focal_alpha, gamma=self.focal_gamma
        )
        weight_BPK = torch.ones_like(focal_BPK).index_put(chosen, iou_M**self.iou_weight_power)
        return Losses(
            {
                "classification": (focal_BPK * weight_BPK * outputs.mask_BP[..., None]).sum(),
                "regression": self.regression_weight * distance_iou_loss(offsets_M2, true_M2).sum(),
            },
            wanted_BPK.any(dim=2).sum(),
        )


class TridentDecoder:
    """Raw predictions to the best candidates of each window; each class has its own boundaries.

    Args:
        score_threshold, max_candidates, per_level, min_length: as `DenseDecoder`.
    """

    def __init__(
        self,
        *,
        score_threshold: float,
        max_candidates: int,
        per_level: bool = False,
        min_length: float = 0.0,
    ) -> None:
        self.score_threshold = score_threshold
        self.max_candidates = max_candidates
        self.per_level = per_level
        self.min_length = min_length

    def __call__(self, outputs: TridentOutputs) -> list[WindowCandidates]:
        """The candidates of each window of the batch."""
        scores_BPK = outputs.logits_BPK.float().sigmoid() * outputs.mask_BP[..., None]
        parts = [len(outputs.points_P4)]
        if self.per_level:  # points come level by level
            stride_P = outputs.points_P4[:, 3]
            parts = torch.unique_consecutive(stride_P, return_counts=True)[1].tolist()
        return [
            self._of_window(outputs, window, scores_PK.split(parts))
            for window, scores_PK in enumerate(scores_BPK)
        ]

    def _of_window(
        self, outputs: TridentOutputs, window: int, scores: Sequence[Tensor]
    ) -> WindowCandidates:
        num_classes = scores[0].shape[-1]
        first_point, rows = 0, []
        for scores_PK in scores:
            best, index = scores_PK.flatten().topk(min(self.max_candidates, scores_PK.numel()))
            rows.append((best, first_point + index // num_classes, index % num_classes))
            first_point += len(scores_PK)
        score_M, point_M, label_M = (torch.cat(column) for column in zip(*rows, strict=True))
        kept = score_M > self.score_threshold
        score_M, point_M, label_M = score_M[kept], point_M[kept], label_M[kept]
        offsets_M2 = expected_offsets(
            outputs, window_M=torch.full_like(point_M, window), point_M=point_M, label_M=label_M
        )
        position_M, stride_M = outputs.points_P4[point_M, 0], outputs.points_P4[point_M, 3]
        start_M = position_M - offsets_M2[:, 0] * stride_M
        end_M = position_M + offsets_M2[:, 1] * stride_M
        order = score_M.argsort(descending=True, stable=True)
        if self.min_length > 0:
            order = order[(end_M - start_M)[order] > self.min_length]
        segments_M2 = torch.stack((start_M, end_M), dim=1)
        return WindowCandidates(segments_M2[order], label_M[order], score_M[order])
