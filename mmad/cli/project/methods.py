"""``mmad project methods``: what was done, as text for a paper."""

from pathlib import Path
from typing import Annotated

import typer

from mmad.cli._options import OverwriteOption
from mmad.cli.project._options import (
    AnnotatorOption,
    CountedScoreOption,
    ProjectArgument,
    SourceOption,
)
from mmad.errors import OutputError
from mmad.files import write_text
from mmad.projects.project import Project


def methods(
    folder: ProjectArgument,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Text in Markdown.")] = Path(
        "methods.md"
    ),
    annotator: AnnotatorOption = None,
    source: SourceOption = None,
    min_score: CountedScoreOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Write what was done as a paragraph for the methods section of a paper.

    Model, scores, who coded what, the blind share, agreement and correction, from the project.
    """
    from mmad.cli._quality import quality_of
    from mmad.projects.agreement import agreement_of_people
    from mmad.projects.budget import correct_study, study_coding
    from mmad.projects.study import read_study
    from mmad.report.project.methods import methods_text

    if out.exists() and not overwrite:
        raise OutputError(f"{out}: is there already; pass another --out, or --overwrite")
    with Project.open(folder) as project:
        used = [one for one in project.findings.sources() if one.num_videos]
        study = report = corrected = None
        if used:
            study = read_study(
                project, annotator=annotator, source=source, min_score=min_score, needs_blind=False
            )
        if study is not None and study.blind:
            report = quality_of(study)
            corrected = correct_study(study, study_coding(study))
        text = methods_text(
            project,
            source=None if study is None else study.source,
            quality=report,
            corrected=corrected,
            people=agreement_of_people(project),
        )
    write_text(out, text)
    typer.echo(text)
    typer.echo(f"written to {out}")
