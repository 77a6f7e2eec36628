"""``mmad project new``: a new project."""

from pathlib import Path
from typing import Annotated

import typer

from mmad.annotations.label_files import labels_named
from mmad.cli._next_command import tell_next
from mmad.cli._notices import tell_notices
from mmad.cli._options import DeviceOption
from mmad.cli.project._options import PersonsOption, ProjectArgument
from mmad.cli.project._videos import add_videos, videos_in
from mmad.evaluation.budget.conditions import read_conditions
from mmad.projects.project import Project, new_project
from mmad.wording import count


def new(
    folder: ProjectArgument,
    videos: Annotated[Path, typer.Option(metavar="FOLDER", help="The videos; they stay there.")],
    labels: Annotated[
        str,
        typer.Option(
            metavar="<ma52|FILE>",
            help="Behaviours: the 52 micro-actions, or those in a label file.",
        ),
    ] = "ma52",
    persons: PersonsOption = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="Run folder or hub id of a detector: also detects, as project add."),
    ] = None,
    device: DeviceOption = "auto",
) -> None:
    """Make a project in DIR: a folder that keeps what is found and decided about videos."""
    chosen, files = labels_named(labels), videos_in(videos)
    # Read first, so that mistakes are reported before anything is made.
    conditions = None if persons is None else read_conditions(persons, list(files))
    with new_project(folder, labels=chosen) as project:
        add_videos(project, files, folder=videos, conditions=conditions)
        number = len(project.catalogue.videos())
    if conditions is not None:
        tell_notices(conditions.notices(list(files)))
    what = f"{count(len(chosen), 'behaviour')}, {count(number, 'video')}"
    typer.echo(f"{folder}: a project with {what}")
    if checkpoint is not None:
        from mmad.cli._project import add_detections

        with Project.open(folder) as project:
            add_detections(project, checkpoint, min_score=0.05, device=device)
    tell_next("review", folder)
