"""Unnormalised losses of dense detectors, as sums over points; the caller divides.

Sources: focal loss (arXiv 1708.02002, Eq. 5) and the prior that goes with it (Sec. 3.3);
distance-IoU loss (arXiv 1911.08287, Eq. 7) on segments.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


def sigmoid_focal_loss(logits: Tensor, targets: Tensor, *, alpha: float, gamma: float) -> Tensor:
    """Focal loss of each entry, same shape as ``logits``; ``targets`` in [0, 1]."""
    probability = logits.sigmoid()
    cross_entropy = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    miss = probability * (1 - targets) + (1 - probability) * targets
    balance = alpha * targets + (1 - alpha) * (1 - targets)
    return balance * cross_entropy * miss**gamma


def set_prior(layer: nn.Conv1d | nn.Linear, prior: float) -> None:
    """Set the bias so that every class scores ``prior`` before training, which keeps the loss of
    the many negatives small.
    """
    nn.init.constant_(layer.bias, -math.log((1 - prior) / prior))  # type: ignore[arg-type]


def offsets_iou(offsets_M2: Tensor, targets_M2: Tensor, *, eps: float = 1e-8) -> Tensor:
    """The tIoU of each pair, shape (M,); arguments as in `distance_iou_loss`."""
    inner_M = torch.minimum(offsets_M2, targets_M2).sum(dim=-1)
    union_M = offsets_M2.sum(dim=-1) + targets_M2.sum(dim=-1) - inner_M
    return inner_M / union_M.clamp(min=eps)


def distance_iou_loss(offsets_M2: Tensor, targets_M2: Tensor, *, eps: float = 1e-8) -> Tensor:
    """1 - tIoU + (distance of the centres / length of the hull)^2 of each pair, shape (M,).

    Both arguments are distances to start and end from a common point, at least 0.
    """
    left, right = offsets_M2.unbind(-1)
    target_left, target_right = targets_M2.unbind(-1)
    hull = torch.maximum(offsets_M2, targets_M2).sum(dim=-1)
    centre_distance = 0.5 * ((right - left) - (target_right - target_left))
    iou = offsets_iou(offsets_M2, targets_M2, eps=eps)
    return 1 - iou + (centre_distance / hull.clamp(min=eps)) ** 2


def smooth_labels(targets_PK: Tensor, *, smoothing: float) -> Tensor:
    """Targets moved towards a uniform distribution over K classes and background, same shape.

    >>> smooth_labels(torch.tensor([[1.0, 0.0]]), smoothing=0.3).tolist()
    [[0.800000011920929, 0.10000000149011612]]
    """
    if smoothing == 0.0:
        return targets_PK
    return targets_PK * (1 - smoothing) + smoothing / (targets_PK.shape[-1] + 1)
