"""Selection of a window's candidates from scored segments: the last step of all decoders.

Shapes: Q rows of scores (points or queries), K classes, N candidates.
"""

from torch import Tensor

from mmad.models.detectors.contract import WindowCandidates


def best_pairs(scores_QK: Tensor, max_candidates: int) -> tuple[Tensor, Tensor, Tensor]:
    """Score, row and class of the highest scores, each (N,), by descending score."""
    num_classes = scores_QK.shape[1]
    score_N, index_N = scores_QK.flatten().topk(min(max_candidates, scores_QK.numel()))
    return score_N, index_N // num_classes, index_N % num_classes


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
