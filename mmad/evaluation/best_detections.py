"""The best detections of a video beside its annotations, for a figure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mmad.segments import tiou
from mmad.structures import Annotations, Detections, Floats, VideoRecord


@dataclass(frozen=True, eq=False)
class BestDetections:
    """The best detections of a video.

    Attributes:
        record: The video.
        annotations: Its annotations, by start.
        detections: Its best detections, by score.
        tiou: Largest tIoU of each detection with an annotation of its label, (N,); 0 without one.
    """

    record: VideoRecord
    annotations: Annotations
    detections: Detections
    tiou: Floats


def best_detections(record: VideoRecord, detections: Detections, *, count: int) -> BestDetections:
    """The ``count`` detections with the highest scores, with their tIoU."""
    segments = record.annotations.segments_seconds
    annotations = record.annotations[np.lexsort((segments[:, 1], segments[:, 0]))]
    best = detections.by_score()[np.arange(min(count, len(detections)))]
    overlap = tiou(best.segments_seconds, annotations.segments_seconds)
    same = best.labels[:, None] == annotations.labels[None]
    return BestDetections(record, annotations, best, (overlap * same).max(axis=1, initial=0.0))


def richest_videos(
    records: Sequence[VideoRecord], detections: Mapping[str, Detections], *, count: int
) -> list[VideoRecord]:
    """The videos with the most different labels, then the most annotations; ties in their order.

    Only videos with detections, while there are any.
    """
    found = [record for record in records if len(detections.get(record.video_id, ()))]
    return sorted(
        found or records,
        key=lambda record: (
            -len(set(record.annotations.labels.tolist())),
            -len(record.annotations),
        ),
    )[:count]
