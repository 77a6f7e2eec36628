"""``mmad project quality``: how right a model is on the videos of a project."""

import json
from pathlib import Path
from typing import Annotated

import typer

from mmad.cli._options import JsonOption
from mmad.cli.data._options import open_console
from mmad.cli.project._options import (
    AnnotatorOption,
    CountedScoreOption,
    ProjectArgument,
    SourceOption,
)
from mmad.errors import ProjectError
from mmad.files import write_text
from mmad.projects.project import Project


def quality(
    folder: ProjectArgument,
    annotator: AnnotatorOption = None,
    source: SourceOption = None,
    min_score: CountedScoreOption = None,
    tiou: Annotated[float, typer.Option(help="Lowest tIoU of a match.")] = 0.5,
    step: Annotated[
        float, typer.Option(min=0.01, help="Seconds between two samples of kappa.")
    ] = 0.1,
    table: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Also write the table here.")
    ] = None,
    json_file: JsonOption = None,
) -> None:
    """Say how often the model is right on these videos, and how far it pulls the person.

    Precision, recall, F1 and kappa with 95 % intervals, from the stretches that a person has coded
    blind (mmad project blind).
    """
    from mmad.cli._quality import quality_of
    from mmad.projects.study import read_study
    from mmad.report.project.quality import quality_json, quality_table, quality_text, write_quality

    if not 0 < tiou <= 1:
        raise ProjectError(f"--tiou {tiou:g}: expected a number above 0, at most 1")
    with Project.open(folder) as project:
        study = read_study(project, annotator=annotator, source=source, min_score=min_score)
    report = quality_of(study, tiou=tiou, step_seconds=step)
    console = open_console()
    console.print(quality_table(report))
    console.print(quality_text(report), highlight=False, markup=False)
    if table is not None:
        write_quality(table, report)
    if json_file is not None:
        write_text(json_file, json.dumps(quality_json(report), indent=1) + "\n")
