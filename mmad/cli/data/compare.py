"""``mmad data compare``: several data sets side by side."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from mmad.annotations.attach import read_subjects, with_subjects
from mmad.annotations.clips.split import subjects_of_names
from mmad.annotations.description.comparison import DataSetFacts, facts_of_clips, facts_of_videos
from mmad.annotations.formats import attach_subjects, read_annotations, read_clip_list
from mmad.cli.data._options import clip_files, kind_of, one_or_many, open_console
from mmad.errors import AnnotationError
from mmad.evaluation.file_labels import label_choice, labels_of_lists
from mmad.files import check_output_file
from mmad.report.comparison_table import check_table_path, comparison_table, write_comparison
from mmad.video.find import find_videos


def compare(
    data_sets: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME=PATH...",
            help="Name and annotations, or list of clips; the same name again adds a file.",
        ),
    ],
    videos: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FOLDER", help="Videos or clips of a data set, for their size."),
    ] = None,
    subjects: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FILE", help="CSV of a data set: video_id, subject."),
    ] = None,
    subject_pattern: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=PATTERN",
            help="Pattern of the subject in the names of clips: '^([^_]+)_'.",
        ),
    ] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=<ma52|file|FILE>", help="Labels of a data set; see docs/data.md."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Also write the table here: .csv, .md or .tex.")
    ] = None,
) -> None:
    """Compare data sets: classes, subjects, videos, instances, lengths (MMA-52, Table 2)."""
    if out is not None:
        check_table_path(out)
        check_output_file(out)
    paths: dict[str, list[Path]] = {}
    for name, path in map(_split, data_sets):
        paths.setdefault(name, []).append(Path(path))
    options = {
        option: _by_name(option, given, known=list(paths))
        for option, given in (
            ("--videos", videos),
            ("--subjects", subjects),
            ("--subject-pattern", subject_pattern),
            ("--labels", labels),
        )
    }
    facts = [
        _facts(
            name,
            files,
            videos=options["--videos"].get(name),
            subjects=options["--subjects"].get(name),
            pattern=options["--subject-pattern"].get(name),
            labels=options["--labels"].get(name),
        )
        for name, files in paths.items()
    ]
    open_console().print(comparison_table(facts))
    if out is not None:
        write_comparison(out, facts)
        typer.echo(f"table: {out}")


def _split(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not (name and sign and value):
        raise AnnotationError(f"{text}: expected NAME=PATH, such as MMA-52={text or 'FILE'}")
    return name, value


def _by_name(option: str, given: Sequence[str] | None, *, known: Sequence[str]) -> dict[str, str]:
    """The values of an option by data set.

    Raises: AnnotationError if one is for none of the data sets.
    """
    found = dict(map(_split, given or ()))
    for name in found:
        if name not in known:
            raise AnnotationError(f"{option} {name}=...: the data sets are {', '.join(known)}")
    return found


def _facts(
    name: str,
    paths: list[Path],
    *,
    videos: str | None,
    subjects: str | None,
    pattern: str | None,
    labels: str | None,
) -> DataSetFacts:
    kind = kind_of(paths, format="auto")
    if kind == "emotions":
        raise AnnotationError(
            f"{paths[0]}: lists videos with emotions; mmad data stats counts them"
        )
    table = read_subjects(subjects) if subjects else {}
    if kind == "clips":
        classes = labels_of_lists(labels)
        clips = [clip for path in paths for clip in read_clip_list(path, labels=classes)]
        if pattern:
            table = subjects_of_names([clip.clip_id for clip in clips], pattern)
        clips = with_subjects(clips, table)
        if videos:
            clips = clip_files(clips, Path(videos), option=f"--videos {name}=")
        return facts_of_clips(name, clips, labels=classes)
    if pattern:
        raise AnnotationError(f"--subject-pattern {name}=...: is for clips; pass --subjects")
    found = read_annotations(one_or_many(paths), labels=label_choice(labels) or "auto")
    records = attach_subjects(found.records, subjects) if subjects else found.records
    files = find_videos(videos) if videos else {}
    return facts_of_videos(name, records, labels=found.labels, files=files)
