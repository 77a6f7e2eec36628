"""Annotations of actions as annotations of their body parts."""

from dataclasses import replace

from mmad.annotations.formats import AnnotationSet
from mmad.errors import AnnotationError
from mmad.labels import LabelMap
from mmad.structures import Annotations, VideoRecord


def of_body_parts(annotations: AnnotationSet) -> AnnotationSet:
    """The annotations with the body part of each action as its label.

    Raises: AnnotationError if the actions have none.
    """
    labels = annotations.labels
    if not labels.has_parents:
        raise AnnotationError(
            f"{annotations.path}: data.level=body needs labels with body parts, and these have "
            "none; set data.level=action"
        )
    return replace(
        annotations,
        records=tuple(with_body_parts(record, labels) for record in annotations.records),
        labels=labels.parent_map,
    )


def with_body_parts(record: VideoRecord, labels: LabelMap) -> VideoRecord:
    """The video with the body part of each action as its label."""
    found = record.annotations
    parts = Annotations(found.segments_seconds, labels.to_parents(found.labels))
    return replace(record, annotations=parts)
