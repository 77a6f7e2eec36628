"""``mmad data stats``: size, durations, overlap and class counts of annotations."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from mmad.annotations.attach import read_subjects, with_subjects
from mmad.annotations.description.comparison import facts_of_clips
from mmad.annotations.elan.choice import ElanChoice
from mmad.annotations.emotions.lists import read_emotion_lists
from mmad.annotations.emotions.statistics import describe_emotions
from mmad.annotations.formats import (
    attach_subjects,
    attach_videos,
    read_annotations,
    read_clip_list,
)
from mmad.annotations.statistics import describe_clips, describe_records
from mmad.cli._options import (
    JsonOption,
    LabelsOption,
    LanguageOption,
    OutOfVideoOption,
    TierOption,
    TierTypeOption,
)
from mmad.cli.data._options import (
    AnnotationPath,
    FormatOption,
    FpsOption,
    SubjectsOption,
    clip_files,
    kind_of,
    one_or_many,
    open_console,
    write_numbers,
)
from mmad.evaluation.file_labels import label_choice, labels_of_lists
from mmad.labels import LabelMap
from mmad.report.comparison_table import comparison_table
from mmad.report.data_tables import class_counts_table, lengths_table, overlap_table, size_table
from mmad.report.emotion_tables import emotion_statistics_json, emotion_tables


def stats(
    annotations: AnnotationPath,
    videos: Annotated[
        Path | None, typer.Option(help="Folder of the videos; supplies missing frame rates.")
    ] = None,
    subjects: SubjectsOption = None,
    format: FormatOption = "auto",
    labels: LabelsOption = None,
    out_of_video: OutOfVideoOption = None,
    tier: TierOption = None,
    tier_type: TierTypeOption = None,
    language: LanguageOption = None,
    fps: FpsOption = None,
    json_file: JsonOption = None,
) -> None:
    """Print the size, durations, overlap and class counts of annotations (the paper's Table 1)."""
    kind = kind_of(annotations, format=format)
    if kind == "emotions":
        content = _emotion_statistics(
            annotations, videos=videos, subjects=subjects, labels=labels_of_lists(labels)
        )
        write_numbers(json_file, content)
        return
    if kind == "clips":
        content = _clip_statistics(
            annotations, clips=videos, subjects=subjects, labels=labels_of_lists(labels)
        )
        write_numbers(json_file, content)
        return
    found = read_annotations(
        one_or_many(annotations),
        format=format,
        labels=label_choice(labels) or "auto",
        out_of_video=out_of_video or "error",
        elan=ElanChoice.of(tier, tier_type, language),
        fps=fps,
    )
    records = found.records
    if videos is not None:
        from mmad.annotations.check_videos import measure_videos

        attached = attach_videos(records, videos)
        records = measure_videos(attached, found.assumed_lengths, all_rates=True)
    if subjects is not None:
        records = attach_subjects(records, subjects)
    console = open_console()
    described = describe_records(records, labels=found.labels)
    console.print(size_table(described))
    console.print(lengths_table(described))
    console.print(overlap_table(described, labels=found.labels))
    title = "Annotations of each class"
    console.print(class_counts_table(described, labels=found.labels, title=title))
    write_numbers(
        json_file,
        {
            "format": found.format,
            "labels": list(found.labels.names),
            "subsets": [asdict(one) for one in described],
        },
    )


def _clip_statistics(
    lists: Sequence[Path], *, clips: Path | None, subjects: Path | None, labels: LabelMap
) -> dict[str, object]:
    """Print size and class counts of lists of clips; returns their JSON."""
    named = {} if subjects is None else read_subjects(subjects)
    facts, described = [], []
    for path in lists:
        listed = with_subjects(read_clip_list(path, labels=labels), named)
        if clips is not None:
            listed = clip_files(listed, clips, option="--videos")
        counts = describe_clips(listed, labels=labels)
        described.append(counts)
        facts.append(facts_of_clips(counts.name, listed, labels=labels))
    console = open_console()
    console.print(comparison_table(facts, of="Split"))
    console.print(class_counts_table(described, labels=labels, title="Clips of each class"))
    sizes = ("num_subjects", "mean_seconds", "total_seconds")
    return {
        "subsets": [
            asdict(counts) | {name: getattr(one, name) for name in sizes}
            for counts, one in zip(described, facts, strict=True)
        ]
    }


def _emotion_statistics(
    lists: Sequence[Path], *, videos: Path | None, subjects: Path | None, labels: LabelMap
) -> dict[str, object]:
    """Print the statistics of lists of videos with emotions; returns their JSON."""
    found = read_emotion_lists(lists, labels=labels)
    if videos is not None:
        from mmad.annotations.emotions.check import measured

        found = measured(found, videos)
    if subjects is not None:
        named = read_subjects(subjects)
        found = tuple(replace(v, subject=named.get(v.video_id, v.subject)) for v in found)
    described = describe_emotions(found, labels=labels)
    console = open_console()
    for table in emotion_tables(described, labels=labels):
        console.print(table)
    title = "Videos with each action"
    console.print(class_counts_table(described, labels=labels, title=title))
    return emotion_statistics_json(described, labels=labels)
