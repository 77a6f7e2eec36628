"""``mmad project add``: more videos, and what a model finds in the videos of a project."""

from pathlib import Path
from typing import Annotated

import typer

from mmad.cli._next_command import tell_next
from mmad.cli._notices import tell_notices
from mmad.cli._options import DeviceOption
from mmad.cli.project._options import MinScoreOption, PersonsOption, ProjectArgument
from mmad.cli.project._videos import add_videos, videos_in
from mmad.errors import ProjectError
from mmad.evaluation.budget.conditions import read_conditions
from mmad.projects.project import Project
from mmad.wording import count


def add(
    folder: ProjectArgument,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Run folder or hub id of a trained detector.")
    ] = None,
    videos: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Adds its videos that the project does not have."),
    ] = None,
    persons: PersonsOption = None,
    min_score: MinScoreOption = 0.05,
    features_only: Annotated[
        bool,
        typer.Option(
            "--features-only",
            help="Store the features for mmad teach and detect nothing; with a config or a run of "
            "any task and labels.",
        ),
    ] = False,
    device: DeviceOption = "auto",
) -> None:
    """Add videos to a project; or detect in its videos and store their features, video by video:
    run it again to resume.

    What people have decided stays as it is.
    """
    if checkpoint is None and videos is None:
        raise ProjectError(f"{folder}: pass --checkpoint RUN, --videos FOLDER, or both")
    if persons is not None and videos is None:
        raise ProjectError("--persons is for videos that are added; pass --videos FOLDER, too")
    if videos is not None:
        _add_videos(folder, videos, persons)
    if checkpoint is not None:
        _search(folder, checkpoint, min_score, features_only=features_only, device=device)
    tell_next("review", folder)


def _add_videos(folder: Path, videos: Path, persons: Path | None) -> None:
    files = videos_in(videos)
    with Project.open(folder) as project:
        known = [video.name for video in project.catalogue.videos()]
        names = list(dict.fromkeys([*known, *files]))
        conditions = None if persons is None else read_conditions(persons, names)
        added = add_videos(project, files, folder=videos, conditions=conditions)
        number = len(project.catalogue.videos())
    if conditions is not None:
        tell_notices(conditions.notices(names))
    typer.echo(f"{folder}: {count(len(added), 'video')} added, {number} in all")


def _search(
    folder: Path, checkpoint: Path, min_score: float, *, features_only: bool, device: str
) -> None:
    from mmad.cli._project import add_detections, add_features

    with Project.open(folder) as project:
        if features_only:
            add_features(project, checkpoint, device=device)
        else:
            add_detections(project, checkpoint, min_score=min_score, device=device)
