"""Bipartite matching of predictions and annotations, and the pairwise tIoU it needs.

Shapes: Q predictions, N annotations.

Source: DETR (arXiv 2005.12872, Sec. 3.1); generalised IoU (arXiv 1902.09630) on segments.
"""

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor


def match(cost_QN: Tensor) -> tuple[Tensor, Tensor]:
    """Indices of predictions and annotations, each min(Q, N), of the matching of least total cost.

    Costs that are not finite count as very high, so that a diverging model fails with its loss, not
    here.
    """
    costs = torch.nan_to_num(cost_QN.detach().double().cpu(), nan=1e9, posinf=1e9, neginf=-1e9)
    rows, columns = linear_sum_assignment(costs.numpy())
    device = cost_QN.device
    return torch.as_tensor(rows, device=device), torch.as_tensor(columns, device=device)


def pairwise_iou(segments_Q2: Tensor, segments_N2: Tensor) -> tuple[Tensor, Tensor]:
    """Pairwise tIoU and generalised tIoU of (start, end), each (Q, N).

    >>> iou, generalised = pairwise_iou(torch.tensor([[0.0, 2.0]]), torch.tensor([[3.0, 5.0]]))
    >>> iou.item(), round(generalised.item(), 4)
    (0.0, -0.2)
    """
    start_Q1, end_Q1 = segments_Q2[:, 0, None], segments_Q2[:, 1, None]
    start_N, end_N = segments_N2[None, :, 0], segments_N2[None, :, 1]
    inner = (torch.minimum(end_Q1, end_N) - torch.maximum(start_Q1, start_N)).clamp(min=0)
    union = (end_Q1 - start_Q1) + (end_N - start_N) - inner
    hull = torch.maximum(end_Q1, end_N) - torch.minimum(start_Q1, start_N)
    iou = inner / union.clamp(min=1e-8)
    return iou, iou - (hull - union) / hull.clamp(min=1e-8)


def to_bounds(centre_width: Tensor) -> Tensor:
    """(centre, width) as (start, end), same shape (..., 2)."""
    centre, width = centre_width.unbind(-1)
    return torch.stack((centre - width / 2, centre + width / 2), dim=-1)


def to_centre_width(bounds: Tensor) -> Tensor:
    """(start, end) as (centre, width), same shape (..., 2)."""
    start, end = bounds.unbind(-1)
    return torch.stack(((start + end) / 2, end - start), dim=-1)
