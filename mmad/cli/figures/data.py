"""``mmad figures`` of data sets: class ratio, durations, tree of labels; from annotations alone."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmad.annotations.description.instances import merged
from mmad.annotations.elan.choice import ElanChoice
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
from mmad.cli.figures._instances import LabelledInstances, SubsetsOption, read_instances
from mmad.cli.figures._writing import CsvOption, OutOption, WidthOption, inches_of, write_drawn

if TYPE_CHECKING:
    from mmad.report.figures import Drawn


def _of_counts(
    kind: str, told: str, draw: Callable[[LabelledInstances, float], "Drawn"]
) -> Callable[..., None]:
    """The command of a figure of how often labels occur; they differ in their figure alone."""

    def command(
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
        found = read_instances(
            annotations,
            subset,
            format=format,
            labels=labels,
            out_of_video=out_of_video,
            elan=ElanChoice.of(tier, tier_type, language),
            fps=fps,
        )
        write_drawn(draw(found, inches_of(width)), out=out, csv=csv)

    command.__name__, command.__doc__ = kind, told
    return command


def _class_ratio(found: LabelledInstances, width_inches: float) -> "Drawn":
    # Not at the top: matplotlib is slow to import, and messages do without.
    from mmad.report.data_figures.class_ratio import draw_class_ratio

    return draw_class_ratio(found.subsets, labels=found.labels, width_inches=width_inches)


def _label_tree(found: LabelledInstances, width_inches: float) -> "Drawn":
    from mmad.report.data_figures.label_tree import draw_label_tree

    return draw_label_tree(merged(found.subsets), labels=found.labels, width_inches=width_inches)


class_ratio = _of_counts(
    "class_ratio",
    "Draw the share of each body part and action, subsets side by side (MMA-52, Fig. 3).",
    _class_ratio,
)
label_tree = _of_counts(
    "label_tree",
    "Draw the tree of body parts and actions with the share of each (MA-52, Fig. 2).",
    _label_tree,
)


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
