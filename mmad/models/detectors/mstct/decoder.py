"""Segments from the scores of a frame-wise detector.

Shapes: B batch, T steps, K classes, L levels, N candidates. A segment is [first - 1/2, last + 1/2]
in steps of the grid: on average that is where an action whose steps are first to last starts and
ends.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from mmad.models.detectors.candidates import select_candidates
from mmad.models.detectors.contract import WindowCandidates
from mmad.models.detectors.mstct.network import FrameOutputs

TINY = 1e-12


def logit_levels(*, lowest: float, highest: float, count: int) -> list[float]:
    """``count`` probabilities from lowest to highest, evenly spaced as logits.

    Classes whose scores are all low are thus cut at as many levels as the others.

    >>> [round(level, 3) for level in logit_levels(lowest=0.1, highest=0.9, count=3)]
    [0.1, 0.5, 0.9]
    """
    ends = torch.tensor([lowest, highest], dtype=torch.float64).logit().tolist()
    return torch.linspace(ends[0], ends[1], count, dtype=torch.float64).sigmoid().tolist()


def find_runs(
    scores_TK: Tensor, levels: Sequence[float], *, max_gap: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Class, first and last step of each run above a level, each (N,); a run at several levels is
    given once.

    Args:
        scores_TK: Scores of each step.
        levels: Thresholds; a run is the consecutive steps of a class above one of them.
        max_gap: Runs of a level with at most this many steps between them are merged.

    >>> scores = torch.tensor([[0.6], [0.9], [0.1], [0.7]])
    >>> [column.tolist() for column in find_runs(scores, [0.5], max_gap=0)]
    [[0, 0], [0, 3], [1, 3]]
    >>> [column.tolist() for column in find_runs(scores, [0.5], max_gap=1)]
    [[0], [0], [3]]
    """
    steps = len(scores_TK)
    levels_L = torch.tensor(list(levels), dtype=scores_TK.dtype, device=scores_TK.device)
    above_LKT = scores_TK.t()[None] > levels_L[:, None, None]
    before_LKT = functional.pad(above_LKT, (1, 0))[..., :-1]
    after_LKT = functional.pad(above_LKT, (0, 1))[..., 1:]
    # Both lists are ordered by level, class and step, so the i-th start and end belong to one run.
    level_N, label_N, first_N = (above_LKT & ~before_LKT).nonzero().unbind(1)
    last_N = (above_LKT & ~after_LKT).nonzero()[:, 2]

    joined_N = torch.zeros_like(first_N, dtype=torch.bool)  # with the run before it in the list
    same_row = (level_N[1:] == level_N[:-1]) & (label_N[1:] == label_N[:-1])
    joined_N[1:] = same_row & (first_N[1:] - last_N[:-1] - 1 <= max_gap)
    final_N = ~functional.pad(joined_N[1:], (0, 1)) if len(joined_N) else joined_N
    key_N = (label_N[~joined_N] * steps + first_N[~joined_N]) * steps + last_N[final_N]
    key_N = key_N.unique()
    return key_N // steps**2, key_N // steps % steps, key_N % steps


def run_scores(
    scores_TK: Tensor,
    label_N: Tensor,
    first_N: Tensor,
    last_N: Tensor,
    *,
    contrast: float,
    margin: float,
) -> Tensor:
    """Score of each run, inside * (1 - around / inside)^contrast, with the mean scores inside of it
    and around it; 0 where it is higher around it.

    The mean inside alone ranks the peak of an action above the whole of it. The contrast is highest
    where the scores fall off; with a power of 1 it is AutoLoc's (ECCV 2018) mean inside less mean
    outside.

    Args:
        scores_TK: Scores of the steps that exist, without padding.
        label_N, first_N, last_N: As returned by `find_runs`.
        contrast: Exponent; 0 gives the mean inside.
        margin: Surroundings of a run on each side, as a share of its length; at least one step.
    """
    total_TK = functional.pad(scores_TK.double().cumsum(dim=0), (0, 0, 1, 0))
    stop_N, length_N = last_N + 1, last_N + 1 - first_N
    inside_N = total_TK[stop_N, label_N] - total_TK[first_N, label_N]
    margin_N = (margin * length_N).ceil().long().clamp(min=1)
    left_N = (first_N - margin_N).clamp(min=0)
    right_N = (stop_N + margin_N).clamp(max=len(scores_TK))
    around_N = total_TK[right_N, label_N] - total_TK[left_N, label_N] - inside_N
    num_around_N = (right_N - left_N - length_N).clamp(min=1)
    mean_N = inside_N / length_N
    share_N = (around_N / num_around_N / mean_N.clamp(min=TINY)).clamp(0, 1)
    return (mean_N * (1 - share_N) ** contrast).to(scores_TK)


@dataclass(frozen=True, kw_only=True)
class RunDecoder:
    """Decoder of step-wise scores to the best candidates of each window.

    1. The probabilities of each class are cut at several levels; a candidate is a run of steps
       above a level, small gaps filled. Runs that coincide are one candidate.
    2. Its score is the mean probability inside, lowered by what is around it (`run_scores`), times
       the heat-map's probability at its middle to the power ``centre_weight``.
    3. The best remain. Runs of neighbouring levels overlap: suppression chooses among them
       afterwards.

    The published method ends at the scores of the steps; this rule is ours. The defaults of its
    settings are from a sweep on random features with planted actions, where the contrast counted
    most and the heat-map did not help.

    Attributes:
        levels: Probability thresholds.
        max_gap: As `find_runs`.
        contrast, margin: As `run_scores`.
        centre_weight: Exponent of the heat-map's probability; 0 leaves it out.
        score_threshold: Candidates at or below it are dropped.
        max_candidates: Maximum number of candidates of a window, over all classes.
        min_length: Candidates of this many steps or fewer are dropped; 0 keeps all.
    """

    levels: Sequence[float]
    max_gap: int
    contrast: float
    margin: float
    centre_weight: float
    score_threshold: float
    max_candidates: int
    min_length: float

    def __call__(self, outputs: FrameOutputs) -> list[WindowCandidates]:
        """The candidates of each window of the batch."""
        return [
            self._of_window(logits_TK.float().sigmoid(), heatmap_TK.float().sigmoid(), num_steps)
            for logits_TK, heatmap_TK, num_steps in zip(
                outputs.logits_BTK,
                outputs.heatmap_BTK,
                outputs.mask_BT.sum(dim=1).tolist(),
                strict=True,
            )
        ]

    def _of_window(self, scores_TK: Tensor, heatmap_TK: Tensor, num_steps: int) -> WindowCandidates:
        scores_TK, heatmap_TK = scores_TK[:num_steps], heatmap_TK[:num_steps]
        label_N, first_N, last_N = find_runs(scores_TK, self.levels, max_gap=self.max_gap)
        score_N = run_scores(
            scores_TK, label_N, first_N, last_N, contrast=self.contrast, margin=self.margin
        )
        if self.centre_weight > 0:
            score_N = score_N * self._centredness(heatmap_TK, label_N, first_N, last_N)
        return select_candidates(
            torch.stack((first_N - 0.5, last_N + 0.5), dim=1),
            label_N,
            score_N,
            score_threshold=self.score_threshold,
            min_length=self.min_length,
            max_candidates=self.max_candidates,
        )

    def _centredness(
        self, heatmap_TK: Tensor, label_N: Tensor, first_N: Tensor, last_N: Tensor
    ) -> Tensor:
        middle_N = (first_N + last_N + 1) // 2  # rounded as in the targets
        return heatmap_TK[middle_N, label_N] ** self.centre_weight
