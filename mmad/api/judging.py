"""What scores and errors of predictions share: their arguments, and the pair to compare."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mmad.annotations.formats import AnnotationSet
from mmad.annotations.validation import OutOfVideo
from mmad.api.calls import Place, paths_of
from mmad.api.files import Labels, chosen_labels, prediction_file, read_annotations
from mmad.api.results import Detections, Found, by_video
from mmad.api.tables import predictions_of_frame
from mmad.errors import PredictionError
from mmad.evaluation.detection import parse_tiou
from mmad.evaluation.predictions import Predictions
from mmad.evaluation.predictions import read_predictions as read_file
from mmad.evaluation.run_files import Judged, judge, read_judged
from mmad.labels import LabelMap
from mmad.structures import VideoRecord

if TYPE_CHECKING:
    from pandas import DataFrame

Annotated = AnnotationSet | Place | Sequence[Place]
Thresholds = str | float | Sequence[float]
Predicted: TypeAlias = "Place | Found | DataFrame"


def thresholds_of(tiou: Thresholds) -> NDArray[np.float64]:
    """Thresholds as an array.

    Raises: PredictionError if they are no numbers above 0 and up to 1.
    """
    numbers = [tiou] if isinstance(tiou, str) or not isinstance(tiou, Iterable) else tiou
    return parse_tiou(",".join(map(str, numbers)))


def label_file(labels: Labels) -> str | None:
    """Labels as the readers of lists take them.

    Raises: PredictionError if they are a label set, which these do not take.
    """
    if isinstance(labels, LabelMap):
        raise PredictionError("labels: predictions of clips and emotions take the label file")
    return None if labels is None else os.fspath(labels)


def annotation_files(annotations: Annotated | None) -> list[Path] | None:
    """Files of annotations.

    Raises: PredictionError if they are in memory: a file of predictions is scored against files.
    """
    if isinstance(annotations, AnnotationSet):
        raise PredictionError("clips and emotions are scored against their lists; pass the files")
    return None if annotations is None else paths_of(annotations)


def judged_detections(
    predictions: Predicted,
    annotations: Annotated | None,
    subset: str | None,
    labels: Labels,
    out_of_video: OutOfVideo | None,
    only_predicted: bool,
    strict: bool,
) -> tuple[Judged, str]:
    """Detections with the annotations to score them against, and a name for them."""
    path = (
        prediction_file(predictions, subset=subset)
        if isinstance(predictions, str | os.PathLike)
        else None
    )
    if path is not None and not isinstance(annotations, AnnotationSet):
        judged = read_judged(
            [path],
            annotation_files(annotations),
            subset=subset,
            strict=strict,
            only_predicted=only_predicted,
            labels=chosen_labels(labels),
            out_of_video=out_of_video,
        )
        return judged, str(path)
    if annotations is None:
        raise PredictionError("detections in memory are of no run; pass annotations=FILE")
    annotated = annotations
    if not isinstance(annotated, AnnotationSet):
        annotated = read_annotations(annotated, labels=labels, out_of_video=out_of_video or "error")
    name = "predictions"
    if path is not None:
        found, name = read_file(path, labels=annotated.labels, strict=strict), str(path)
    else:
        assert not isinstance(predictions, str | os.PathLike)
        found = _in_memory(predictions, annotated.labels)
    chosen = _subset_of(found, annotated.records) if subset is None else subset
    records = tuple(record for record in annotated.records if record.subset == chosen)
    if not records:
        present = ", ".join(sorted({one.subset for one in annotated.records})) or "none"
        raise PredictionError(f"{annotated.path}: no videos of subset {chosen}; found: {present}")
    annotated = replace(annotated, records=records)
    judged = judge(annotated, [found], names=[name], subset=chosen, only_predicted=only_predicted)
    return judged, name


def _in_memory(predictions: "Found | DataFrame", labels: LabelMap) -> Predictions:
    """Detections in memory by video.

    Raises: PredictionError if their labels are not those of the annotations.
    """
    if not isinstance(predictions, Mapping | Sequence | Detections):
        return predictions_of_frame(predictions, labels)
    found = by_video(predictions)
    for one in found.values():
        if isinstance(one, Detections) and one.label_map.names != labels.names:
            raise PredictionError(
                f"video '{one.video_id}': its detections have {len(one.label_map)} labels, others "
                f"than the {len(labels)} of the annotations"
            )
    return Predictions(found)


def _subset_of(found: Mapping[str, Any], records: Sequence[VideoRecord]) -> str:
    """The subset of the videos of detections.

    Raises: PredictionError if they are of several.
    """
    subsets = sorted({record.subset for record in records if record.video_id in found})
    if len(subsets) > 1:
        raise PredictionError(
            f"the detections are of videos of several subsets ({', '.join(subsets)}); pass subset="
        )
    return subsets[0] if subsets else "val"
