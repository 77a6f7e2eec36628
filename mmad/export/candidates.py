"""The last stage of an exported detector: raw outputs to the candidates that remain to suppress.

Shapes: B windows, N candidates.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmad.config.run import DetectionRun
from mmad.models.detectors.candidates import at_most, rows_at
from mmad.models.detectors.contract import RankingDecoder
from mmad.models.detectors.families import build_decoder, outputs_of

# Scores this close to the lowest that is kept may be of another candidate after rounding.
_NEAR = 1e-5


def rebuilt(kind: type, found: Mapping[str, Any]) -> Any:
    """Raw outputs of ``kind`` from arrays or tensors by name; what is not among them is None."""
    tensors = {name: torch.as_tensor(value) for name, value in found.items()}
    return kind(**{field.name: tensors.get(field.name) for field in fields(kind)})


@dataclass(frozen=True)
class CandidateStage:
    """The candidates of each window by descending score, in the unit of the input.

    Attributes:
        decoder: Decoder of the run.
        outputs: Type of the raw outputs.
        unit: Frames of the input, or steps of its features, in a step of the detector.
    """

    decoder: RankingDecoder
    outputs: type
    unit: float

    def __call__(self, outputs: Any) -> dict[str, Tensor]:
        """``segments`` (B, N, 2), ``scores`` (B, N) and ``labels`` (B, N); candidates that the
        decoder drops are last, with a score of 0.
        """
        ranked = self.decoder.ranked(outputs)
        segments_BN2 = ranked.segments_BN2.float()
        kept_BN = ranked.scores_BN > self.decoder.score_threshold
        if self.decoder.min_length > 0:
            length_BN = segments_BN2[..., 1] - segments_BN2[..., 0]
            kept_BN = kept_BN & (length_BN > self.decoder.min_length)
        scores_BN = torch.where(kept_BN, ranked.scores_BN, 0.0)
        number = at_most(scores_BN.shape[1], self.decoder.max_candidates)
        scores_BN, order_BN = scores_BN.topk(number)
        return {
            "segments": rows_at(segments_BN2, order_BN) * self.unit,
            "scores": scores_BN,
            "labels": rows_at(ranked.labels_BN[..., None], order_BN)[..., 0],
        }

    def difference(self, found: Mapping[str, Any]) -> float:
        """Largest difference of the candidates in ``found`` from those that the decoder makes of
        the raw outputs in ``found``, as a share of 1 + |value|; infinite for others.
        """
        largest = 0.0
        arrays = {name: np.asarray(found[name]) for name in ("segments", "scores", "labels")}
        windows = self.decoder(rebuilt(self.outputs, found))
        for window, candidates in enumerate(windows):
            ours = _table(*(array[window] for array in arrays.values()))
            theirs = _table(
                candidates.segments_grid.double().numpy() * self.unit,
                candidates.scores.numpy(),
                candidates.labels.numpy(),
            )
            # Those that only just remain may be others.
            cut = max(ours[:, 3].min(initial=1), theirs[:, 3].min(initial=1)) + _NEAR
            cut = cut if len(theirs) == len(arrays["scores"][window]) else 0.0
            near = self.decoder.score_threshold + _NEAR
            ours, theirs = (x[(x[:, 3] > cut) & (x[:, 3] > near)] for x in (ours, theirs))
            if ours.shape != theirs.shape:
                return float("inf")
            if len(ours):
                largest = max(largest, float((np.abs(ours - theirs) / (1 + np.abs(theirs))).max()))
        return largest


def _table(
    segments_N2: NDArray[Any], scores_N: NDArray[Any], labels_N: NDArray[Any]
) -> NDArray[np.float64]:
    """Label, start, end and score of each candidate that was kept, (N, 4), in an order that does
    not depend on scores.
    """
    rows = np.column_stack((labels_N, segments_N2, scores_N)).astype(np.float64)
    rows = rows[scores_N > 0]
    return rows[np.lexsort(rows[:, ::-1].T)]


def candidate_stage(config: DetectionRun, *, unit: float) -> CandidateStage | None:
    """The stage for the decoder of a run; None if the number of its candidates depends on values:
    limits for each level of a pyramid, or runs of scores.
    """
    decoder = build_decoder(config.detector, config.inference)
    if not isinstance(decoder, RankingDecoder) or config.inference.candidates_per_level:
        return None
    return CandidateStage(decoder, outputs_of(config.detector), unit)
