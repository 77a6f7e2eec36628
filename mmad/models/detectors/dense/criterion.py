"""Targets and losses of dense detectors.

Shapes: B batch, P points over all levels, K classes, J body parts, M chosen triples of window,
point and class.

Source: ActionFormer (arXiv 2202.07925) and its released code.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mmad.models.detectors.contract import Losses
from mmad.models.detectors.dense.points import DenseOutputs, PointOutputs
from mmad.models.detectors.dense.targets import PointTargets
from mmad.models.detectors.losses import distance_iou_loss, sigmoid_focal_loss, smooth_labels

Assigner = Callable[[Any, Sequence[Tensor], Sequence[Tensor]], PointTargets]


def background_weights(classes_BPK: Tensor, mask_BP: Tensor, *, cap: float | None) -> Tensor | None:
    """Weight of each point in the focal loss, (B, P): 1 for those with a class, and

        min(1, cap max(n_1, ..., n_K, 1) / n_0)

    for the n_0 without, where class k has n_k points of the batch; None without a ``cap``.

    In a challenge, clips without movement helped most when there were no more of them than of the
    most frequent class; points are far more often without a class.
    """
    if cap is None:
        return None
    wanted_BPK = (classes_BPK > 0) & mask_BP[..., None]
    empty_BP = mask_BP & ~wanted_BPK.any(dim=2)
    most = wanted_BPK.sum(dim=(0, 1)).max().clamp(min=1)
    share = (cap * most / empty_BP.sum().clamp(min=1)).clamp(max=1.0)
    return torch.where(empty_BP, share, 1.0)


@dataclass(frozen=True, kw_only=True)
class PointCriterion:
    """Common base of the targets and losses of detectors that predict at points.

    Attributes:
        assign: Assigns the targets of a batch, from its outputs, segments and labels.
        label_smoothing: As `smooth_labels`.
        focal_alpha, focal_gamma: Parameters of the focal loss.
        background_cap: As `background_weights`.
        body_weight: Weight of the focal loss of body parts in the total, where there is a head for
            them.
        regression_weight: Weight of the regression loss in the total.
    """

    assign: Assigner
    label_smoothing: float
    focal_alpha: float
    focal_gamma: float
    background_cap: float | None
    body_weight: float
    regression_weight: float

    def __call__(
        self, outputs: Any, segments_grid: Sequence[Tensor], labels: Sequence[Tensor]
    ) -> Losses:
        """The losses."""
        return self.losses(outputs, self.assign(outputs, segments_grid, labels))

    def losses(self, outputs: Any, targets: PointTargets) -> Losses:
        """The losses for given targets."""
        raise NotImplementedError

    def focal(self, logits: Tensor, classes: Tensor, mask_BP: Tensor) -> Tensor:
        """Focal loss of each entry, (B, P, K or J), before it is masked."""
        loss = sigmoid_focal_loss(
            logits.float(),
            smooth_labels(classes, smoothing=self.label_smoothing),
            alpha=self.focal_alpha,
            gamma=self.focal_gamma,
        )
        weights_BP = background_weights(classes, mask_BP, cap=self.background_cap)
        return loss if weights_BP is None else loss * weights_BP[..., None]

    def body_losses(self, outputs: PointOutputs, targets: PointTargets) -> dict[str, Tensor]:
        """The weighted loss of body parts by its name; empty without a head for them."""
        if outputs.body is None:
            return {}
        parts_BPJ = outputs.body.targets(targets.classes_BPK)
        focal_BPJ = self.focal(outputs.body.logits_BPJ, parts_BPJ, outputs.mask_BP)
        return {"body": self.body_weight * (focal_BPJ * outputs.mask_BP[..., None]).sum()}


@dataclass(frozen=True, kw_only=True)
class DenseCriterion(PointCriterion):
    """Focal loss over points and classes, and DIoU loss over positive points (of each of their
    classes, where these have offsets of their own).
    """

    def losses(self, outputs: DenseOutputs, targets: PointTargets) -> Losses:
        """The losses for given targets."""
        focal = self.focal(outputs.logits_BPK, targets.classes_BPK, outputs.mask_BP)
        window_M, point_M, label_M = targets.regressed(outputs.mask_BP)
        regression = distance_iou_loss(
            outputs.offsets_at(window_M=window_M, point_M=point_M, label_M=label_M),
            targets.offsets_at(window_M, point_M, label_M),
        )
        return Losses(
            {
                "classification": (focal * outputs.mask_BP[..., None]).sum(),
                "regression": self.regression_weight * regression.sum(),
                **self.body_losses(outputs, targets),
            },
            (targets.positive_BP & outputs.mask_BP).sum(),
        )

    def where_known(
        self,
        outputs: DenseOutputs,
        segments_grid: Sequence[Tensor],
        labels: Sequence[Tensor],
        known_BTK: Tensor,
    ) -> Losses:
        """As in `PartialCriterion`; a point is at the step of its position."""
        targets = self.assign(outputs, segments_grid, labels)
        step_P, steps = outputs.points_P4[:, 0].long(), known_BTK.shape[1]
        known_BPK = known_BTK[:, step_P.clamp(max=steps - 1)] & (step_P < steps)[:, None]
        counts_BPK = (known_BPK | (targets.classes_BPK > 0)) & outputs.mask_BP[..., None]
        focal_BPK = self.focal(outputs.logits_BPK, targets.classes_BPK, outputs.mask_BP)
        whole = self.losses(outputs, targets)
        parts = {**whole.parts, "classification": (focal_BPK * counts_BPK).sum()}
        return Losses(parts, whole.num_positives)
