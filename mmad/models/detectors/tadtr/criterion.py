"""Criterion and decoder of TadTR: one query for each annotation.

Shapes: B batch, Q queries, L layers of the decoder, K classes, N annotations, M matched pairs.

Source: TadTR (arXiv 2106.10271, Sec. III-F) and its reference implementations.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mmad.models.detectors.candidates import best_pairs, rows_at, select_ranked
from mmad.models.detectors.contract import Losses, RankedCandidates, WindowCandidates
from mmad.models.detectors.losses import sigmoid_focal_loss
from mmad.models.detectors.set_matching import match, pairwise_iou, to_bounds, to_centre_width
from mmad.models.detectors.tadtr.network import QueryOutputs


@dataclass(frozen=True, kw_only=True)
class TadTRCriterion:
    """Focal, L1 and tIoU losses of every decoder layer, and the actionness loss.

    Each layer is matched to the annotations separately. Queries without one are negatives of all
    classes. The target of the actionness is a query's best tIoU with any annotation of its video.

    Differs: the authors' code takes that best over the annotations of all videos of the batch.

    Attributes:
        class_cost, l1_cost, iou_cost: Weights of the matching cost.
        class_weight, l1_weight, iou_weight, actionness_weight: Weights of the losses.
        focal_alpha, focal_gamma: Parameters of the focal loss, in cost and loss.
    """

    class_cost: float
    l1_cost: float
    iou_cost: float
    class_weight: float
    l1_weight: float
    iou_weight: float
    actionness_weight: float
    focal_alpha: float
    focal_gamma: float

    def __call__(
        self, outputs: QueryOutputs, segments_grid: Sequence[Tensor], labels: Sequence[Tensor]
    ) -> Losses:
        """The losses; arguments as in `Criterion`.

        The actionness loss is a mean over queries, in the reference implementations not divided by
        the number of annotations; so it is multiplied by it here.
        """
        annotations = [
            to_centre_width(segments_N2.float() / length)
            for segments_N2, length in zip(segments_grid, outputs.lengths_B, strict=True)
        ]
        parts: dict[str, Tensor] = {}
        for logits_BQK, segments_BQ2 in zip(
            outputs.logits_LBQK.float(), outputs.segments_LBQ2.float(), strict=True
        ):
            for name, value in self._of_layer(
                logits_BQK, segments_BQ2, annotations, labels
            ).items():
                parts[name] = parts.get(name, 0) + value
        num_annotations = sum(len(label) for label in labels)
        error_BQ = (outputs.actionness_BQ - self._overlaps(outputs, annotations)).abs()
        parts["actionness"] = self.actionness_weight * error_BQ.mean() * max(num_annotations, 1)
        return Losses(parts, torch.tensor(num_annotations, device=error_BQ.device))

    def _of_layer(
        self,
        logits_BQK: Tensor,
        segments_BQ2: Tensor,
        annotations: Sequence[Tensor],
        labels: Sequence[Tensor],
    ) -> dict[str, Tensor]:
        classes_BQK = torch.zeros_like(logits_BQK)
        predicted, wanted = [], []
        for row, (annotation_N2, label_N) in enumerate(zip(annotations, labels, strict=True)):
            cost_QN = self.matching_cost(logits_BQK[row], segments_BQ2[row], annotation_N2, label_N)
            queries_M, annotations_M = match(cost_QN)
            classes_BQK[row, queries_M, label_N[annotations_M]] = 1.0
            predicted.append(segments_BQ2[row, queries_M])
            wanted.append(annotation_N2[annotations_M])
        predicted_M2, wanted_M2 = torch.cat(predicted), torch.cat(wanted)
        focal = sigmoid_focal_loss(
            logits_BQK, classes_BQK, alpha=self.focal_alpha, gamma=self.focal_gamma
        )
        iou_M = pairwise_iou(to_bounds(predicted_M2), to_bounds(wanted_M2))[0].diagonal()
        return {
            "classification": self.class_weight * focal.sum(),
            "regression": self.l1_weight * (predicted_M2 - wanted_M2).abs().sum(),
            "overlap": self.iou_weight * (1 - iou_M).sum(),
        }

    @torch.no_grad()
    def matching_cost(
        self, logits_QK: Tensor, segments_Q2: Tensor, annotation_N2: Tensor, labels_N: Tensor
    ) -> Tensor:
        """Matching cost of each query-annotation pair, (Q, N).

        The focal loss of the annotation's class as a positive less that as a negative, the L1
        distance of centre and width, and minus the tIoU, each with its weight.

        Differs: the reference implementations add 1e-8 inside the logarithms.
        """
        of_label_QN = logits_QK[:, labels_N]
        class_QN = sigmoid_focal_loss(
            of_label_QN,
            torch.ones_like(of_label_QN),
            alpha=self.focal_alpha,
            gamma=self.focal_gamma,
        ) - sigmoid_focal_loss(
            of_label_QN,
            torch.zeros_like(of_label_QN),
            alpha=self.focal_alpha,
            gamma=self.focal_gamma,
        )
        l1_QN = (segments_Q2[:, None] - annotation_N2[None]).abs().sum(dim=-1)
        iou_QN, _ = pairwise_iou(to_bounds(segments_Q2), to_bounds(annotation_N2))
        return self.class_cost * class_QN + self.l1_cost * l1_QN - self.iou_cost * iou_QN

    @torch.no_grad()
    def _overlaps(self, outputs: QueryOutputs, annotations: Sequence[Tensor]) -> Tensor:
        """Best tIoU of each query's last segment, (B, Q); 0 in a video without annotations."""
        best = torch.zeros_like(outputs.actionness_BQ)
        for row, annotation_N2 in enumerate(annotations):
            if len(annotation_N2):
                segments_Q2 = outputs.segments_LBQ2[-1, row].float()
                iou_QN, _ = pairwise_iou(to_bounds(segments_Q2), to_bounds(annotation_N2))
                best[row] = iou_QN.amax(dim=1)
        return best


@dataclass(frozen=True, kw_only=True)
class QueryDecoder:
    """Decoder to the best pairs of query and class of each window; the score is the class score
    times the actionness.

    Attributes:
        score_threshold: Candidates at or below it are dropped.
        max_candidates: Maximum number of candidates of a window; the reference implementations keep
            100 and 200.
        min_length: Candidates of this many steps or fewer are dropped; 0 keeps all.
    """

    score_threshold: float
    max_candidates: int
    min_length: float

    def ranked(self, outputs: QueryOutputs) -> RankedCandidates:
        """The best pairs of query and class of each window, before any is dropped."""
        shares_BQ2 = to_bounds(outputs.segments_LBQ2[-1].float())
        segments_BQ2 = shares_BQ2 * outputs.lengths_B[:, None, None]
        scores_BQK = outputs.logits_LBQK[-1].float().sigmoid() * outputs.actionness_BQ[..., None]
        score_BN, query_BN, label_BN = best_pairs(scores_BQK, self.max_candidates)
        return RankedCandidates(rows_at(segments_BQ2, query_BN), label_BN, score_BN)

    def __call__(self, outputs: QueryOutputs) -> list[WindowCandidates]:
        """The candidates of each window of the batch."""
        return select_ranked(
            self.ranked(outputs),
            score_threshold=self.score_threshold,
            min_length=self.min_length,
            max_candidates=None,  # those are all
        )
