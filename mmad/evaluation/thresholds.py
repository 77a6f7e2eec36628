"""A lowest score for each behaviour, chosen on a validation subset.

Scores of rare and of frequent classes are not comparable, so one number for all hides some and
floods others. The threshold of a class is the score with the highest F1 against the annotations of
the subset at a tIoU of 0.5: of all detections of the class with at least that score, matched as for
mAP. A class with fewer than five instances, or that is never found, takes the threshold of all
classes pooled.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from mmad.config.base import validated
from mmad.errors import CheckpointError
from mmad.evaluation.detection import evaluate_detections
from mmad.evaluation.matching import Matches
from mmad.files import write_json
from mmad.labels import LabelMap
from mmad.parsing import json_value, read_text
from mmad.structures import Detections, Floats, VideoRecord
from mmad.wording import count

# Of all behaviours, where nobody has chosen any.
USUAL_MIN_SCORE = 0.1
TIOU = 0.5
FEWEST_INSTANCES = 5
# In a run folder.
FILE_NAME = "thresholds.json"

_Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Threshold(BaseModel):
    """The threshold of a class, or of all.

    Attributes:
        name: Name of the class; "" for all.
        threshold: Lowest score.
        f1: F1 with this threshold on the subset; null if it is that of all classes.
        instances: Annotations of the class in the subset.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    threshold: _Share
    f1: _Share | None
    instances: int = Field(ge=0)


class ThresholdFile(BaseModel):
    """``thresholds.json`` of a run folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    subset: str
    tiou: _Share
    overall: Threshold
    classes: tuple[Threshold, ...]


_FILE = TypeAdapter(ThresholdFile)


@dataclass(frozen=True)
class Thresholds:
    """The lowest score of each label.

    Attributes:
        values: float64 (K,).
        text: Where they come from, for people.
        overall: The lowest score of most labels.
    """

    values: tuple[float, ...]
    text: str
    overall: float

    @classmethod
    def same(cls, score: float, labels: LabelMap, *, why: str = "") -> "Thresholds":
        """One score for all labels."""
        return cls((score,) * len(labels), f"{score:g} for all behaviours{why}", score)

    def sure(self, detections: Detections) -> Detections:
        """The detections that reach the threshold of their label."""
        return detections[detections.scores >= np.asarray(self.values)[detections.labels]]

    @property
    def are_same(self) -> bool:
        """Whether all labels have the same."""
        return len(set(self.values)) <= 1


def choose_thresholds(
    detections: Mapping[str, Detections],
    records: Sequence[VideoRecord],
    *,
    labels: LabelMap,
    subset: str,
) -> ThresholdFile | None:
    """The thresholds with the best F1 on a subset; None if no annotation of it was found.

    Args:
        detections: Detections of each video, by id.
        records: Annotated videos of the subset.
        labels: Labels that the indices in both refer to.
        subset: Its name.

    Raises: PredictionError as `evaluate_detections`.
    """
    report = evaluate_detections(
        detections, records, labels=labels, tiou=np.array([TIOU]), levels=("action",)
    )
    matches = report.levels["action"].matches
    hits = matches.table.matched[:, 0] >= 0
    everything = best_f1(matches.detections.scores, hits, num_annotations=len(matches.annotations))
    if everything is None:
        return None
    overall, f1 = everything
    return ThresholdFile(
        subset=subset,
        tiou=TIOU,
        overall=Threshold(name="", threshold=overall, f1=f1, instances=len(matches.annotations)),
        classes=tuple(
            _of_class(label, labels, matches, hits, overall) for label in range(len(labels))
        ),
    )


def _of_class(
    label: int, labels: LabelMap, matches: Matches, hits: NDArray[np.bool_], overall: float
) -> Threshold:
    instances = int(matches.num_annotations[label])
    mine = matches.detections.labels == label
    found = None
    if instances >= FEWEST_INSTANCES:
        found = best_f1(matches.detections.scores[mine], hits[mine], num_annotations=instances)
    threshold, f1 = found or (overall, None)
    return Threshold(name=labels.names[label], threshold=threshold, f1=f1, instances=instances)


def best_f1(
    scores: Floats, hits: NDArray[np.bool_], *, num_annotations: int
) -> tuple[float, float] | None:
    """The lowest score with the highest F1, and that F1; None without any hit.

    Args:
        scores: Scores of the detections, (N,).
        hits: Whether each takes an annotation, (N,).
        num_annotations: Annotations that there are.

    >>> best_f1(np.array([0.9, 0.7, 0.2]), np.array([True, True, False]), num_annotations=2)
    (0.7, 1.0)
    """
    if not hits.any():
        return None
    order = np.argsort(-scores, kind="stable")
    ordered, found = scores[order], np.cumsum(hits[order])
    f1 = 2 * found / (np.arange(1, len(order) + 1) + num_annotations)
    f1[:-1][ordered[:-1] == ordered[1:]] = -1.0  # detections of one score are kept together
    best = int(np.argmax(f1))
    return min(max(float(ordered[best]), 0.0), 1.0), float(f1[best])


def write_thresholds(path: Path, thresholds: ThresholdFile) -> None:
    """Write the thresholds of a run.

    Raises: OutputError if they cannot be written.
    """
    write_json(path, thresholds.model_dump(mode="json"))


def read_thresholds(folder: Path, labels: LabelMap) -> Thresholds | None:
    """The thresholds of a run folder; None if it has none.

    Raises: CheckpointError if they are not those of its labels, or the file is damaged.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        return None
    content = json_value(path, read_text(path, error=CheckpointError), error=CheckpointError)
    file = validated(_FILE, content, source=path, error=CheckpointError)
    if [one.name for one in file.classes] != list(labels.names):
        raise CheckpointError(
            f"{path}: has other classes than the run; write it anew with mmad eval --thresholds, "
            "or pass --min-score with a number"
        )
    borrowed = sum(one.f1 is None for one in file.classes)
    text = (
        f"one for each behaviour, with the best F1 on {file.subset} at a tIoU of {file.tiou:g}"
        if borrowed < len(file.classes)
        else f"{file.overall.threshold:.3f} for all behaviours"
    )
    if borrowed:
        text += (
            f"; {count(borrowed, 'behaviour')} too rare or never found there: "
            f"{file.overall.threshold:.3f}, the best of all together"
        )
    values = tuple(one.threshold for one in file.classes)
    return Thresholds(values, text, file.overall.threshold)
