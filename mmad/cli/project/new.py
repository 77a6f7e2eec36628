"""``mmad project new``: a new project."""

from pathlib import Path
from typing import Annotated

import typer

from mmad.annotations.label_files import labels_named
from mmad.cli._next_command import tell_next
from mmad.cli._notices import tell_notices
from mmad.cli._options import DeviceOption
from mmad.cli.project._options import ProjectArgument
from mmad.errors import ProjectError
from mmad.evaluation.budget.conditions import Conditions, read_conditions
from mmad.progress import Progress
from mmad.projects.project import Project, new_project
from mmad.video.find import find_videos
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
    persons: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="Table with the columns video, optionally person, and one for each condition.",
        ),
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="Run folder or hub id of a detector: also detects, as project add."),
    ] = None,
    device: DeviceOption = "auto",
) -> None:
    """Make a project in DIR: a folder that keeps what is found and decided about videos."""
    chosen, files = labels_named(labels), find_videos(videos)
    if not files:
        raise ProjectError(f"{videos}: has no video files")
    # Read first, so that mistakes are reported before anything is made.
    conditions = None if persons is None else read_conditions(persons, list(files))
    with new_project(folder, labels=chosen) as project:
        with Progress("add", total=len(files), unit="videos") as progress:
            try:
                project.catalogue.add_videos(files, tell=lambda _: progress.update())
            finally:
                if conditions is not None:
                    _describe(project, conditions)
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


def _describe(project: Project, conditions: Conditions) -> None:
    """Note persons and conditions of the videos that are in the table."""
    for video in project.catalogue.videos():
        rows = {
            person: values
            for (name, person), values in conditions.rows.items()
            if name == video.name
        }
        if not rows:
            continue
        values = dict(zip(conditions.names, next(iter(rows.values())), strict=True))
        # What differs between the persons of a video is not a condition of the video.
        same = {
            name: value
            for place, (name, value) in enumerate(values.items())
            if len({row[place] for row in rows.values()}) == 1
        }
        person = next(iter(rows)) if len(rows) == 1 else None
        project.catalogue.describe_video(video.name, person=person or None, conditions=same)
