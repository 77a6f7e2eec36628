"""``mmad figures`` of data sets: class ratio, durations, tree of labels; from annotations alone."""

from pathlib import Path
from typing import Annotated

import typer

from mmad.annotations.description.instances import merged
from mmad.annotations.elan_reader import ElanChoice
from mmad.cli._options import (
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
)
from mmad.cli.figures._instances import SubsetsOption, read_instances
from mmad.cli.figures._writing import CsvOption, OutOption, WidthOption, inches_of, write_drawn


def class_ratio(
    annotations: AnnotationPath,
    out: OutOption,
    csv: CsvOption = None,
    width: WidthOption = "page",
    subset: SubsetsOption = None,
    format: FormatOption = "auto",
    labels: LabelsOption = None,
    out_of_video: OutOfVideoOption = None,
    tier: TierOption = None,
    tier_type: TierTypeOption = None,
    language: LanguageOption = None,
    fps: FpsOption = None,
) -> None:
    """Draw the share of each body part and action, subsets side by side (MMA-52, Fig. 3)."""
    found = read_instances(
        annotations,
        subset,
        format=format,
        labels=labels,
        out_of_video=out_of_video,
        elan=ElanChoice.of(tier, tier_type, language),
        fps=fps,
    )
    from mmad.report.data_figures.class_ratio import draw_class_ratio

    drawn = draw_class_ratio(found.subsets, labels=found.labels, width_inches=inches_of(width))
    write_drawn(drawn, out=out, csv=csv)


def durations(
    annotations: AnnotationPath,
    out: OutOption,
    csv: CsvOption = None,
    width: WidthOption = "page",
    clips: Annotated[
        Path | None, typer.Option(help="Folder of the clips, if ANNOTATIONS are lists of clips.")
    ] = None,
    subset: SubsetsOption = None,
    format: FormatOption = "auto",
    labels: LabelsOption = None,
    out_of_video: OutOfVideoOption = None,
    tier: TierOption = None,
    tier_type: TierTypeOption = None,
    language: LanguageOption = None,
    fps: FpsOption = None,
) -> None:
    """Draw mean and deviation of the length of each body part and action (MMA-52, Fig. 4)."""
    found = read_instances(
        annotations,
        subset,
        format=format,
        labels=labels,
        out_of_video=out_of_video,
        elan=ElanChoice.of(tier, tier_type, language),
        fps=fps,
        clips=clips,
        needs_lengths=True,
    )
    from mmad.report.data_figures.durations import draw_durations

    drawn = draw_durations(
        merged(found.subsets), labels=found.labels, width_inches=inches_of(width)
    )
    write_drawn(drawn, out=out, csv=csv)


def label_tree(
    annotations: AnnotationPath,
    out: OutOption,
    csv: CsvOption = None,
    width: WidthOption = "page",
    subset: SubsetsOption = None,
    format: FormatOption = "auto",
    labels: LabelsOption = None,
    out_of_video: OutOfVideoOption = None,
    tier: TierOption = None,
    tier_type: TierTypeOption = None,
    language: LanguageOption = None,
    fps: FpsOption = None,
) -> None:
    """Draw the tree of body parts and actions with the share of each (MA-52, Fig. 2)."""
    found = read_instances(
        annotations,
        subset,
        format=format,
        labels=labels,
        out_of_video=out_of_video,
        elan=ElanChoice.of(tier, tier_type, language),
        fps=fps,
    )
    from mmad.report.data_figures.label_tree import draw_label_tree

    drawn = draw_label_tree(
        merged(found.subsets), labels=found.labels, width_inches=inches_of(width)
    )
    write_drawn(drawn, out=out, csv=csv)
