"""Shared options of the commands on projects."""

from pathlib import Path
from typing import Annotated

import typer

ProjectArgument = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the project.")]
MinScoreOption = Annotated[
    float,
    typer.Option(min=0, max=1, help="Detections with a lower score are not added."),
]
CountedScoreOption = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="Lowest score of a detection that counts; default: the run's threshold, or 0.5.",
    ),
]
AnnotatorOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Who coded; default: the only one who did."),
]
SourceOption = Annotated[
    int | None,
    typer.Option(help="Number of a run of a model, as in mmad project show; default: the newest."),
]
PersonsOption = Annotated[
    Path | None,
    typer.Option(
        metavar="CSV",
        help="Table with the columns video, optionally person, and one for each condition.",
    ),
]
