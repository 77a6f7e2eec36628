"""``mmad data split``: lists of clips in which nobody is on both sides."""

from pathlib import Path
from typing import Annotated

import typer

from mmad.annotations.attach import read_subjects
from mmad.annotations.mma52 import read_clip_list, write_ma52_list
from mmad.annotations.split import (
    SUBJECT_IN_NAME,
    split_by_subject,
    subjects_of_names,
    subjects_of_table,
)
from mmad.errors import AnnotationError
from mmad.labels import MA52
from mmad.wording import count


def split(
    lists: Annotated[list[Path], typer.Argument(help="Lists of clips, lines 'name.mp4 label'.")],
    out: Annotated[Path, typer.Option(help="Folder for train.txt and val.txt.")],
    subjects: Annotated[
        Path | None, typer.Option(help="CSV with the columns video_id, subject.")
    ] = None,
    subject_pattern: Annotated[
        str, typer.Option(help="Finds the subject in a file name, without --subjects.")
    ] = SUBJECT_IN_NAME,
    val_share: Annotated[float, typer.Option(help="Share of clips to validate on.")] = 1 / 3,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the order of equal subjects.")] = 0,
) -> None:
    """Split clips into training and validation sets without common subjects.

    The published split of MA-52 has all of its 186 subjects on both sides.
    """
    clips = [clip for path in lists for clip in read_clip_list(path, labels=MA52)]
    if len({clip.clip_id for clip in clips}) < len(clips):
        raise AnnotationError("a clip is in more than one list; name each clip once")
    if subjects is None:
        found = subjects_of_names(clips, subject_pattern)
    else:
        found = subjects_of_table(clips, read_subjects(subjects))
    parts = split_by_subject(clips, found, val_share=val_share, seed=seed)
    targets = {(out / f"{name}.txt").resolve() for name in ("train", "val")}
    if overwritten := sorted(str(path) for path in lists if path.resolve() in targets):
        raise AnnotationError(
            f"--out {out}: would write over {', '.join(overwritten)}; choose another folder"
        )
    for name, part in zip(("train", "val"), parts, strict=True):
        write_ma52_list(out / f"{name}.txt", part)
        people = {found[clip.clip_id] for clip in part}
        classes = {clip.label for clip in part}
        typer.echo(
            f"{out / f'{name}.txt'}: {count(len(part), 'clip')} of "
            f"{count(len(people), 'subject')}, {count(len(classes), 'class')}"
        )
