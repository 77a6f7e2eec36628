"""Dense detectors: a head that predicts at every point of a pyramid, its criterion and its decoder.

Shapes: B batch, C channels, T steps, P points over all levels, K classes, N annotations. Lengths
and offsets are in steps of the feature grid, never in seconds.

Source: ActionFormer (arXiv 2202.07925) and its released code.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmad.models.detector import Losses, WindowCandidates
from mmad.models.losses import distance_iou_loss, sigmoid_focal_loss, smooth_labels
from mmad.models.masked import ConvNormReLU, MaskedConv1d
from mmad.models.points import DenseOutputs, make_points
from mmad.models.pyramid import Pyramid
from mmad.models.targets import PointTargets

Assigner = Callable[[DenseOutputs, Sequence[Tensor], Sequence[Tensor]], PointTargets]


class Tower(nn.Module):
    """Convolutions of the head, shared by all levels, and the last one that gives the output."""

    def __init__(
        self,
        channels: int,
        out_channels: int,
        *,
        num_convs: int,
        norm_eps: float,
        mask_after_norm: bool,
    ) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            ConvNormReLU(channels, channels, norm_eps=norm_eps, mask_after_norm=mask_after_norm)
            for _ in range(num_convs)
        )
        self.out = MaskedConv1d(channels, out_channels, kernel_size=3)

    def forward(self, x_BCT: Tensor, mask_BT: Tensor) -> Tensor:
        """Raw output of one level, shape (B, out_channels, T)."""
        for conv in self.convs:
            x_BCT = conv(x_BCT, mask_BT)
        return self.out(x_BCT, mask_BT)[0]


class DenseDetector(nn.Module):
    """Pyramid and head: features in, logits and offsets at every point out.

    Args:
        pyramid: the temporal pyramid.
        channels: its C.
        num_classes: K.
        regression_ranges: (low, high) of each level in steps of the grid, on the longer of the two
            offsets.
        num_convs: convolutions in each tower of the head.
        prior: score of every class before training.
        norm_eps, mask_after_norm: as `Pyramid`.
    """

    def __init__(
        self,
        pyramid: Pyramid,
        *,
        channels: int,
        num_classes: int,
        regression_ranges: Sequence[tuple[float, float]],
        num_convs: int = 2,
        prior: float = 0.01,
        norm_eps: float = 1e-5,
        mask_after_norm: bool = True,
    ) -> None:
        super().__init__()
        assert len(regression_ranges) == pyramid.num_levels, "one regression range per level"
        self.pyramid = pyramid
        keywords = {
            "num_convs": num_convs,
            "norm_eps": norm_eps,
            "mask_after_norm": mask_after_norm,
        }
        self.classification = Tower(channels, num_classes, **keywords)  # type: ignore[arg-type]
        self.regression = Tower(channels, 2, **keywords)  # type: ignore[arg-type]
        self.level_scales = nn.ParameterList(
            nn.Parameter(torch.ones(())) for _ in range(pyramid.num_levels)
        )
        nn.init.constant_(self.classification.out.conv.bias, -math.log((1 - prior) / prior))  # type: ignore[arg-type]
        ranges = torch.tensor(regression_ranges, dtype=torch.float32)
        self.register_buffer("regression_ranges", ranges, persistent=False)
        self.regression_ranges: Tensor

    def forward(self, features_BCT: Tensor, mask_BT: Tensor) -> DenseOutputs:
        """Predictions at every point.

        T may be anything: it is padded to a multiple of the coarsest stride, and padding changes
        nothing inside a video.
        """
        tail = -features_BCT.shape[2] % 2 ** (self.pyramid.num_levels - 1)
        features_BCT = functional.pad(features_BCT, (0, tail))
        mask_BT = functional.pad(mask_BT, (0, tail))
        levels = self.pyramid(features_BCT, mask_BT)
        logits, offsets = [], []
        for scale, (x, mask) in zip(self.level_scales, levels, strict=True):
            logits.append(self.classification(x, mask))
            offsets.append(functional.relu(self.regression(x, mask) * scale))
        return DenseOutputs(
            logits_BPK=torch.cat(logits, dim=2).transpose(1, 2),
            offsets_BP2=torch.cat(offsets, dim=2).transpose(1, 2),
            mask_BP=torch.cat([mask for _, mask in levels], dim=1),
            points_P4=make_points(
                [x.shape[2] for x, _ in levels], regression_ranges=self.regression_ranges
            ),
        )


class DenseCriterion:
    """Targets and losses of a dense detector.

    Args:
        assign: gives the targets of a batch, from its outputs, segments and labels.
        label_smoothing: as `smooth_labels`.
        focal_alpha, focal_gamma: of the focal loss.
        regression_weight: weight of the regression loss in the total.
    """

    def __init__(
        self,
        *,
        assign: Assigner,
        label_smoothing: float = 0.0,
        focal_alpha: float = 0.25,
        focal_gamma: float = 2.0,
        regression_weight: float = 1.0,
    ) -> None:
        self.assign = assign
        self.label_smoothing = label_smoothing
        self.focal_alpha = focal_alpha
        self.focal_gamma = focal_gamma
        self.regression_weight = regression_weight

    def __call__(
        self, outputs: DenseOutputs, segments_grid: Sequence[Tensor], labels: Sequence[Tensor]
    ) -> Losses:
        """Focal loss over points and classes, and DIoU loss over positive points."""
        return self.losses(outputs, self.assign(outputs, segments_grid, labels))

    def losses(self, outputs: DenseOutputs, targets: PointTargets) -> Losses:
        """The losses for targets that are known."""
        classes_BPK = smooth_labels(targets.classes_BPK, smoothing=self.label_smoothing)
        focal = sigmoid_focal_loss(
            outputs.logits_BPK.float(), classes_BPK, alpha=self.focal_alpha, gamma=self.focal_gamma
        )
        positive_BP = targets.positive_BP & outputs.mask_BP
        regression = distance_iou_loss(
            outputs.offsets_BP2.float()[positive_BP], targets.offsets_BP2[positive_BP]
        )
        return Losses(
            {
                "classification": (focal * outputs.mask_BP[..., None]).sum(),
                "regression": self.regression_weight * regression.sum(),
            },
            positive_BP.sum(),
        )


class DenseDecoder:
    """Raw predictions to the best candidates of each window.

    Args:
        score_threshold: candidates at or below it are dropped.
        max_candidates: most candidates of a window, over all points and classes.
        per_level: that limit holds for each level of the pyramid instead.
        min_length: candidates of this many steps or fewer are dropped; 0 keeps all.
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

    def __call__(self, outputs: DenseOutputs) -> list[WindowCandidates]:
        """The candidates of each window of the batch."""
        position_P, stride_P = outputs.points_P4[:, 0], outputs.points_P4[:, 3]
        offsets_BP2 = outputs.offsets_BP2.float() * stride_P[None, :, None]
        segments_BP2 = torch.stack(
            (position_P - offsets_BP2[..., 0], position_P + offsets_BP2[..., 1]), dim=-1
        )
        scores_BPK = outputs.logits_BPK.float().sigmoid() * outputs.mask_BP[..., None]
        parts = [len(stride_P)]
        if self.per_level:  # points come level by level
            parts = torch.unique_consecutive(stride_P, return_counts=True)[1].tolist()
        return [
            self._of_window(segments_P2.split(parts), scores_PK.split(parts))
            for segments_P2, scores_PK in zip(segments_BP2, scores_BPK, strict=True)
        ]

    def _of_window(self, segments: Sequence[Tensor], scores: Sequence[Tensor]) -> WindowCandidates:
        num_classes = scores[0].shape[-1]
        chosen = []
        for segments_P2, scores_PK in zip(segments, scores, strict=True):
            best, index = scores_PK.flatten().topk(min(self.max_candidates, scores_PK.numel()))
            segments_N2 = segments_P2[index // num_classes]
            kept = best > self.score_threshold
            if self.min_length > 0:
                kept &= segments_N2[:, 1] - segments_N2[:, 0] > self.min_length
            chosen.append((segments_N2[kept], index[kept] % num_classes, best[kept]))
        columns = [torch.cat(column) for column in zip(*chosen, strict=True)]
        order = columns[2].argsort(descending=True, stable=True)
        return WindowCandidates(*(column[order] for column in columns))
