"""How good detections are where people have looked.

Detections where it is not known what is there count neither as right nor as wrong.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mmad.evaluation.detection import LevelReport, evaluate_detections
from mmad.labels import LabelMap, flat_labels
from mmad.projects.examples import VideoExamples
from mmad.projects.queue import SAME_TIOU
from mmad.segments import tiou
from mmad.structures import Annotations, Detections, VideoRecord

_PLACES = np.linspace(0.05, 0.95, 9)


def annotations_of(one: VideoExamples, behaviours: Sequence[int]) -> Annotations:
    """The present segments of some behaviours, labelled with their places among these."""
    place = {behaviour: number for number, behaviour in enumerate(behaviours)}
    spans = [span for span in one.present if span.behaviour in place]
    return Annotations(
        np.array([[span.start_seconds, span.end_seconds] for span in spans]).reshape(-1, 2),
        np.array([place[span.behaviour or 0] for span in spans], dtype=np.int64),
    )


def judgeable(
    found: Detections, one: VideoExamples, behaviours: Sequence[int]
) -> NDArray[np.bool_]:
    """Whether it is known of each detection if it is right: its behaviour is known in half of it,
    or it is about a present segment.
    """
    if not len(found):
        return np.zeros(0, dtype=bool)
    starts, ends = found.segments_seconds.T
    times = starts[:, None] + (ends - starts)[:, None] * _PLACES
    known = one.known(times.ravel(), behaviours).reshape(*times.shape, len(behaviours))
    share = known[np.arange(len(found)), :, found.labels].mean(axis=1)
    return (share >= 0.5) | is_present(found, annotations_of(one, behaviours))


def is_present(found: Detections, given: Annotations) -> NDArray[np.bool_]:
    """Whether each detection is about an annotation of its label."""
    if not len(given):
        return np.zeros(len(found), dtype=bool)
    overlap = tiou(found.segments_seconds, given.segments_seconds)
    is_same = found.labels[:, None] == given.labels[None, :]
    return ((overlap >= SAME_TIOU) & is_same).any(axis=1)


def judge(
    found: Mapping[str, Detections],
    examples: Mapping[str, VideoExamples],
    behaviours: Sequence[int],
) -> LevelReport:
    """The average precision of each behaviour at a tIoU of 0.5, and the mAP.

    Args:
        found: Detections of each video, labelled with places among ``behaviours``.
        examples: What is known of the videos.
        behaviours: Numbers of the behaviours.
    """
    records = [
        VideoRecord(
            name,
            one.video.duration_seconds,
            "none",
            annotations=annotations_of(one, behaviours),
        )
        for name, one in examples.items()
    ]
    kept = {
        name: found[name][judgeable(found[name], one, behaviours)].by_score()
        for name, one in examples.items()
        if name in found
    }
    report = evaluate_detections(
        kept, records, labels=labels_for(behaviours), tiou=np.array([SAME_TIOU]), levels=["action"]
    )
    return report.levels["action"]


def labels_for(behaviours: Sequence[int]) -> LabelMap:
    """Labels that stand for numbers of behaviours."""
    return flat_labels([str(one) for one in behaviours])
