"""``mmad budget``: how often, how long and when behaviours occur."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from mmad.annotations.elan.choice import ElanChoice
from mmad.cli._options import (
    BootstrapOption,
    LabelsOption,
    LanguageOption,
    OutOfVideoOption,
    ResampleSeedOption,
    TierOption,
    TierTypeOption,
)
from mmad.errors import AnnotationError, ProjectError
from mmad.evaluation.budget.budget import make_budget
from mmad.evaluation.budget.coding import Coding
from mmad.evaluation.budget.reading import read_coding
from mmad.evaluation.budget.tables import write_tables
from mmad.evaluation.file_labels import label_choice
from mmad.files import check_writable
from mmad.projects.records import COUNTED_FROM
from mmad.projects.schema import FILE_NAME
from mmad.report.budget.corrected import corrected_table, corrected_text, write_corrected
from mmad.report.budget.page import write_budget_page
from mmad.report.budget.terminal import budget_table, budget_text
from mmad.report.budget.workbook import write_budget_workbook

if TYPE_CHECKING:
    from mmad.projects.budget import CorrectedFigures

app = typer.Typer(add_completion=False)


@app.command(name="budget")
def budget(
    files: Annotated[
        list[Path],
        typer.Argument(help="Annotations or detections, each of other videos; or a project."),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the tables and the page.")],
    conditions: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="Table with the columns video, optionally person and duration_seconds, and one "
            "for each condition.",
        ),
    ] = None,
    videos: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="The videos, for their lengths.")
    ] = None,
    bin_seconds: Annotated[
        float | None, typer.Option("--bin", help="Also count in bins of so many seconds.")
    ] = None,
    lag: Annotated[
        float, typer.Option(help="Seconds after the start of a behaviour in which others follow.")
    ] = 2.0,
    min_score: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Lowest score of a detection; default: 0.5, of a project the run's threshold.",
        ),
    ] = None,
    bootstrap: BootstrapOption = 1000,
    seed: ResampleSeedOption = 0,
    labels: LabelsOption = None,
    out_of_video: OutOfVideoOption = None,
    tier: TierOption = None,
    tier_type: TierTypeOption = None,
    language: LanguageOption = None,
    annotator: Annotated[
        str | None, typer.Option(help="Whose events count, in files of several annotators.")
    ] = None,
    source: Annotated[
        int | None,
        typer.Option(help="Of a project: number of a run of a model; default: the newest."),
    ] = None,
) -> None:
    """Count behaviours: rates, durations, shares of time, what is together and what follows.

    Of a project, counts and times are also corrected for the errors of the model, if a part of it
    was coded blind (mmad project blind).
    """
    if out.is_file():
        raise AnnotationError(f"--out {out}: is a file; pass a folder for the tables")
    check_writable(out)
    corrected, told_of_project = None, list[str]()
    if any((path / FILE_NAME).is_file() for path in files):
        options = (conditions, videos, labels, out_of_video, tier, tier_type, language)
        _check_project(files, options)
        coding, corrected, told_of_project = _of_project(files[0], annotator, source, min_score)
    elif source is not None:
        raise AnnotationError("--source is for projects; files hold the detections of one run")
    else:
        coding = read_coding(
            files,
            conditions=conditions,
            videos=videos,
            min_score=COUNTED_FROM if min_score is None else min_score,
            labels=label_choice(labels) or "auto",
            out_of_video=out_of_video or "error",
            elan=ElanChoice.of(tier, tier_type, language),
            annotator=annotator,
            tell=lambda notice: typer.echo(f"note: {notice}"),
        )
    found = make_budget(
        coding, bin_seconds=bin_seconds, lag_seconds=lag, num_resamples=bootstrap, seed=seed
    )
    for notice in (*told_of_project, *found.notices):
        typer.echo(f"note: {notice}")
    written = write_tables(out, found)
    if corrected is not None:
        written.append(write_corrected(out / "corrected.csv", corrected))
    for told in write_budget_workbook(out / "budget.xlsx", found, corrected=corrected):
        typer.echo(f"note: {told}")
    title = f"Time budget: {files[0].name}" + (" and others" if len(files) > 1 else "")
    write_budget_page(
        out / "budget.html", found, title=title, notices=told_of_project, corrected=corrected
    )
    written += [out / "budget.xlsx", out / "budget.html"]
    console = Console(width=140)
    console.print(budget_table(found))
    console.print(budget_text(found), highlight=False, markup=False)
    if corrected is not None:
        console.print(corrected_table(corrected))
        console.print(corrected_text(corrected), highlight=False, markup=False)
    typer.echo(f"written to {out}: {', '.join(path.name for path in written)}")


def _check_project(files: Sequence[Path], options: Sequence[object]) -> None:
    if len(files) > 1:
        raise ProjectError(f"{files[0]} and others: count one project at a time, without files")
    if any(one is not None for one in options):
        raise ProjectError(
            f"{files[0]}: is a project, which knows its videos, labels, persons and conditions; of "
            "the options on these, leave out all"
        )


def _of_project(
    folder: Path, annotator: str | None, source: int | None, min_score: float | None
) -> "tuple[Coding, CorrectedFigures | None, list[str]]":
    """What counts in a project, its corrected figures if there is a blind share, and notices."""
    from mmad.projects.budget import correct_study, study_coding
    from mmad.projects.project import Project
    from mmad.projects.study import read_study

    with Project.open(folder) as project:
        study = read_study(
            project, annotator=annotator, source=source, min_score=min_score, needs_blind=False
        )
    coding = study_coding(study)
    corrected = correct_study(study, coding)
    notices = list(study.notices)
    if corrected is None:
        notices.append(
            f"these are raw figures, with all errors of the model: {folder} has fewer than 2 "
            f"stretches coded blind to correct them by; mmad project blind {folder}"
        )
    return coding, corrected, notices
