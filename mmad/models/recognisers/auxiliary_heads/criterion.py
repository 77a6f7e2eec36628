"""Losses of recognition: cross-entropy plus soft F1 of every head, in a weighted sum.

Shapes: N rows (clips, or steps of clips), K classes.

Source: Li et al. (ACM MM 2024), section 3.3, their equations of the F1 loss, ArcFace loss (the
cross-entropy of logits with the margin) and the weighted multi-task loss.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from mmad.models.recognisers.auxiliary_heads.network import HeadOutputs
from mmad.models.recognisers.contract import RecognitionTargets

EPS = 1e-7


def soft_f1(
    probabilities_NK: Tensor, targets_NK: Tensor, *, present_only: bool
) -> tuple[Tensor, Tensor]:
    """Macro and micro F1 with probabilities in place of counts.

    A class that is not in the targets counts with F1 = 0 in the macro mean, as printed, unless
    ``present_only``.
    """
    true = (probabilities_NK * targets_NK).sum(0)
    false = (probabilities_NK * (1 - targets_NK)).sum(0)
    missed = ((1 - probabilities_NK) * targets_NK).sum(0)
    per_class = _f1(true, false, missed)
    if present_only:
        per_class = per_class[targets_NK.sum(0) > 0]
    return per_class.mean(), _f1(true.sum(), false.sum(), missed.sum())


def soft_f1_of_rows(
    probabilities_NK: Tensor, targets_NK: Tensor, *, present_only: bool
) -> tuple[Tensor, Tensor]:
    """The mean over the rows of each row's own macro and micro soft F1.

    The sums over i and t in the frame losses of the paper have F1 inside.
    """
    true = probabilities_NK * targets_NK
    false = probabilities_NK - true
    missed = targets_NK - true
    per_class = _f1(true, false, missed)
    if present_only:
        present = (targets_NK > 0).float()
        macro = (per_class * present).sum(1) / present.sum(1).clamp(min=1)
    else:
        macro = per_class.mean(1)
    return macro.mean(), _f1(true.sum(1), false.sum(1), missed.sum(1)).mean()


def _f1(true: Tensor, false: Tensor, missed: Tensor) -> Tensor:
    precision, recall = true / (true + false + EPS), true / (true + missed + EPS)
    return 2 * precision * recall / (precision + recall + EPS)


def soft_cross_entropy(logits_NK: Tensor, targets_NK: Tensor, weights_K: Tensor) -> Tensor:
    """Cross-entropy of each row with soft targets, classes weighted, (N,)."""
    return -(targets_NK * weights_K * functional.log_softmax(logits_NK.float(), dim=1)).sum(1)


def body_weights(counts_K: Sequence[int], parents_K: Sequence[int], *, exponent: float) -> Tensor:
    """Weight of each action: (mean count of its body part / its count) ^ exponent, float32 (K,).

    Scaled inside each body part so that the mean over its clips stays 1; an action without clips
    has weight 1.

    >>> body_weights([30, 10, 7], [0, 0, 1], exponent=1.0).tolist()
    [0.6666666865348816, 2.0, 1.0]
    """
    counts = torch.tensor(counts_K, dtype=torch.float64)
    parents = torch.tensor(parents_K)
    weights = torch.ones_like(counts)
    for parent in parents.unique().tolist():
        mine = (parents == parent) & (counts > 0)
        if mine.any():
            raw = (counts[mine].mean() / counts[mine]) ** exponent
            weights[mine] = raw * counts[mine].sum() / (raw * counts[mine]).sum()
    return weights.float()


@dataclass(frozen=True, kw_only=True, eq=False)
class HeadsCriterion:
    """The weighted sum of the losses of the heads.

    Attributes:
        weights: Weights of "fine", "coarse", "fine_frame" and "coarse_frame".
        class_weights_K: Weights of actions in the cross-entropy.
        f1: Whether soft F1 is added.
        f1_constant: 1 for 1 - (macro + micro), 2 for (1 - macro) + (1 - micro).
        f1_frames: "each" for the mean of the F1 of each step, as printed in the paper; "together"
            for one F1 over the steps of all clips.
        f1_present_only: As `soft_f1`.
        label_smoothing: Share moved to the uniform distribution.
        gather: Collects the rows that one F1 is taken over, which is not a mean over clips: those
            of all processes, with gradients for its own.
    """

    weights: Mapping[str, float]
    class_weights_K: Tensor
    f1: bool
    f1_constant: int
    f1_frames: str
    f1_present_only: bool
    label_smoothing: float
    gather: Callable[[Tensor], Tensor]

    def __call__(self, outputs: HeadOutputs, targets: RecognitionTargets) -> dict[str, Tensor]:
        """Sums over the clips, by name; "loss" is minimised."""
        num_clips = len(targets.actions_NK)
        losses: dict[str, Tensor] = {}
        for name, logits, wanted in (
            ("fine", outputs.fine, targets.actions_NK),
            ("coarse", outputs.coarse, targets.parts_NP),
            ("fine_frame", outputs.fine_frame, targets.actions_NK),
            ("coarse_frame", outputs.coarse_frame, targets.parts_NP),
        ):
            if logits is None:
                continue
            rows = wanted.repeat_interleave(len(logits) // num_clips, dim=0)
            each = name.endswith("_frame") and self.f1_frames == "each"
            weights = self.class_weights_K if name.startswith("fine") else torch.ones(1)
            losses[f"loss_{name}"] = self._head(logits, rows, weights, each=each) * num_clips
        total = sum(self.weights[name.removeprefix("loss_")] * v for name, v in losses.items())
        return {"loss": torch.as_tensor(total), **losses}

    def _head(
        self, logits_NK: Tensor, targets_NK: Tensor, weights_K: Tensor, *, each: bool
    ) -> Tensor:
        """Mean over the rows; with ``each``, the F1 is taken per row."""
        num_classes = logits_NK.shape[1]
        smooth = targets_NK * (1 - self.label_smoothing) + self.label_smoothing / num_classes
        weights_K = weights_K.to(logits_NK.device)
        loss = soft_cross_entropy(logits_NK, smooth, weights_K).mean()
        if not self.f1:
            return loss
        probabilities = functional.softmax(logits_NK.float(), dim=1)
        if each:
            macro, micro = soft_f1_of_rows(
                probabilities, targets_NK, present_only=self.f1_present_only
            )
            return loss + self.f1_constant - macro - micro
        probabilities = self.gather(probabilities)
        everyone = self.gather(targets_NK)
        macro, micro = soft_f1(probabilities, everyone, present_only=self.f1_present_only)
        f1_loss = self.f1_constant - macro - micro
        # Every process has the loss of all, but gradients for its own rows only; summed over the
        # processes and divided by all clips, that is the gradient of the whole batch.
        share = len(probabilities) / len(logits_NK)
        return loss + f1_loss.detach() + share * (f1_loss - f1_loss.detach())
