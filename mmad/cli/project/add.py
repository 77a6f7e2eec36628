"""``mmad project add``: detections and features of a model in the videos of a project."""

from pathlib import Path
from typing import Annotated

import typer

from mmad.cli._next_command import tell_next
from mmad.cli._options import DeviceOption
from mmad.cli.project._options import MinScoreOption, ProjectArgument
from mmad.projects.project import Project


def add(
    folder: ProjectArgument,
    checkpoint: Annotated[Path, typer.Option(help="Run folder or hub id of a trained detector.")],
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
    """Detect in the videos of a project and store their features, video by video; run it again to
    resume.

    What people have decided stays as it is.
    """
    from mmad.cli._project import add_detections, add_features

    with Project.open(folder) as project:
        if features_only:
            add_features(project, checkpoint, device=device)
        else:
            add_detections(project, checkpoint, min_score=min_score, device=device)
    tell_next("review", folder)
