"""Shared options of the commands on projects."""

from pathlib import Path
from typing import Annotated

import typer

ProjectArgument = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the project.")]
MinScoreOption = Annotated[
    float,
    typer.Option(min=0, max=1, help="Detections with a lower score are not added."),
]
