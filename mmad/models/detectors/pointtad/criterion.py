"""Losses and decoder of PointTAD.

Shapes: B batch, T steps, Q queries, D decoder layers, K classes, N annotations. Segments are shares
of their video's own length, 0 to 1, except where a name says `grid`.

Source: PointTAD (arXiv 2210.11035) and its released code (MCG-NJU/PointTAD).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from mmad.models.detectors.candidates import select_ranked
from mmad.models.detectors.contract import Losses, RankedCandidates, WindowCandidates
from mmad.models.detectors.pointtad.network import PointTADOutputs
from mmad.models.detectors.set_matching import match, pairwise_iou, to_centre_width


def matching_cost(
    logits_QK: Tensor,
    segments_Q2: Tensor,
    true_N2: Tensor,
    labels_N: Tensor,
    *,
    class_cost: float,
    distance_cost: float,
    iou_cost: float,
) -> Tensor:
    """Matching cost of each query-annotation pair, (Q, N).

    Minus the probability of its class, plus the distances of centre and width, minus the tIoU, each
    with its weight.
    """
    probability_QN = logits_QK.softmax(dim=-1)[:, labels_N]
    centre_width_Q12 = to_centre_width(segments_Q2)[:, None]
    distance_QN = (centre_width_Q12 - to_centre_width(true_N2)[None]).abs().sum(dim=-1)
    iou_QN, _ = pairwise_iou(segments_Q2.clamp(0, 1), true_N2)
    return distance_cost * distance_QN - class_cost * probability_QN - iou_cost * iou_QN


def label_steps(
    segments_grid: Sequence[Tensor], labels: Sequence[Tensor], *, num_steps: int, num_classes: int
) -> Tensor:
    """1 at each step from an annotation's first to its last for its class, else 0, (B, T, K).

    >>> label_steps(
    ...     [torch.tensor([[1.2, 2.9]])], [torch.tensor([0])], num_steps=4, num_classes=1
    ... )[0, :, 0].tolist()
    [0.0, 1.0, 1.0, 0.0]
    """
    rows = []
    for segments_N2, labels_N in zip(segments_grid, labels, strict=True):
        bounds_N12 = segments_N2.floor()[:, None]
        step_T = torch.arange(num_steps, device=segments_N2.device)
        inside_NT = (step_T >= bounds_N12[..., 0]) & (step_T <= bounds_N12[..., 1])
        one_hot_NK = functional.one_hot(labels_N, num_classes)
        rows.append((inside_NT[..., None] & (one_hot_NK[:, None] > 0)).any(dim=0))
    return torch.stack(rows).float()


@dataclass(frozen=True, kw_only=True)
class PointTADCriterion:
    """Losses of a bipartite matching; queries without an annotation have the target "nothing".

    PointTAD detects several labels at one time by several queries: one query has one label, by a
    softmax over classes and "nothing". The layers are matched separately. What is a mean over
    queries or steps in the released code is multiplied by the number of annotations, so that the
    training loop's division by it gives that mean back.

    Differs: the released code counts the steps of padding in the dense loss; of a batch without
    annotations it takes only that loss, while here the queries have the target "nothing"; and, by
    an accident of `zip`, it takes no more layers into its auxiliary losses than a batch has videos.

    Attributes:
        num_classes: K.
        class_cost, distance_cost, iou_cost: As `matching_cost`.
        class_weight, distance_weight, iou_weight, dense_weight: Weights of the losses in the total.
        background_weight: Weight of "nothing" in the cross-entropy, against 1 for each class.
        auxiliary_losses: Add the losses of classes and segments of all layers before the last.
    """

    num_classes: int
    class_cost: float
    distance_cost: float
    iou_cost: float
    class_weight: float
    distance_weight: float
    iou_weight: float
    dense_weight: float
    background_weight: float
    auxiliary_losses: bool

    def __call__(
        self, outputs: PointTADOutputs, segments_grid: Sequence[Tensor], labels: Sequence[Tensor]
    ) -> Losses:
        """Cross-entropy of queries, distance and tIoU of matched segments, cross-entropy of steps.

        The losses of the last layer have their names; those of the layers before it are one sum,
        "auxiliary".
        """
        lengths = outputs.mask_BT.sum(dim=1).clamp(min=1)
        true = [x.float() / length for x, length in zip(segments_grid, lengths, strict=True)]
        num_positives = outputs.mask_BT.new_tensor(sum(map(len, labels)), dtype=torch.float32)
        layers = list(zip(outputs.logits_DBQK.float(), outputs.segments_DBQ2.float(), strict=True))
        parts = self._of_layer(*layers[-1], true, labels)
        if self.auxiliary_losses and len(layers) > 1:
            before = [self._of_layer(*layer, true, labels) for layer in layers[:-1]]
            parts["auxiliary"] = torch.stack([x for part in before for x in part.values()]).sum()

        targets_BTK = label_steps(
            segments_grid,
            labels,
            num_steps=outputs.mask_BT.shape[1],
            num_classes=self.num_classes,
        )
        dense = functional.binary_cross_entropy_with_logits(
            outputs.dense_logits_BTK.float()[outputs.mask_BT], targets_BTK[outputs.mask_BT]
        )
        parts["dense"] = self.dense_weight * dense * num_positives.clamp(min=1)
        return Losses(parts, num_positives)

    def _of_layer(
        self,
        logits_BQK: Tensor,
        segments_BQ2: Tensor,
        true: Sequence[Tensor],
        labels: Sequence[Tensor],
    ) -> dict[str, Tensor]:
        classes_BQ = torch.full_like(logits_BQK[..., 0], self.num_classes, dtype=torch.long)
        distances, overlaps = [], []
        for index, (true_N2, labels_N) in enumerate(zip(true, labels, strict=True)):
            with torch.no_grad():
                cost_QN = matching_cost(
                    logits_BQK[index],
                    segments_BQ2[index],
                    true_N2,
                    labels_N,
                    class_cost=self.class_cost,
                    distance_cost=self.distance_cost,
                    iou_cost=self.iou_cost,
                )
            queries, annotations = match(cost_QN)
            classes_BQ[index, queries] = labels_N[annotations]
            found_M2, true_M2 = segments_BQ2[index, queries], true_N2[annotations]
            distances.append((to_centre_width(found_M2) - to_centre_width(true_M2)).abs().sum())
            overlaps.append(pairwise_iou(found_M2.clamp(0, 1), true_M2)[0].diagonal())
        weights_K = logits_BQK.new_ones(self.num_classes + 1)
        weights_K[-1] = self.background_weight
        classification = functional.cross_entropy(
            logits_BQK.flatten(0, 1), classes_BQ.flatten(), weights_K
        )
        num_annotations = max(sum(map(len, labels)), 1)
        return {
            "classification": self.class_weight * classification * num_annotations,
            "distance": self.distance_weight * torch.stack(distances).sum(),
            "iou": self.iou_weight * (1 - torch.cat(overlaps)).sum(),
        }


@dataclass(frozen=True, kw_only=True)
class PointTADDecoder:
    """Decoder of the last layer's predictions to candidates.

    Attributes:
        score_threshold: Candidates at or below it are dropped.
        max_candidates: Maximum number of candidates of a window.
        labels_per_query: Number of best classes of a query that become candidates; 1 in the
            released code.
        min_length: Candidates of this many steps or fewer are dropped; 0 keeps all.
    """

    score_threshold: float
    max_candidates: int
    labels_per_query: int
    min_length: float

    def ranked(self, outputs: PointTADOutputs) -> RankedCandidates:
        """The best classes of each query of each window, in the order of the queries, before any is
        dropped.
        """
        scores_BQK = outputs.logits_DBQK[-1].float().softmax(dim=-1)[..., :-1]
        lengths_B = outputs.mask_BT.sum(dim=1)
        segments_BQ2 = outputs.segments_DBQ2[-1].float().clamp(0, 1) * lengths_B[:, None, None]
        per_query = min(self.labels_per_query, scores_BQK.shape[2])
        scores_BQN, labels_BQN = scores_BQK.topk(per_query, dim=2)
        segments_BN2 = segments_BQ2.repeat_interleave(per_query, dim=1)
        return RankedCandidates(segments_BN2, labels_BQN.flatten(1), scores_BQN.flatten(1))

    def __call__(self, outputs: PointTADOutputs) -> list[WindowCandidates]:
        """The candidates of each window of the batch."""
        return select_ranked(
            self.ranked(outputs),
            score_threshold=self.score_threshold,
            min_length=self.min_length,
            max_candidates=self.max_candidates,
        )
