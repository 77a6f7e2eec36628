"""``mmad data split``: subsets without common subjects, of clips or of annotated videos."""

from dataclasses import dataclass
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
from mmad.annotations.formats import read_annotations, write_annotations_json
from mmad.annotations.groups import known_subjects, single_videos
from mmad.annotations.subject_split import sizes_of_shares, split_videos
from mmad.cli._options import LabelsOption
from mmad.cli.data._options import kind_of, one_or_many
from mmad.errors import AnnotationError
from mmad.evaluation.file_labels import label_choice, labels_of_lists
from mmad.wording import count

_SUBSETS = ("train", "val", "test")
_VAL_SHARE = 0.2


def split(
    lists: Annotated[list[Path], typer.Argument(help="Lists of clips, or annotations of videos.")],
    out: Annotated[
        Path, typer.Option(help="Folder for train.txt and val.txt, or annotations.json of videos.")
    ],
    subjects: Annotated[
        Path | None, typer.Option(help="CSV with the columns video_id, subject.")
    ] = None,
    subject_pattern: Annotated[
        str | None,
        typer.Option(
            help="Pattern of the subject in a name, without --subjects; for clips by default "
            f"{SUBJECT_IN_NAME}."
        ),
    ] = None,
    random: Annotated[
        bool,
        typer.Option("--random", help="Of videos: split them regardless of who is in them."),
    ] = False,
    val_share: Annotated[
        float | None,
        typer.Option(help="Share to validate on; default: a third of clips, 0.2 of subjects."),
    ] = None,
    test_share: Annotated[
        float, typer.Option(min=0, max=0.9, help="Of videos: share of subjects to test on.")
    ] = 0.0,
    sizes: Annotated[
        str | None,
        typer.Option(
            metavar="TRAIN,VAL[,TEST]",
            help="Of videos, instead of shares: subjects of each: 140,37,26.",
        ),
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
        _split_videos(
            lists,
            out,
            _Parts(sizes, val_share, test_share),
            subjects=subjects,
            pattern=subject_pattern,
            random=random,
            seed=seed,
            labels=labels,
        )
        return
    if sizes is not None or test_share or random:
        raise AnnotationError(
            "--sizes, --test-share and --random are for annotations of videos; pass --val-share "
            "for clips"
        )
    classes = labels_of_lists(labels)
    clips = [clip for path in lists for clip in read_clip_list(path, labels=classes)]
    if len({clip.clip_id for clip in clips}) < len(clips):
        raise AnnotationError("a clip is in more than one list; list each clip once")
    if subjects is not None:
        found = subjects_of_table(clips, read_subjects(subjects))
    elif clips and all(clip.subject for clip in clips):
        found = {clip.clip_id: str(clip.subject) for clip in clips}
    else:
        found = subjects_of_names(
            [clip.clip_id for clip in clips], subject_pattern or SUBJECT_IN_NAME
        )
    parts = split_by_subject(clips, found, val_share=val_share or 1 / 3, seed=seed)
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


@dataclass(frozen=True)
class _Parts:
    """How many subjects are in each subset: ``--sizes``, ``--val-share`` and ``--test-share``."""

    sizes: str | None
    val_share: float | None
    test_share: float

    def of(self, num_groups: int) -> dict[str, int]:
        """The number of groups of each subset.

        Raises: AnnotationError if the options are wrong, or there are too few groups.
        """
        if self.sizes is None:
            val_share = _VAL_SHARE if self.val_share is None else self.val_share
            if not 0 < val_share < 1 or val_share + self.test_share >= 1:
                raise AnnotationError(
                    f"--val-share {val_share:g}, --test-share {self.test_share:g}: expected "
                    "shares above 0 that leave something to train on"
                )
            shares = {"train": 1 - val_share - self.test_share, "val": val_share}
            more = {"test": self.test_share} if self.test_share else {}
            return sizes_of_shares(shares | more, num_groups=num_groups)
        if self.val_share is not None or self.test_share:
            raise AnnotationError("pass either --sizes, or --val-share and --test-share")
        words = self.sizes.split(",")
        if not 2 <= len(words) <= len(_SUBSETS) or not all(w.strip().isdecimal() for w in words):
            raise AnnotationError(
                f"--sizes {self.sizes}: expected the numbers of subjects to train, validate and "
                "test on, such as 140,37,26, or two of them, such as 8,2"
            )
        return dict(zip(_SUBSETS, map(int, words), strict=False))


def _split_videos(
    paths: list[Path],
    out: Path,
    parts: _Parts,
    *,
    subjects: Path | None,
    pattern: str | None,
    random: bool,
    seed: int,
    labels: str | None,
) -> None:
    """Write all videos with their new subsets to one file."""
    target = out / "annotations.json"
    if target.resolve() in {path.resolve() for path in paths}:
        raise AnnotationError(f"--out {out}: would overwrite {target}; choose another folder")
    found = read_annotations(one_or_many(paths), labels=label_choice(labels) or "auto")
    records = attach_subjects(found.records, subjects) if subjects else found.records
    groups = single_videos(records) if random else known_subjects(records, pattern=pattern)
    sizes = parts.of(len(set(groups.of_video.values())))
    split = split_videos(
        records, groups.of_video, sizes=sizes, num_labels=len(found.labels), seed=seed
    )
    write_annotations_json(target, split, found.labels)
    for name in sizes:
        own = [record for record in split if record.subset == name]
        people = len({groups.of_video[record.video_id] for record in own})
        instances = sum(len(record.annotations) for record in own)
        of_whom = f" of {count(people, 'subject')}" if groups.are_people else ""
        typer.echo(
            f"{target}: {name}: {count(len(own), 'video')}{of_whom}, "
            f"{count(instances, 'annotation')}"
        )
