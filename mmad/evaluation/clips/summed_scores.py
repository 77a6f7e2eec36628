"""Scores that are a weighted sum of two parts, and their figures at other weights.

Shapes: N clips, V views of each, K actions.

Source: Mi et al. (Pattern Recognition Letters 2022), Eq. 4 and Fig. 5, which weigh local features.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmad.errors import PredictionError
from mmad.evaluation.clips.recognition import (
    RecognitionReport,
    evaluate_recognition,
    with_suffix,
)
from mmad.evaluation.clips.scores import RecognitionScores, load_arrays, to_recognitions
from mmad.evaluation.level_fusion import combine_levels
from mmad.labels import LabelMap
from mmad.parsing import json_value
from mmad.structures import ClipRecord, Floats

# Of Fig. 5: 0 is the classifier without local features.
COEFFICIENTS = tuple(tenth / 10 for tenth in range(11))
_IDS, _WHOLE, _LOCAL, _SUM = "clip_ids", "whole_logits", "local_scores", "sum"
_SETTINGS: Mapping[str, tuple[Any, ...]] = {
    "average": ("probability", "score"),
    "hierarchy": ("mapping", "summed"),
}


@dataclass(frozen=True, eq=False)
class SummedScores:
    """Both parts of the logits of clips, ``whole + coefficient x local``.

    Attributes:
        clip_ids: File name of each clip.
        whole_NVK: Logits of features of whole images.
        local_NVK: Scores of local features.
        coefficient: Weight that the model was trained with.
        average: Over the views: the mean of "probability", or that of the "score".
        hierarchy: How body parts follow from actions; see `combine_levels`.
    """

    clip_ids: tuple[str, ...]
    whole_NVK: NDArray[np.float32]
    local_NVK: NDArray[np.float32]
    coefficient: float
    average: str
    hierarchy: str

    def at(self, coefficient: float, *, labels: LabelMap) -> RecognitionScores:
        """The probabilities with another weight of the local features."""
        logits_NVK = self.whole_NVK + coefficient * self.local_NVK.astype(np.float64)
        if self.average == "score":
            actions_NK = _softmax(logits_NVK.mean(axis=1))
        else:
            actions_NK = _softmax(logits_NVK).mean(axis=1)
        levels = combine_levels(actions_NK, None, labels=labels, how=self.hierarchy)
        return RecognitionScores(self.clip_ids, *levels)

    def arrays(self) -> dict[str, NDArray]:
        """What a file of scores holds beside the scores, for `read_summed_scores`."""
        settings = {name: getattr(self, name) for name in ("coefficient", *_SETTINGS)}
        return {
            _WHOLE: self.whole_NVK.astype(np.float32),
            _LOCAL: self.local_NVK.astype(np.float32),
            _SUM: np.array(json.dumps(settings)),
        }


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def read_summed_scores(path: Path, *, labels: LabelMap) -> SummedScores:
    """Both parts of the scores in an .npz that `mmad predict` wrote; pickles are never executed.

    Raises: PredictionError if they are not there, damaged, or of other labels.
    """
    expected = "the two parts of the scores, which mmad predict writes of heads.name=mlfe"
    arrays = load_arrays(path, (_IDS, _WHOLE, _LOCAL, _SUM), expected=expected)
    missing = [name for name in (_IDS, _WHOLE, _LOCAL, _SUM) if name not in arrays]
    if missing:
        raise PredictionError(f"{path}: expected {expected}; missing {', '.join(missing)}")
    ids, whole, local = arrays[_IDS], arrays[_WHOLE], arrays[_LOCAL]
    views = whole.shape[1] if whole.ndim == 3 else 1
    shape = (*ids.shape, views, len(labels))
    for name, table in ((_WHOLE, whole), (_LOCAL, local)):
        if ids.dtype.kind != "U" or table.shape != shape or table.dtype.kind != "f":
            raise PredictionError(
                f"{path}: {name}: expected numbers, shape (clips, views, {len(labels)}), found "
                f"{table.dtype}, {table.shape}"
            )
        if not np.isfinite(table).all():
            raise PredictionError(f"{path}: {name}: expected finite numbers")
    settings = _settings(arrays[_SUM], source=f"{path}: {_SUM}")
    return SummedScores(tuple(map(with_suffix, ids.tolist())), whole, local, **settings)


def _settings(text: NDArray, *, source: str) -> dict[str, Any]:
    content = json_value(source, str(text), error=PredictionError)
    found = content if isinstance(content, Mapping) else {}
    coefficient = found.get("coefficient")
    is_number = isinstance(coefficient, int | float) and 0 <= coefficient < np.inf
    if not is_number or any(found.get(name) not in known for name, known in _SETTINGS.items()):
        raise PredictionError(
            f"{source}: expected coefficient, {' and '.join(_SETTINGS)}, found {content!r:.80}"
        )
    return {name: found[name] for name in ("coefficient", *_SETTINGS)}


@dataclass(frozen=True, eq=False)
class CoefficientSweep:
    """Figures of files of predictions at each weight of the local features.

    Attributes:
        coefficients: The weights.
        own: Weight of each file, with which its model was trained.
        reports: For each file, a report at each weight.
    """

    coefficients: tuple[float, ...]
    own: tuple[float, ...]
    reports: tuple[tuple[RecognitionReport, ...], ...]

    def means(self, level: str, figure: str) -> Floats:
        """A figure of a level at each weight, the mean of the files."""
        return np.mean(
            [[getattr(one.levels[level], figure) for one in row] for row in self.reports], axis=0
        )


def sweep_coefficients(
    members: Sequence[SummedScores],
    clips: Sequence[Sequence[ClipRecord]],
    *,
    labels: LabelMap,
    f1: str,
    coefficients: Sequence[float] = COEFFICIENTS,
) -> CoefficientSweep:
    """The figures of each file against its own clips, without another pass through the network.

    Raises: PredictionError if clips are unknown or missing.
    """
    reports = tuple(
        tuple(
            evaluate_recognition(
                to_recognitions(member.at(weight, labels=labels)), own, labels=labels, f1=f1
            )
            for weight in coefficients
        )
        for member, own in zip(members, clips, strict=True)
    )
    return CoefficientSweep(tuple(coefficients), tuple(m.coefficient for m in members), reports)


def sweep_json(sweep: CoefficientSweep) -> list[dict[str, object]]:
    """Coefficient and figures of each level, as fractions; the mean of several files."""
    figures = ("top1", "mean_class_accuracy", "f1_macro")
    rows: list[dict[str, object]] = [{"coefficient": weight} for weight in sweep.coefficients]
    for level in sweep.reports[0][0].levels:
        for figure in figures:
            for row, value in zip(rows, sweep.means(level, figure).tolist(), strict=True):
                row[f"{level}_{figure}"] = value
    return rows
