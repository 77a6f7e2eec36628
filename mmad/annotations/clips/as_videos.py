"""Clips of one action as annotated videos, which a detector can be trained on too."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

import numpy as np

from mmad.annotations.clips.folds import ClipLists
from mmad.errors import AnnotationError, raise_problems
from mmad.labels import LabelMap
from mmad.structures import Annotations, VideoRecord


def clips_as_videos(
    paths: Sequence[str],
    *,
    labels: LabelMap,
    others: Collection[str],
    most: int | None,
) -> list[VideoRecord]:
    """A training video of each clip with its action, of no length yet; see `lasting`.

    Its id is the name of the clip without folder and suffix.

    Args:
        paths: Lists of clips.
        labels: Labels of the lists.
        others: Ids of the annotated videos, which clips must not share.
        most: Maximum number of clips of each list; None for all.

    Raises: AnnotationError if a list is invalid, a clip has no label, or an id occurs twice.
    """
    clips = ClipLists({"train": paths}, most=most).read("train", labels=labels)
    ids = [PurePosixPath(clip.clip_id).stem for clip in clips]
    problems = [
        f"clip {clip.clip_id} has no label; expected 'name.mp4 label'"
        for clip in clips
        if clip.label is None
    ]
    problems += [
        f"clip {name} is in the lists {number} times" if number > 1 else f"{name} is also a video"
        for name, number in Counter(ids).items()
        if number > 1 or name in others
    ]
    raise_problems(
        AnnotationError, source=f"data.extra_clips: {', '.join(paths)}", problems=problems
    )
    return [
        VideoRecord(
            name,
            0.0,
            "train",
            subject=clip.subject,
            annotations=Annotations(np.zeros((1, 2)), np.array([clip.label])),
        )
        for name, clip in zip(ids, clips, strict=True)
    ]


def lasting(record: VideoRecord, seconds: float) -> VideoRecord:
    """The video of a clip with its length in seconds, all of which its action takes."""
    whole = Annotations(np.array([[0.0, seconds]]), record.annotations.labels)
    return replace(record, duration_seconds=seconds, annotations=whole)
