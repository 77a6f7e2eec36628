"""Non-maximum suppression of segments, hard and soft, for all classes and videos at once, without
compiled code.

Groups (a class of a video) do not influence each other, nor do segments that are disjoint in time;
each such cluster is a row of a padded table, and one pass of the loop picks the best segment of
every row.

Sources: Soft-NMS (arXiv 1704.04503); segment voting as in ActionFormer.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Method = Literal["hard", "soft_gaussian", "soft_gaussian_by_length", "soft_linear", "soft_hard"]
VotingWeight = Literal["score", "score_iou"]

# ActionFormer's C++ code adds this to each length, so that a segment of zero length has an area.
LENGTH_EPS = 1e-6


@dataclass(frozen=True)
class Candidates:
    """Segments of any number of videos: `segments` (N, 2), `scores`, `labels` and `videos` (N,)."""

    segments: NDArray[np.float64]
    scores: NDArray[np.float64]
    labels: NDArray[np.int64]
    videos: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, index: NDArray) -> "Candidates":
        """The chosen candidates, by boolean mask or integer indices."""
        columns = (self.segments, self.scores, self.labels, self.videos)
        return Candidates(*(column[index] for column in columns))


@dataclass(frozen=True)
class _Rule:
    """How suppression treats overlaps; see `suppress`."""

    method: Method
    iou_threshold: float
    sigma: float
    length_threshold: tuple[float, float]
    min_score: float


def _decay(overlap: NDArray, picked_length: NDArray, rule: _Rule) -> NDArray:
    """Factor for the score of a segment that overlaps the one just picked."""
    method, iou_threshold = rule.method, rule.iou_threshold
    if method.startswith("soft_gaussian"):
        factor = np.exp(-(overlap**2) / rule.sigma)
        if method == "soft_gaussian":
            return factor
        base, slope = rule.length_threshold
        return np.where(overlap > base + slope * picked_length, factor, 1.0)
    over = overlap >= iou_threshold
    if method == "soft_linear":
        return np.where(over, 1.0 - overlap, 1.0)
    return np.where(over, 0.0, 1.0)


def _rows(groups: NDArray, segments: NDArray) -> tuple[NDArray, NDArray]:
    """Order that sorts segments by row, and row number of each sorted segment.

    A row is a run of segments of one group, sorted by start, in which each begins before the latest
    end so far.
    """
    order = np.lexsort((segments[:, 0], groups))
    group, start, end = groups[order], segments[order, 0], segments[order, 1]
    # Running maximum of the ends inside each group: groups are shifted apart, so that one pass is
    # enough for all.
    group_rank = np.cumsum(np.r_[0, group[1:] != group[:-1]]) if len(group) else group
    span = float(end.max() - min(start.min(), end.min()) + 1.0) if len(end) else 1.0
    latest = np.maximum.accumulate(end + group_rank * 2 * span)
    breaks = np.ones(len(order), dtype=bool)
    breaks[1:] = (group[1:] != group[:-1]) | (start[1:] + group_rank[1:] * 2 * span > latest[:-1])
    return order, np.cumsum(breaks) - 1


def _suppress_rows(segments: NDArray, scores: NDArray, rule: _Rule) -> NDArray:
    """Final score of every segment of a padded table; -inf if it was suppressed.

    Args:
        segments: Segments (R, M, 2).
        scores: Scores (R, M), -inf in unused cells; changed in place.
    """
    final = np.full(scores.shape, -np.inf)
    active = np.arange(len(scores))
    start, end = segments[..., 0], segments[..., 1]
    length = end - start + LENGTH_EPS
    while len(active):
        best = scores.argmax(axis=1)
        row = np.arange(len(scores))
        value = scores[row, best]
        alive = value > -np.inf
        if not alive.all():
            keep = np.flatnonzero(alive)
            active, scores, best, value = active[keep], scores[keep], best[keep], value[keep]
            start, end, length = start[keep], end[keep], length[keep]
            row = np.arange(len(scores))
            if not len(active):
                break
        final[active, best] = value
        scores[row, best] = -np.inf
        inner = np.minimum(end, end[row, best, None]) - np.maximum(start, start[row, best, None])
        np.maximum(inner, 0.0, out=inner)
        overlap = inner / (length + length[row, best, None] - inner)
        factor = _decay(overlap, length[row, best, None], rule)
        with np.errstate(invalid="ignore"):
            scores = np.where(np.isneginf(scores), scores, scores * factor)
        if rule.method in ("hard", "soft_hard"):
            scores[factor == 0.0] = -np.inf
        scores[scores < rule.min_score] = -np.inf
    return final


def groups_of(candidates: Candidates, *, per_class: bool) -> NDArray[np.int64]:
    """The group of each candidate, (N,): those of different groups do not influence each other."""
    if not per_class:
        return candidates.videos
    num_labels = int(candidates.labels.max(initial=0)) + 1
    return candidates.videos * num_labels + candidates.labels


def vote(
    kept: Candidates,
    everyone: Candidates,
    kept_groups: NDArray,
    groups: NDArray,
    *,
    threshold: float,
    weight: VotingWeight,
) -> Candidates:
    """``kept`` with each segment replaced by the weighted mean of the overlapping candidates of its
    group.

    A segment that nothing overlaps enough (of zero length) stays unchanged.
    """
    segments = kept.segments.copy()
    for group in np.unique(kept_groups):
        mine = np.flatnonzero(kept_groups == group)
        voters = np.flatnonzero(groups == group)
        a, b = kept.segments[mine], everyone.segments[voters]
        inner = np.minimum(a[:, None, 1], b[None, :, 1]) - np.maximum(a[:, None, 0], b[None, :, 0])
        inner = np.maximum(inner, 0.0)
        union = (a[:, 1] - a[:, 0])[:, None] + (b[:, 1] - b[:, 0])[None] - inner
        overlap = np.divide(inner, union, out=np.zeros_like(inner), where=union > 0)
        votes = np.where(overlap >= threshold, everyone.scores[voters][None], 0.0)
        if weight == "score_iou":
            votes = votes * overlap
        total = votes.sum(axis=1, keepdims=True)
        mean = np.divide(votes @ b, total, out=a.copy(), where=total > 0)
        segments[mine] = mean
    return Candidates(segments, kept.scores, kept.labels, kept.videos)


def _best_of_groups(groups: NDArray, scores: NDArray) -> NDArray:
    """Index of the highest score of each group."""
    order = np.lexsort((-scores, groups))
    first = np.ones(len(order), dtype=bool)
    first[1:] = groups[order][1:] != groups[order][:-1]
    return order[first]


def suppress(
    candidates: Candidates,
    *,
    method: Method = "soft_gaussian",
    iou_threshold: float = 0.5,
    sigma: float = 0.5,
    length_threshold: tuple[float, float] = (0.3, 0.05),
    min_score: float = 0.001,
    keep_best: bool = False,
    max_per_video: int = 200,
    per_class: bool = True,
    voting_threshold: float | None = None,
    voting_weight: VotingWeight = "score_iou",
) -> Candidates:
    """The surviving candidates, by video and descending score; ties keep the order of the input.

    Args:
        candidates: Segments in any one unit; an empty set gives an empty set.
        method: "hard" removes what overlaps by ``iou_threshold`` or more; "soft_gaussian"
            multiplies its score by exp(-tIoU^2 / sigma), "soft_linear" by 1 - tIoU from
            ``iou_threshold`` on, and "soft_hard" by 0 from there on; "soft_gaussian_by_length"
            is Gaussian from the tIoU a + b x length of the picked segment on.
        length_threshold: The values a and b of "soft_gaussian_by_length".
        min_score: Minimum score; candidates below it are dropped.
        keep_best: Whether to keep the best candidate of each class (or video) before suppression
            even below ``min_score``, as ActionFormer does.
        max_per_video: Maximum number of detections of a video.
        per_class: Whether to suppress within each class instead of across all.
        voting_threshold: Average the boundaries of each survivor with the candidates of its group
            that overlap it by this much; None disables voting.
        voting_weight: Weight of a vote: its score, or score x tIoU.
    """
    order_in = np.arange(len(candidates))
    groups = groups_of(candidates, per_class=per_class)
    final = suppressed_scores(
        candidates,
        groups,
        method=method,
        iou_threshold=iou_threshold,
        sigma=sigma,
        length_threshold=length_threshold,
        min_score=min_score,
        keep_best=keep_best,
    )
    survived = np.flatnonzero(final > -np.inf)
    ranked = survived[
        np.lexsort((order_in[survived], -final[survived], candidates.videos[survived]))
    ]
    kept = candidates.take(ranked)
    kept = Candidates(kept.segments, final[ranked], kept.labels, kept.videos)
    first_of_video = np.searchsorted(kept.videos, kept.videos)
    below_limit = np.arange(len(kept)) - first_of_video < max_per_video
    kept, kept_groups = kept.take(below_limit), groups[ranked][below_limit]
    if voting_threshold is None:
        return kept
    return vote(
        kept, candidates, kept_groups, groups, threshold=voting_threshold, weight=voting_weight
    )


def suppressed_scores(
    candidates: Candidates,
    groups: NDArray[np.int64],
    *,
    method: Method,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    length_threshold: tuple[float, float] = (0.3, 0.05),
    keep_best: bool = False,
) -> NDArray[np.float64]:
    """The score of each candidate after suppression, (N,); -inf if it does not survive.

    Args:
        groups: Group of each candidate.
        candidates, method, iou_threshold, sigma, min_score, length_threshold, keep_best: As in
            `suppress`.
    """
    rule = _Rule(method, iou_threshold, sigma, length_threshold, min_score)
    order, row = _rows(groups, candidates.segments)
    scores_in = np.where(candidates.scores < min_score, -np.inf, candidates.scores)
    if keep_best:
        best = _best_of_groups(groups, candidates.scores)
        scores_in[best] = candidates.scores[best]
    final = np.full(len(candidates), -np.inf)
    counts = np.bincount(row) if len(row) else np.zeros(0, dtype=np.int64)
    column = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    # Rows of similar size share a table, so that one long row does not widen all others.
    size_class = np.ceil(np.log2(np.maximum(counts, 1))).astype(np.int64)
    for size in np.unique(size_class):
        members = np.flatnonzero(size_class == size)
        position = np.full(len(counts), -1)
        position[members] = np.arange(len(members))
        chosen = np.flatnonzero(position[row] >= 0)
        width = int(counts[members].max())
        table_segments = np.zeros((len(members), width, 2))
        table_scores = np.full((len(members), width), -np.inf)
        cells = (position[row[chosen]], column[chosen])
        table_segments[cells] = candidates.segments[order[chosen]]
        table_scores[cells] = scores_in[order[chosen]]
        result = _suppress_rows(table_segments, table_scores, rule)
        final[order[chosen]] = result[cells]
    return final
