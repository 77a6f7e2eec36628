"""The instances that figures of a data set show: annotations of videos, or clips of lists."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from mmad.annotations.description.instances import (
    Instances,
    instances_of_clips,
    instances_of_videos,
)
from mmad.annotations.elan.choice import ElanChoice
from mmad.annotations.formats import read_annotations, read_clip_list
from mmad.annotations.validation import OutOfVideo
from mmad.cli.data._options import clip_files, kind_of, one_or_many
from mmad.errors import AnnotationError
from mmad.evaluation.file_labels import label_choice, labels_of_lists
from mmad.labels import LabelMap

SubsetsOption = Annotated[
    list[str] | None,
    typer.Option("--subset", help="Only this subset; repeat for several. Default: all."),
]


@dataclass(frozen=True, eq=False)
class LabelledInstances:
    """The instances of each subset, and the labels that they refer to."""

    subsets: list[Instances]
    labels: LabelMap


def read_instances(
    annotations: list[Path],
    wanted: Sequence[str] | None,
    *,
    format: str,
    labels: str | None,
    out_of_video: OutOfVideo | None,
    elan: ElanChoice,
    fps: float | None,
    clips: Path | None = None,
    needs_lengths: bool = False,
) -> LabelledInstances:
    """The instances of the ``wanted`` subsets, all by default.

    Args:
        annotations: Files or folder of annotations, or lists of clips.
        wanted: Values of ``--subset``.
        format, labels, out_of_video, elan, fps: As of `read_annotations`.
        clips: Folder of the clips.
        needs_lengths: Whether the lengths of clips are measured.

    Raises: AnnotationError if there are no instances, or the folder of clips is needed and missing.
    """
    kind = kind_of(annotations, format=format)
    if kind == "emotions":
        raise AnnotationError(
            f"{annotations[0]}: lists videos with emotions, and no instances of actions; pass "
            "annotations of videos, or lists of clips"
        )
    if kind == "clips":
        classes = labels_of_lists(labels)
        listed = [clip for path in annotations for clip in read_clip_list(path, labels=classes)]
        if needs_lengths and clips is None:
            raise AnnotationError(
                "lists of clips do not hold their lengths; pass --clips FOLDER, the files of the "
                "clips"
            )
        if needs_lengths and clips is not None:
            listed = clip_files(listed, clips, option="--clips")
        subsets = instances_of_clips(listed)
    else:
        if clips is not None:
            raise AnnotationError("--clips is for lists of clips; annotations hold the lengths")
        found = read_annotations(
            one_or_many(annotations),
            format=format,
            labels=label_choice(labels) or "auto",
            out_of_video=out_of_video or "error",
            elan=elan,
            fps=fps,
        )
        classes, subsets = found.labels, instances_of_videos(found.records)
    names = [one.name for one in subsets]
    for name in wanted or ():
        if name not in names:
            raise AnnotationError(
                f"--subset {name}: {annotations[0]} has no such subset; found {', '.join(names)}"
            )
    kept = [one for one in subsets if not wanted or one.name in wanted]
    if not any(len(one.labels) for one in kept):
        raise AnnotationError(f"{annotations[0]}: there are no labelled instances to draw")
    return LabelledInstances(kept, classes)
