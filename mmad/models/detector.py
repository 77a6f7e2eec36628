"""The end-to-end detector: packed clips in, predictions at every point out; and its criterion and
decoder.

Shapes: N clips of all windows, F frames of a clip, V windows of the batch (B once they are padded),
T steps, C channels, P points, K classes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmad.models.actionformer import DenseOutputs, level_lengths, make_points
from mmad.models.losses import distance_iou_loss, sigmoid_focal_loss, smooth_labels
from mmad.models.targets import PointTargets, label_points
from mmad.models.videomae import TUBELET_FRAMES, VideoMAE


def embed_windows(
    backbone: VideoMAE, clips_NFHWC: Tensor, colours_V34: Tensor, clips_per_window: Sequence[int]
) -> Tensor:
    """Patches of all clips, (N, D, T, h, w), with the colours of each window.

    One window at a time: its float frames are the largest tensor of all, and live only here.
    """
    patches = []
    windows = clips_NFHWC.split(list(clips_per_window))
    for clips, colour in zip(windows, colours_V34, strict=True):
        flat = torch.addmm(colour[:, 3], clips.reshape(-1, 3).float(), colour[:, :3].t())
        frames = flat.view(clips.shape).permute(0, 4, 1, 2, 3)
        patches.append(backbone.embed(frames))
    return torch.cat(patches)


class VideoFeatures(nn.Module):
    """Features of windows of different length: colours, backbone, interpolation, padding.

    Args:
        backbone: the video network.
        steps_per_tubelet: 2 interpolates to one step per frame, as the peers do; 1 keeps one per
            tubelet; 0.5 averages two.
        mask_padding: set features beyond a window's end to zero; the peers do not.
    """

    def __init__(
        self, backbone: VideoMAE, *, steps_per_tubelet: float = 2, mask_padding: bool = True
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.steps_per_tubelet = steps_per_tubelet
        self.mask_padding = mask_padding

    def forward(
        self,
        clips_NFHWC: Tensor,
        colours_V34: Tensor,
        clips_per_window: Sequence[int],
        frames_per_window: Sequence[int],
    ) -> tuple[Tensor, Tensor]:
        """Features (B, C, T) and the mask of the steps that exist (B, T).

        Args:
            clips_NFHWC: uint8 frames; the clips of a window are neighbours.
            colours_V34: affine map of the colours of each window.
            clips_per_window: number of clips of each window.
            frames_per_window: number of frames that exist; what follows is padding.
        """
        patches = embed_windows(self.backbone, clips_NFHWC, colours_V34, clips_per_window)
        counts = torch.tensor(list(clips_per_window), device=clips_NFHWC.device)
        video_of_clip_N = torch.arange(len(counts), device=counts.device).repeat_interleave(counts)
        tokens_NTSD = self.backbone.encode(patches, video_of_clip_N)
        features_LD = tokens_NTSD.mean(dim=2).flatten(0, 1)

        sequences = []
        for part_TD in features_LD.split(
            [n * self.backbone.clip_tubelets for n in clips_per_window]
        ):
            part_DT = part_TD.t()
            if self.steps_per_tubelet != 1:
                part_DT = functional.interpolate(
                    part_DT[None], scale_factor=self.steps_per_tubelet, mode="linear"
                )[0]
            sequences.append(part_DT)
        length = max(part.shape[1] for part in sequences)
        features_BCT = torch.stack(
            [functional.pad(part, (0, length - part.shape[1])) for part in sequences]
        )
        steps = [self.num_steps(frames) for frames in frames_per_window]
        valid = torch.tensor(steps, device=features_BCT.device)
        mask_BT = torch.arange(length, device=valid.device)[None] < valid[:, None]
        if self.mask_padding:
            features_BCT = features_BCT * mask_BT[:, None]
        return features_BCT.float(), mask_BT

    def num_steps(self, num_frames: int) -> int:
        """Feature steps of ``num_frames`` frames; a step that a frame falls into counts."""
        return math.ceil(num_frames * self.steps_per_tubelet / TUBELET_FRAMES)


class EndToEndDetector(nn.Module):
    """Backbone and temporal detector in one network."""

    def __init__(self, features: VideoFeatures, network: nn.Module) -> None:
        super().__init__()
        self.features = features
        self.network = network

    def forward(
        self,
        clips_NFHWC: Tensor,
        colours_V34: Tensor,
        clips_per_window: Sequence[int],
        frames_per_window: Sequence[int],
    ) -> DenseOutputs:
        """Predictions at every point; arguments as in `VideoFeatures.forward`."""
        features_BCT, mask_BT = self.features(
            clips_NFHWC, colours_V34, clips_per_window, frames_per_window
        )
        return self.network(features_BCT, mask_BT)


@dataclass(frozen=True)
class DenseLosses:
    """Sums over the points of a batch, not yet divided by the normaliser."""

    classification: Tensor
    regression: Tensor


class DenseCriterion:
    """Targets and losses of a dense detector.

    Args:
        num_classes: K.
        regression_ranges: (low, high) of each level, in steps.
        centre_radius, shortest_labels_only: as `label_points`.
        label_smoothing: as `smooth_labels`.
        focal_alpha, focal_gamma: of the focal loss.
        regression_weight: weight of the regression loss in the total.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        regression_ranges: Sequence[tuple[float, float]],
        centre_radius: float | None = 1.5,
        shortest_labels_only: bool = True,
        label_smoothing: float = 0.0,
        focal_alpha: float = 0.25,
        focal_gamma: float = 2.0,
        regression_weight: float = 1.0,
    ) -> None:
        self.num_classes = num_classes
        self.regression_ranges = torch.tensor(regression_ranges, dtype=torch.float32)
        self.centre_radius = centre_radius
        self.shortest_labels_only = shortest_labels_only
        self.label_smoothing = label_smoothing
        self.focal_alpha = focal_alpha
        self.focal_gamma = focal_gamma
        self.regression_weight = regression_weight

    def targets(
        self,
        segments_grid: Sequence[Tensor],
        labels: Sequence[Tensor],
        *,
        steps_per_window: Sequence[int],
        padded_steps: int,
    ) -> PointTargets:
        """Targets of a batch, known before the network has run; points beyond a window's end have
        none.

        Args:
            segments_grid: (N, 2) of each window, in steps of its grid.
            labels: (N,) of each window.
            steps_per_window: steps of each window that exist.
            padded_steps: steps that the batch is padded to.
        """
        num_levels = len(self.regression_ranges)
        lengths = level_lengths(padded_steps, num_levels=num_levels)
        points = make_points(lengths, regression_ranges=self.regression_ranges)
        classes, offsets = [], []
        for segments, label, steps in zip(segments_grid, labels, steps_per_window, strict=True):
            classes_PK, offsets_P2 = label_points(
                points,
                segments.float(),
                label,
                num_classes=self.num_classes,
                centre_radius=self.centre_radius,
                shortest_labels_only=self.shortest_labels_only,
            )
            exists_P = points[:, 0] < steps
            classes.append(classes_PK * exists_P[:, None])
            offsets.append(offsets_P2)
        return PointTargets(torch.stack(classes), torch.stack(offsets))

    def __call__(self, outputs: DenseOutputs, targets: PointTargets) -> DenseLosses:
        """Sums of focal loss over points and classes, and of DIoU loss over positive points."""
        classes_BPK = smooth_labels(targets.classes_BPK, smoothing=self.label_smoothing)
        focal = sigmoid_focal_loss(
            outputs.logits_BPK.float(), classes_BPK, alpha=self.focal_alpha, gamma=self.focal_gamma
        )
        positive_BP = targets.positive_BP & outputs.mask_BP
        regression = distance_iou_loss(
            outputs.offsets_BP2.float()[positive_BP], targets.offsets_BP2[positive_BP]
        )
        return DenseLosses(
            classification=(focal * outputs.mask_BP[..., None]).sum(), regression=regression.sum()
        )


@dataclass(frozen=True)
class WindowCandidates:
    """Candidates of one window by falling score: segments (N, 2) in steps, labels, scores."""

    segments_grid: Tensor
    labels: Tensor
    scores: Tensor


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
