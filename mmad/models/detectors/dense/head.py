"""Dense detectors: a head that predicts at every point of a pyramid, and its decoder.

Shapes: B batch, C channels, T steps, P points over all levels, K classes, N annotations, R rows of
the classifier. Lengths and offsets are in steps of the feature grid, never in seconds.

Source: ActionFormer (arXiv 2202.07925) and its released code.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmad.models.detectors.candidates import best_pairs, select_ranked
from mmad.models.detectors.contract import RankedCandidates, WindowCandidates
from mmad.models.detectors.dense.body import BodyLogits, split_rows
from mmad.models.detectors.dense.points import (
    DenseOutputs,
    PointOutputs,
    join_levels,
    make_points,
)
from mmad.models.detectors.dense.pyramid import Pyramid
from mmad.models.detectors.losses import set_prior
from mmad.models.layers.masked import ConvNormReLU, MaskedConv1d, add_noise


class Tower(nn.Module):
    """Convolutions of the head, shared by all levels, and the last one that gives the output.

    Args:
        channels: C.
        out_channels: Channels of the output.
        num_convs: Number of convolutions before the last.
        prior: Initial score of every class; None for a tower that does not classify.
        norm_eps, mask_after_norm: As `Pyramid`.
    """

    def __init__(
        self,
        channels: int,
        out_channels: int,
        *,
        num_convs: int,
        prior: float | None,
        norm_eps: float,
        mask_after_norm: bool,
    ) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            ConvNormReLU(channels, channels, norm_eps=norm_eps, mask_after_norm=mask_after_norm)
            for _ in range(num_convs)
        )
        self.out = MaskedConv1d(channels, out_channels, kernel_size=3)
        if prior is not None:
            set_prior(self.out.conv, prior)

    def forward(self, levels: Sequence[Tensor], masks: Sequence[Tensor]) -> list[Tensor]:
        """Raw output of each level, (B, out_channels, T)."""
        outputs = []
        for x_BCT, mask_BT in zip(levels, masks, strict=True):
            for conv in self.convs:
                x_BCT = conv(x_BCT, mask_BT)
            outputs.append(self.out(x_BCT, mask_BT)[0])
        return outputs


class LevelScales(nn.ParameterList):
    """A learned factor per level from raw outputs to distances."""

    def __init__(self, num_levels: int) -> None:
        super().__init__(nn.Parameter(torch.ones(())) for _ in range(num_levels))

    def distances(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """Raw outputs times the factor of their level, at least 0."""
        return [functional.relu(x * scale) for x, scale in zip(levels, self, strict=True)]


class PyramidDetector(nn.Module):
    """Base of detectors on a pyramid: everything but the head.

    Args:
        pyramid: Temporal pyramid.
        regression_ranges: (low, high) of each level in steps of the grid, on the longer of the two
            offsets; only the targets use them.
        input_noise: Standard deviation of the noise on the features in training; padding gets none.
        parents: Body part of each class, for a body-level head; empty without.
    """

    def __init__(
        self,
        pyramid: Pyramid,
        *,
        regression_ranges: Sequence[tuple[float, float]],
        input_noise: float,
        parents: Sequence[int],
    ) -> None:
        super().__init__()
        assert len(regression_ranges) == pyramid.num_levels, "one regression range per level"
        self.pyramid = pyramid
        self.coarsest_stride = pyramid.coarsest_stride
        self.input_noise = input_noise
        ranges = torch.tensor(regression_ranges, dtype=torch.float32)
        self.register_buffer("regression_ranges", ranges, persistent=False)
        self.regression_ranges: Tensor
        self.register_buffer("parents_K", torch.tensor(parents, dtype=torch.long), persistent=False)
        self.parents_K: Tensor

    def levels(
        self, features_BCT: Tensor, mask_BT: Tensor
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Sequences of all levels, with noise in training, and their masks."""
        if self.training and self.input_noise > 0:
            features_BCT = add_noise(features_BCT, mask_BT, std=self.input_noise)
        levels, masks = zip(*self.pyramid(features_BCT, mask_BT), strict=True)
        return levels, masks

    def points(self, levels: Sequence[Tensor]) -> Tensor:
        """The points of the levels, (P, 4); see `make_points`."""
        lengths = [x.shape[2] for x in levels]
        return make_points(lengths, regression_ranges=self.regression_ranges)

    def class_logits(self, rows: Sequence[Tensor]) -> tuple[Tensor, BodyLogits | None]:
        """Logits of classes, (B, P, K), and of body parts from those of each level, (B, R, T)."""
        return split_rows(join_levels(rows), self.parents_K)


class DenseDetector(PyramidDetector):
    """Pyramid and head: features in, logits and offsets at every point out.

    Args:
        pyramid, regression_ranges, input_noise, parents: As `PyramidDetector`.
        classification, regression: Modules from all levels and their masks to class logits and to
            two offsets, or two for each class; a `Tower` for example.
    """

    def __init__(
        self,
        pyramid: Pyramid,
        *,
        classification: nn.Module,
        regression: nn.Module,
        regression_ranges: Sequence[tuple[float, float]],
        input_noise: float,
        parents: Sequence[int],
    ) -> None:
        super().__init__(
            pyramid, regression_ranges=regression_ranges, input_noise=input_noise, parents=parents
        )
        self.classification = classification
        self.regression = regression
        self.level_scales = LevelScales(pyramid.num_levels)

    def forward(self, features_BCT: Tensor, mask_BT: Tensor) -> DenseOutputs:
        """Predictions at every point; any T, as `Pyramid.forward`."""
        levels, masks = self.levels(features_BCT, mask_BT)
        logits_BPK, body = self.class_logits(self.classification(levels, masks))
        raw = self.regression(levels, masks)
        return DenseOutputs(
            logits_BPK=logits_BPK,
            offsets_BPG2=join_levels(self.level_scales.distances(raw)).unflatten(2, (-1, 2)),
            mask_BP=torch.cat(masks, dim=1),
            points_P4=self.points(levels),
            body=body,
        )


@dataclass(frozen=True, kw_only=True)
class DenseDecoder:
    """Raw predictions to the best candidates of each window.

    Attributes:
        score_threshold: Candidates at or below it are dropped.
        max_candidates: Maximum number of candidates of a window, over all points and classes.
        candidates_per_level: Apply that limit to each level of the pyramid instead.
        min_length: Candidates of this many steps or fewer are dropped; 0 keeps all.
    """

    score_threshold: float
    max_candidates: int
    candidates_per_level: bool
    min_length: float

    def ranked(self, outputs: PointOutputs) -> RankedCandidates:
        """The best pairs of point and class of each window, before any is dropped."""
        scores_BPK = outputs.logits_BPK.float().sigmoid() * outputs.mask_BP[..., None]
        parts = [scores_BPK.shape[1]]
        if self.candidates_per_level:  # points come level by level
            stride_P = outputs.points_P4[:, 3]
            parts = torch.unique_consecutive(stride_P, return_counts=True)[1].tolist()
        first_point, levels = 0, []
        for size, scores in zip(parts, scores_BPK.split(parts, dim=1), strict=True):
            score_BN, point_BN, label_BN = best_pairs(scores, self.max_candidates)
            levels.append((score_BN, first_point + point_BN, label_BN))
            first_point += size
        score_BN, point_BN, label_BN = (torch.cat(x, dim=1) for x in zip(*levels, strict=True))
        window_B1 = torch.arange(point_BN.shape[0], device=point_BN.device)[:, None]
        chosen = (window_B1.expand_as(point_BN), point_BN, label_BN)
        window_M, point_M, label_M = (index.flatten() for index in chosen)
        offsets_M2 = outputs.offsets_at(window_M=window_M, point_M=point_M, label_M=label_M)
        position_M, stride_M = outputs.points_P4[point_M, 0], outputs.points_P4[point_M, 3]
        start_M = position_M - offsets_M2[:, 0] * stride_M
        end_M = position_M + offsets_M2[:, 1] * stride_M
        segments_BN2 = torch.stack((start_M, end_M), dim=1).reshape(*point_BN.shape, 2)
        return RankedCandidates(segments_BN2, label_BN, score_BN)

    def __call__(self, outputs: PointOutputs) -> list[WindowCandidates]:
        """The candidates of each window of the batch."""
        return select_ranked(
            self.ranked(outputs),
            score_threshold=self.score_threshold,
            min_length=self.min_length,
            max_candidates=None,  # those are all
        )
