"""``mmad data check``: check annotations, lists of clips or of emotions, and videos."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from mmad.annotations.elan.choice import ElanChoice
from mmad.annotations.formats import read_annotations
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
    kind_of,
    one_or_many,
    open_console,
    write_numbers,
)
from mmad.evaluation.file_labels import label_choice, labels_of_lists
from mmad.wording import count

if TYPE_CHECKING:
    from mmad.annotations.check import CheckReport

_NUM_EXAMPLES_SHOWN = 3


def check(
    annotations: AnnotationPath,
    videos: Annotated[
        Path | None,
        typer.Option(help="Folder of the videos; without it only the annotations are checked."),
    ] = None,
    subjects: SubjectsOption = None,
    format: FormatOption = "auto",
    labels: LabelsOption = None,
    out_of_video: OutOfVideoOption = None,
    tier: TierOption = None,
    tier_type: TierTypeOption = None,
    language: LanguageOption = None,
    fps: FpsOption = None,
    workers: Annotated[
        int, typer.Option(min=1, help="Number of videos to open at the same time.")
    ] = 2,
    json_file: JsonOption = None,
) -> None:
    """Check annotations, lists of clips or emotions, and videos; exit code 2 on an error."""
    # Not at the top: the decoder is slow to import, and `stats` does without.
    from mmad.annotations.check import check_data
    from mmad.annotations.clips.check import check_clips
    from mmad.annotations.emotions.check import check_emotions

    kind = kind_of(annotations, format=format)
    if kind != "videos":
        check_lists = check_clips if kind == "clips" else check_emotions
        report = check_lists(
            annotations,
            labels=labels_of_lists(labels),
            folder=videos,
            subjects=subjects,
            num_workers=workers,
            progress=True,
        )
        what, labelled = ("clip", "label") if kind == "clips" else ("video", "action label")
        _tell_findings(report, what=what, labelled=labelled, videos=videos, json_file=json_file)
        return
    found = read_annotations(
        one_or_many(annotations),
        format=format,
        labels=label_choice(labels) or "auto",
        out_of_video=out_of_video or "error",
        elan=ElanChoice.of(tier, tier_type, language),
        fps=fps,
        strict=False,
    )
    report = check_data(found, videos=videos, subjects=subjects, num_workers=workers, progress=True)
    _tell_findings(report, what="video", labelled="instance", videos=videos, json_file=json_file)


def _tell_findings(
    report: "CheckReport", *, what: str, labelled: str, videos: Path | None, json_file: Path | None
) -> None:
    """Print the findings of a check; exit code 2 if there is an error."""
    console = open_console()
    for kind, group in report.by_kind().items():
        word = "error" if group[0].is_error else "notice"
        console.print(f"[bold]{word}: {kind}[/bold] ({len(group)})", highlight=False)
        for finding in group[:_NUM_EXAMPLES_SHOWN]:
            console.print(f"  {escape(finding.message)}", highlight=False, soft_wrap=True)
        if len(group) > _NUM_EXAMPLES_SHOWN:
            console.print(f"  ... and {len(group) - _NUM_EXAMPLES_SHOWN} more", highlight=False)
    opened = "" if videos is None else f", {count(report.num_opened, 'file')} opened"
    num_notices = len(report.findings) - report.num_errors
    console.print(
        f"{count(report.num_videos, what)}, {count(report.num_instances, labelled)}{opened}: "
        f"{count(report.num_errors, 'error')}, {count(num_notices, 'notice')}",
        highlight=False,
    )
    write_numbers(json_file, asdict(report))
    if report.num_errors:
        raise SystemExit(2)
