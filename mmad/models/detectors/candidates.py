"""Candidates of windows from scored segments: the last steps of all decoders.

Shapes: B batch, Q rows of scores (points or queries), K classes, N candidates.
"""

import torch
from torch import Tensor

from mmad.models.detectors.contract import RankedCandidates, WindowCandidates


def best_pairs(scores_BQK: Tensor, max_candidates: int) -> tuple[Tensor, Tensor, Tensor]:
    """Score, row and class of the highest scores of each window, each (B, N), by descending
    score.
    """
    scores_BM, num_classes = scores_BQK.flatten(1), scores_BQK.shape[2]
    score_BN, index_BN = scores_BM.topk(at_most(scores_BM.shape[1], max_candidates))
    return score_BN, index_BN // num_classes, index_BN % num_classes


def at_most(number: int, limit: int) -> int:
    """The smaller number; the first may be a size while a network is traced or exported."""
    if isinstance(number, Tensor):
        return number.clamp(max=limit)
    return torch.sym_min(number, limit)


def rows_at(values_BQC: Tensor, row_BN: Tensor) -> Tensor:
    """The chosen rows of each window, (B, N, C)."""
    window_B1 = torch.arange(row_BN.shape[0], device=row_BN.device)[:, None]
    return values_BQC[window_B1, row_BN]


def select_ranked(
    ranked: RankedCandidates,
    *,
    score_threshold: float,
    min_length: float,
    max_candidates: int | None,
) -> list[WindowCandidates]:
    """The candidates of each window; arguments as in `select_candidates`."""
    columns = (ranked.segments_BN2, ranked.labels_BN, ranked.scores_BN)
    return [
        select_candidates(
            *window,
            score_threshold=score_threshold,
            min_length=min_length,
            max_candidates=max_candidates,
        )
        for window in zip(*columns, strict=True)
    ]


def select_candidates(
    segments_N2: Tensor,
    label_N: Tensor,
    score_N: Tensor,
    *,
    score_threshold: float,
    min_length: float,
    max_candidates: int | None,
) -> WindowCandidates:
    """The best candidates by descending score; ties keep their order.

    Args:
        segments_N2: Start and end in steps.
        label_N, score_N: Label and score of each segment.
        score_threshold: Candidates at or below it are dropped.
        min_length: Candidates of this many steps or fewer are dropped; 0 keeps all.
        max_candidates: Maximum number of candidates; None for all.
    """
    kept_N = score_N > score_threshold
    if min_length > 0:
        kept_N &= segments_N2[:, 1] - segments_N2[:, 0] > min_length
    segments_N2, label_N, score_N = segments_N2[kept_N], label_N[kept_N], score_N[kept_N]
    order = score_N.argsort(descending=True, stable=True)[:max_candidates]
    return WindowCandidates(segments_N2[order], label_N[order], score_N[order])
