"""Score curves: how much a detector finds each class at each time of a video.

Shapes: B windows of a batch, T steps, P points over all levels, K classes.
"""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmad.engine.inference import AnyBatch
from mmad.structures import FeatureGrid

STEP_SECONDS = 0.1


def step_scores(outputs: Any) -> Tensor | None:
    """The class scores of each step of the grid, (B, T, K), from the raw outputs of a detector.

    Of detectors on a pyramid, the highest score of any level whose point is nearest to the step.
    None for those with queries, which have no score of a step, and for exported files.
    """
    if hasattr(outputs, "logits_BTK"):
        return outputs.logits_BTK.float().sigmoid() * outputs.mask_BT[..., None]
    if not hasattr(outputs, "logits_BPK") or not hasattr(outputs, "points_P4"):
        return None
    scores_BPK = outputs.logits_BPK.float().sigmoid() * outputs.mask_BP[..., None]
    strides, counts = torch.unique_consecutive(outputs.points_P4[:, 3], return_counts=True)
    best, steps = None, torch.arange(int(counts[0]), device=scores_BPK.device)
    for stride, level_BPK in zip(strides, scores_BPK.split(counts.tolist(), dim=1), strict=True):
        nearest_T = (steps / stride).round().long().clamp(max=level_BPK.shape[1] - 1)
        level_BTK = level_BPK[:, nearest_T]
        best = level_BTK if best is None else torch.maximum(best, level_BTK)
    return best


class ScoreCurves:
    """The score curves of one video, from the raw outputs of its windows; call it with each.

    Args:
        duration_seconds: Duration of the video.
        num_classes: K.
        step_seconds: Distance between steps of the curves.
    """

    def __init__(
        self, duration_seconds: float, num_classes: int, *, step_seconds: float = STEP_SECONDS
    ) -> None:
        self.step_seconds = step_seconds
        self._scores_TK = np.zeros((math.ceil(duration_seconds / step_seconds), num_classes))
        self._is_known = False

    def __call__(self, batch: AnyBatch, outputs: Any) -> None:
        """Add the windows of a batch."""
        scores_BTK = step_scores(outputs)
        if scores_BTK is None:
            return
        self._is_known = True
        for grid, scores_TK in zip(batch.grids, scores_BTK.cpu().numpy(), strict=True):
            self._add(grid, scores_TK[: grid.num_steps])

    def _add(self, grid: FeatureGrid, scores_TK: NDArray) -> None:
        """The highest score of the steps in a bin, or of the nearest step where there is none."""
        count = len(self._scores_TK)
        steps = np.arange(len(scores_TK)) * grid.stride_frames + grid.offset_frames
        # A step at the border of two bins is in the later one, however its time was rounded.
        bins = np.floor(steps / grid.fps / self.step_seconds + 1e-6).astype(int)
        kept = (bins >= 0) & (bins < count)
        np.maximum.at(self._scores_TK, bins[kept], scores_TK[kept])
        centres = (np.arange(count) + 0.5) * self.step_seconds
        position = (centres * grid.fps - grid.offset_frames) / grid.stride_frames
        is_empty = ~np.isin(np.arange(count), bins)
        filled = np.flatnonzero(is_empty & (position > -1) & (position < len(scores_TK)))
        nearest = position[filled].round().astype(int).clip(0, len(scores_TK) - 1)
        self._scores_TK[filled] = np.maximum(self._scores_TK[filled], scores_TK[nearest])

    def as_bytes(self) -> NDArray[np.uint8] | None:
        """The scores, (T, K), 255 for a score of 1; None if the detector has no scores of steps."""
        if not self._is_known:
            return None
        return np.round(self._scores_TK.clip(0, 1) * 255).astype(np.uint8)
