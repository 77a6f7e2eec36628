"""``mmad data stats``: size, durations, overlap and class counts of annotations."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from mmad.annotations.elan_reader import ElanChoice
from mmad.annotations.formats import (
    attach_subjects,
    attach_videos,
    read_annotations,
    read_clip_list,
)
from mmad.annotations.statistics import describe_clips, describe_records
from mmad.cli._labels import label_choice, labels_of_lists
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
    is_clip_list,
    one_or_many,
    open_console,
    write_numbers,
)
from mmad.report.data_tables import class_counts_table, lengths_table, overlap_table, size_table


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
    console = open_console()
    if is_clip_list(annotations, format=format):
        classes = labels_of_lists(labels)
        clips = [
            describe_clips(read_clip_list(path, labels=classes), labels=classes)
            for path in annotations
        ]
        console.print(class_counts_table(clips, labels=classes, title="Clips of each class"))
        write_numbers(json_file, {"subsets": [asdict(one) for one in clips]})
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
