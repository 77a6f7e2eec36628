"""Data sets side by side.

Source: the columns of Table 2 of the MMA-52 paper and of Table I of the MA-52 paper that
annotations and videos tell.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mmad.annotations.description.instances import clip_seconds, instances_of_videos, merged
from mmad.labels import LabelMap
from mmad.structures import ClipRecord, VideoRecord

Task = Literal["detection", "recognition"]


@dataclass(frozen=True)
class DataSetFacts:
    """What is compared of a data set. None is not known.

    Attributes:
        name: Name of the data set.
        num_classes: Number of labels.
        num_subjects: Number of different subjects.
        has_parents: Whether labels have a hierarchy, as actions of body parts.
        num_videos: Number of videos; clips are videos.
        num_instances: Number of instances; labelled clips are instances.
        mean_seconds: Mean length of an instance.
        total_seconds: Length of all videos.
        resolution: Most frequent (width, height) of the videos in pixels.
        task: What it is for: instances in videos, or clips of one action.
    """

    name: str
    num_classes: int
    num_subjects: int | None
    has_parents: bool
    num_videos: int
    num_instances: int
    mean_seconds: float | None
    total_seconds: float | None
    resolution: tuple[int, int] | None
    task: Task


def facts_of_videos(
    name: str,
    records: Sequence[VideoRecord],
    *,
    labels: LabelMap,
    files: Mapping[str, Path],
) -> DataSetFacts:
    """Facts of annotated videos, whose files give the resolution."""
    instances = merged(instances_of_videos(records))
    assert instances.seconds is not None
    return DataSetFacts(
        name=name,
        num_classes=len(labels),
        num_subjects=_num_different([record.subject for record in records]),
        has_parents=labels.has_parents,
        num_videos=len(records),
        num_instances=len(instances.labels),
        mean_seconds=float(instances.seconds.mean()) if len(instances.seconds) else None,
        total_seconds=sum(record.duration_seconds for record in records),
        resolution=_usual_size([files[r.video_id] for r in records if r.video_id in files]),
        task="detection",
    )


def facts_of_clips(name: str, clips: Sequence[ClipRecord], *, labels: LabelMap) -> DataSetFacts:
    """Facts of clips; their files, if all have a path, give lengths and resolution.

    Raises: VideoError with all files that cannot be opened.
    """
    paths = [clip.path for clip in clips if clip.path is not None]
    seconds = clip_seconds(clips) if clips and len(paths) == len(clips) else None
    return DataSetFacts(
        name=name,
        num_classes=len(labels),
        num_subjects=_num_different([clip.subject for clip in clips]),
        has_parents=labels.has_parents,
        num_videos=len(clips),
        num_instances=sum(clip.label is not None for clip in clips),
        mean_seconds=None if seconds is None else float(seconds.mean()),
        total_seconds=None if seconds is None else float(seconds.sum()),
        resolution=_usual_size(paths),
        task="recognition",
    )


def _num_different(subjects: Sequence[str | None]) -> int | None:
    return None if None in subjects or not subjects else len(set(subjects))


def _usual_size(paths: Sequence[Path]) -> tuple[int, int] | None:
    """The most frequent (width, height); None without videos."""
    if not paths:
        return None
    # Not at the top: the decoder is slow to import, and annotations alone do without.
    from mmad.video.index import index_video

    indices = [index_video(path) for path in paths]
    return Counter((index.width, index.height) for index in indices).most_common(1)[0][0]
