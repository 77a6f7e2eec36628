"""``mmad project export``: what people decided, as a file of another program."""

from pathlib import Path
from typing import Annotated

import typer

from mmad.annotations.exchange.writing import write_events
from mmad.cli._notices import tell_notices
from mmad.cli._options import OverwriteOption
from mmad.cli.project._options import ProjectArgument
from mmad.projects.events import decided_events
from mmad.projects.project import Project
from mmad.wording import count


def export(
    folder: ProjectArgument,
    out: Annotated[Path, typer.Argument(help="File; or folder, for a file for each video.")],
    to: Annotated[str, typer.Option(metavar="FORMAT", help="As in mmad data convert.")] = "csv",
    annotator: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only this person's decisions; repeat for more."),
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Write what people accepted and drew in any format that mmad writes."""
    with Project.open(folder) as project:
        file = decided_events(project, annotators=annotator or ())
    written = write_events(out, file, format=to, overwrite=overwrite)
    tell_notices(written.notices)
    typer.echo(f"{out}: {count(len(file.events), 'event')} in {count(len(written.paths), 'file')}")
