"""``mmad data split``: subsets without common subjects, of clips or of annotated videos."""

from pathlib import Path
from typing import Annotated

import typer

from mmad.annotations.attach import attach_subjects, read_subjects
from mmad.annotations.clips.lists import read_clip_list, write_clip_list
from mmad.annotations.clips.split import (
    SUBJECT_IN_NAME,
    split_by_subject,
    subjects_of_names,
    subjects_of_table,
)
from mmad.annotations.formats import (
    read_annotations,
    write_activitynet_json,
    write_mma52_json,
)
from mmad.annotations.subject_split import split_videos_by_subject
from mmad.cli._options import LabelsOption
from mmad.cli.data._options import kind_of, one_or_many
from mmad.errors import AnnotationError
from mmad.evaluation.file_labels import label_choice, labels_of_lists
from mmad.labels import MA52
from mmad.wording import count

_SUBSETS = ("train", "val", "test")


def split(
    lists: Annotated[list[Path], typer.Argument(help="Lists of clips, or annotations of videos.")],
    out: Annotated[
        Path, typer.Option(help="Folder for train.txt and val.txt, or annotations.json of videos.")
    ],
    subjects: Annotated[
        Path | None, typer.Option(help="CSV with the columns video_id, subject.")
    ] = None,
    subject_pattern: Annotated[
        str, typer.Option(help="Pattern of the subject in a file name, without --subjects.")
    ] = SUBJECT_IN_NAME,
    val_share: Annotated[float, typer.Option(help="Share of clips to validate on.")] = 1 / 3,
    sizes: Annotated[
        str | None,
        typer.Option(metavar="TRAIN,VAL,TEST", help="Of videos: subjects of each: 140,37,26."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the order of equal subjects.")] = 0,
    labels: LabelsOption = None,
) -> None:
    """Split clips or annotated videos into subsets without common subjects.

    The published split of MA-52 has all of its 186 subjects on both sides; those of MMA-52 have
    140, 37 and 26 subjects.
    """
    kind = kind_of(lists, format="auto")
    if kind == "emotions":
        raise AnnotationError(
            f"{lists[0]}: lists videos with emotions; give each its subset in the column subset"
        )
    if kind == "videos":
        _split_videos(lists, out, sizes, subjects=subjects, seed=seed, labels=labels)
        return
    if sizes is not None:
        raise AnnotationError("--sizes is for annotations of videos; pass --val-share for clips")
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


def _split_videos(
    paths: list[Path],
    out: Path,
    sizes: str | None,
    *,
    subjects: Path | None,
    seed: int,
    labels: str | None,
) -> None:
    """Write all videos with their new subsets to one file."""
    numbers = [int(part) for part in (sizes or "").split(",") if part.strip().isdecimal()]
    if sizes is None or len(numbers) != len(_SUBSETS) or sizes.count(",") != len(_SUBSETS) - 1:
        raise AnnotationError(
            f"--sizes {sizes or ''}: expected the numbers of subjects to train, validate and test "
            "on, such as 140,37,26"
        )
    target = out / "annotations.json"
    if target.resolve() in {path.resolve() for path in paths}:
        raise AnnotationError(f"--out {out}: would overwrite {target}; choose another folder")
    found = read_annotations(one_or_many(paths), labels=label_choice(labels) or "auto")
    records = attach_subjects(found.records, subjects) if subjects else found.records
    parts = split_videos_by_subject(
        records,
        sizes=dict(zip(_SUBSETS, numbers, strict=True)),
        num_labels=len(found.labels),
        seed=seed,
    )
    if found.labels == MA52:
        write_mma52_json(target, parts)
    else:
        write_activitynet_json(target, parts, found.labels)
    for name in _SUBSETS:
        own = [record for record in parts if record.subset == name]
        people = len({record.subject for record in own})
        instances = sum(len(record.annotations) for record in own)
        typer.echo(
            f"{target}: {name}: {count(len(own), 'video')} of {count(people, 'subject')}, "
            f"{count(instances, 'annotation')}"
        )
