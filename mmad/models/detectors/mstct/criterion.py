"""Targets and losses of MS-TCT: classes of every step, and a heat-map of the annotations' centres.

Shapes: B batch, T steps, N annotations, K classes. All lengths are in steps of the feature grid.

Source: MS-TCT (arXiv 2112.03902) and its released code; the loss of the heat-map is CornerNet's
(arXiv 1808.01244, Eq. 1).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from mmad.models.detectors.contract import Losses
from mmad.models.detectors.mstct.network import FrameOutputs


def label_steps(
    segments_N2: Tensor, labels_N: Tensor, *, num_steps: int, num_classes: int
) -> Tensor:
    """Class targets (T, K): 1 inside an annotation of the class, else 0.

    A step belongs to an annotation if start <= step < end.

    Differs: an annotation between two steps has the step nearest to its centre; in the released
    code it has none. A step exactly at the start of an annotation belongs to it.

    Args:
        segments_N2: Start and end; N may be 0.
        labels_N: Class of each segment.
        num_steps: T.
        num_classes: K.
    """
    step_T = torch.arange(num_steps, device=segments_N2.device)
    inside_NT = (step_T >= segments_N2[:, :1]) & (step_T < segments_N2[:, 1:])
    nearest_NT = step_T == centre_steps(segments_N2, num_steps=num_steps)[:, None]
    inside_NT |= nearest_NT & ~inside_NT.any(dim=1, keepdim=True)
    return _highest_per_class(inside_NT.float(), labels_N, num_classes=num_classes)


def centre_steps(segments_N2: Tensor, *, num_steps: int) -> Tensor:
    """The step nearest to the centre of each segment, shape (N,).

    >>> centre_steps(torch.tensor([[2.0, 5.0], [7.0, 30.0]]), num_steps=10).tolist()
    [4, 9]
    """
    centre_N = segments_N2.mean(dim=1)
    return (centre_N + 0.5).floor().clamp(0, max(num_steps - 1, 0)).long()


def centre_heatmap(
    segments_N2: Tensor,
    labels_N: Tensor,
    *,
    num_steps: int,
    num_classes: int,
    reach: float,
    sharpness: float,
) -> Tensor:
    """Target heat-map (T, K): 1 at the centres of a class, falling off as a Gaussian around each.

    With r = floor(reach * floor(length)), steps within r of the centre have exp(-(distance /
    sigma)^2), sigma = (2 r + 1) / sharpness; where annotations overlap, the higher value.

    Differs: an annotation has one centre, the step nearest to its middle. The released code
    compares steps in seconds with a window of one second, so at more than one step a second it
    marks several centres before the middle.

    Args:
        segments_N2, labels_N, num_steps, num_classes: As `label_steps`.
        reach: 1 / gamma of the released code.
        sharpness: Tau of the released code.
    """
    step_T = torch.arange(num_steps, device=segments_N2.device)
    centre_N = centre_steps(segments_N2, num_steps=num_steps)
    distance_NT = (step_T[None] - centre_N[:, None]).abs()
    length_N = (segments_N2[:, 1] - segments_N2[:, 0]).floor()
    radius_N1 = (reach * length_N).floor()[:, None]
    sigma_N1 = (2 * radius_N1 + 1) / sharpness
    height_NT = torch.exp(-((distance_NT / sigma_N1) ** 2)) * (distance_NT <= radius_N1)
    return _highest_per_class(height_NT, labels_N, num_classes=num_classes)


def _highest_per_class(values_NT: Tensor, labels_N: Tensor, *, num_classes: int) -> Tensor:
    """Maximum over the annotations of each class, (T, K); 0 where a class has none."""
    highest_KT = values_NT.new_zeros(num_classes, values_NT.shape[1])
    index_NT = labels_N[:, None].expand_as(values_NT)
    return highest_KT.scatter_reduce(0, index_NT, values_NT, "amax").t()


def centre_focal_loss(logits: Tensor, targets: Tensor, *, focus: float, tolerance: float) -> Tensor:
    """Loss of each entry of a heat-map, same shape as ``logits``.

    Centres (target 1) give -(1 - p)^focus log p, all others -(1 - target)^tolerance p^focus
    log(1 - p).

    Differs: the released code clamps p to [1e-4, 1 - 1e-4], which leaves entries that are far off
    without a gradient; log p is taken from the logit here.

    Args:
        logits: Raw predictions.
        targets: Target heat-map, in [0, 1].
        focus: Alpha of CornerNet, for hard entries.
        tolerance: Beta of CornerNet, for entries close to a centre.
    """
    probability = logits.sigmoid()
    centre = -((1 - probability) ** focus) * functional.logsigmoid(logits)
    other = -((1 - targets) ** tolerance) * probability**focus * functional.logsigmoid(-logits)
    return torch.where(targets == 1, centre, other)


@dataclass(frozen=True, kw_only=True)
class MSTCTCriterion:
    """Targets and losses of MS-TCT.

    Attributes:
        num_classes: K.
        heatmap_reach, heatmap_sharpness: As `centre_heatmap`.
        heatmap_focus, heatmap_tolerance: As `centre_focal_loss`.
        classification_weight, heatmap_weight: Weights of the two losses in the total.
    """

    num_classes: int
    heatmap_reach: float
    heatmap_sharpness: float
    heatmap_focus: float
    heatmap_tolerance: float
    classification_weight: float
    heatmap_weight: float

    def __call__(
        self, outputs: FrameOutputs, segments_grid: Sequence[Tensor], labels: Sequence[Tensor]
    ) -> Losses:
        """Cross-entropy over steps and classes, and focal loss of the heat-map.

        The number of positives is the number of steps that exist: divided by it, the first sum is
        the released mean over steps. The heat-map's loss is to be divided by the number of centres
        instead, so that of each window enters times its steps over its centres (at least 1); what
        remains after the division is the mean over windows, weighted by their steps, of the loss
        per centre. Both are sums over windows, so splitting a batch changes nothing.

        Differs: the released code compares the heat-map of each window with the targets of all
        windows of the batch; and padding counts in both of its losses.
        """
        classes_BTK, centres_BTK = self.targets(outputs.mask_BT, segments_grid, labels)
        mask_BT1 = outputs.mask_BT[..., None]
        entropy_BTK = functional.binary_cross_entropy_with_logits(
            outputs.logits_BTK.float(), classes_BTK, reduction="none"
        )
        focal_BTK = centre_focal_loss(
            outputs.heatmap_BTK.float(),
            centres_BTK,
            focus=self.heatmap_focus,
            tolerance=self.heatmap_tolerance,
        )
        steps_B = outputs.mask_BT.sum(dim=1)
        num_centres_B = (centres_BTK == 1).sum(dim=(1, 2)).clamp(min=1)
        heatmap_B = (focal_BTK * mask_BT1).sum(dim=(1, 2)) * steps_B / num_centres_B
        return Losses(
            {
                "classification": self.classification_weight * (entropy_BTK * mask_BT1).sum(),
                "heatmap": self.heatmap_weight * heatmap_B.sum(),
            },
            steps_B.sum(),
        )

    def targets(
        self, mask_BT: Tensor, segments_grid: Sequence[Tensor], labels: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Class targets and target heat-maps of a batch, both (B, T, K); zero beyond each end."""
        length = mask_BT.shape[1]
        classes, centres = [], []
        counts = mask_BT.sum(dim=1).tolist()
        for segments_N2, labels_N, num_steps in zip(segments_grid, labels, counts, strict=True):
            segments_N2 = segments_N2.float().reshape(-1, 2)
            sizes = {"num_steps": num_steps, "num_classes": self.num_classes}
            classes_TK = label_steps(segments_N2, labels_N, **sizes)
            centres_TK = centre_heatmap(
                segments_N2,
                labels_N,
                **sizes,
                reach=self.heatmap_reach,
                sharpness=self.heatmap_sharpness,
            )
            tail = (0, 0, 0, length - num_steps)
            classes.append(functional.pad(classes_TK, tail))
            centres.append(functional.pad(centres_TK, tail))
        return torch.stack(classes), torch.stack(centres)
