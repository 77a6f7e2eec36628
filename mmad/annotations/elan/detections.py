"""Unedited detections in ELAN files, as predictions of a model."""

from pathlib import Path

import numpy as np

from mmad.annotations.elan.document import read_document
from mmad.annotations.elan.events import read_elan_events
from mmad.annotations.elan.tiers import owners, read_tiers, read_times
from mmad.errors import AnnotationError, PredictionError
from mmad.labels import LabelMap
from mmad.structures import Detections


def holds_detections_alone(path: Path) -> bool:
    """Whether a file is an ELAN file with unedited detections and nothing else.

    Errors of unreadable files are left to their reader.
    """
    if path.suffix.lower() != ".eaf":
        return False
    try:
        document = read_document(path)
    except AnnotationError:
        return False
    tiers = read_tiers(document, read_times(document).milliseconds)
    return owners(document, tiers).is_model_alone


def read_elan_detections(path: Path, *, labels: LabelMap) -> tuple[str, Detections]:
    """The video of an ELAN file, and the unedited detections in it.

    A detection whose score a person has deleted has the score 1.

    Raises: PredictionError if there are none, if one has another label, or as `read_elan_events`.
    """
    try:
        found = read_elan_events(path)
    except AnnotationError as error:
        raise PredictionError(str(error)) from None
    if not found.is_model_alone:
        raise PredictionError(
            f"{path}: has tiers of a person, so it is no file of predictions; pass it as "
            "annotations, or the detections.csv beside it"
        )
    indices = []
    for event in found.events:
        try:
            indices.append(labels.index(event.label))
        except KeyError as error:
            raise PredictionError(f"{path}: {error.args[0]}") from None
    return found.video_id, Detections(
        np.array([(one.start_seconds, one.end_seconds) for one in found.events]),
        np.array(indices, dtype=np.int64),
        np.array([1.0 if one.score is None else one.score for one in found.events]),
    )
