"""Events from and to the formats of one label set: those of MMA-52 and ActivityNet."""

from pathlib import Path

import numpy as np

from mmad.annotations.activitynet import write_activitynet_json
from mmad.annotations.exchange.detections import micro_actions
from mmad.annotations.exchange.events import CodedVideo, EventFile
from mmad.annotations.labels.choice import labels_of_names
from mmad.annotations.mma52 import write_mma52_csv, write_mma52_json
from mmad.errors import AnnotationError
from mmad.labels import LabelMap
from mmad.structures import Annotations, VideoRecord
from mmad.wording import count

_UNKNOWN_SUBSET = "all"


def records_of(
    file: EventFile, *, labels: LabelMap, fps: float | None = None
) -> tuple[list[VideoRecord], list[str]]:
    """A record for each video, without points; and what was left out or assumed."""
    spans: dict[str, list[tuple[float, float]]] = {video.video_id: [] for video in file.videos}
    indices: dict[str, list[int]] = {video_id: [] for video_id in spans}
    points = []
    for event in file.events:
        if event.is_point:
            points.append(f"{event.label} at {event.start_seconds:.3f} s")
            continue
        spans.setdefault(event.video_id, []).append((event.start_seconds, event.end_seconds))
        indices.setdefault(event.video_id, []).append(labels.index(event.label))
    known = {video.video_id: video for video in file.videos}
    records, assumed, unknown = [], [], []
    for video_id, found in spans.items():
        video = known.get(video_id, CodedVideo(video_id))
        length = video.duration_seconds
        if length is None:
            length = max((end for _, end in found), default=0.0)
            if not length:
                unknown.append(video_id)
                continue
            assumed.append(video_id)
        rate = video.fps or fps
        records.append(
            VideoRecord(
                video_id,
                duration_seconds=length,
                subset=video.subset or _UNKNOWN_SUBSET,
                fps=rate,
                num_frames=round(length * rate) if rate else None,
                annotations=Annotations(
                    np.array(found).reshape(-1, 2), np.array(indices[video_id], dtype=np.int64)
                ),
            )
        )
    notices = []
    if points:
        notices.append(
            f"{count(len(points), 'point event', 'is')} left out, first {points[0]}: this format "
            "has segments alone"
        )
    if assumed:
        notices.append(
            f"the length of {count(len(assumed), 'video')} is not known, first {assumed[0]}: the "
            "last time of each is written; pass --videos"
        )
    if unknown:
        notices.append(
            f"{count(len(unknown), 'video')} without events and length left out, first {unknown[0]}"
        )
    return records, notices


def write_activitynet(
    path: str | Path, file: EventFile, *, fps: float | None = None
) -> tuple[str, ...]:
    """Write states as ActivityNet JSON, with the list of labels.

    Raises: AnnotationError if there are no labels.
    """
    names = dict.fromkeys([*file.labels, *(event.label for event in file.events)])
    if not names:
        raise AnnotationError(f"{path}: there are neither events nor labels to write")
    labels = labels_of_names(list(names))
    records, notices = records_of(file, labels=labels, fps=fps)
    write_activitynet_json(path, records, labels)
    return tuple(notices)


def write_published_json(
    path: str | Path, file: EventFile, *, fps: float | None = None
) -> tuple[str, ...]:
    """Write states as the JSON of MMA-52.

    Raises: AnnotationError if a label is no micro-action.
    """
    records, notices = records_of(file, labels=micro_actions(file), fps=fps)
    write_mma52_json(path, records)
    return tuple(notices)


def write_published_csv(
    path: str | Path, file: EventFile, *, fps: float | None = None
) -> tuple[str, ...]:
    """Write states as the CSV of MMA-52, in frames.

    Raises: AnnotationError if a label is no micro-action, or a frame rate or length is not known.
    """
    records, notices = records_of(file, labels=micro_actions(file), fps=fps)
    write_mma52_csv(path, records)
    return tuple(notices)
