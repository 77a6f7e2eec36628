"""``mmad data split``: subject-disjoint train and validation lists."""

from pathlib import Path
from typing import Annotated

import typer

from mmad.annotations.attach import read_subjects
from mmad.annotations.clips.lists import read_clip_list, write_clip_list
from mmad.annotations.clips.split import (
    SUBJECT_IN_NAME,
    split_by_subject,
    subjects_of_names,
    subjects_of_table,
)
from mmad.cli._labels import labels_of_lists
from mmad.cli._options import LabelsOption
from mmad.errors import AnnotationError
from mmad.wording import count


def split(
    lists: Annotated[
        list[Path], typer.Argument(help="Lists of clips, lines 'name.mp4 label' or CSV.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for train.txt and val.txt.")],
    subjects: Annotated[
        Path | None, typer.Option(help="CSV with the columns video_id, subject.")
    ] = None,
    subject_pattern: Annotated[
        str, typer.Option(help="Pattern of the subject in a file name, without --subjects.")
    ] = SUBJECT_IN_NAME,
    val_share: Annotated[float, typer.Option(help="Share of clips to validate on.")] = 1 / 3,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the order of equal subjects.")] = 0,
    labels: LabelsOption = None,
) -> None:
    """Split clips into training and validation sets without common subjects.

    The published split of MA-52 has all of its 186 subjects on both sides.
    """
    classes = labels_of_lists(labels)
    clips = [clip for path in lists for clip in read_clip_list(path, labels=classes)]
    if len({clip.clip_id for clip in clips}) < len(clips):
        raise AnnotationError("a clip is in more than one list; list each clip once")
    if subjects is not None:
        found = subjects_of_table(clips, read_subjects(subjects))
    elif clips and all(clip.subject for clip in clips):
        found = {clip.clip_id: str(clip.subject) for clip in clips}
    else:
        found = subjects_of_names(clips, subject_pattern)
    parts = split_by_subject(clips, found, val_share=val_share, seed=seed)
    targets = {(out / f"{name}.txt").resolve() for name in ("train", "val")}
    if overwritten := sorted(str(path) for path in lists if path.resolve() in targets):
        raise AnnotationError(
            f"--out {out}: would overwrite {', '.join(overwritten)}; choose another folder"
        )
    for name, part in zip(("train", "val"), parts, strict=True):
        write_clip_list(out / f"{name}.txt", part, labels=classes)
        people = {found[clip.clip_id] for clip in part}
        shown = {clip.label for clip in part}
        typer.echo(
            f"{out / f'{name}.txt'}: {count(len(part), 'clip')} of "
            f"{count(len(people), 'subject')}, {count(len(shown), 'class')}"
        )
