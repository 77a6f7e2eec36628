"""``mmad project show``: what is in a project."""

from typing import Annotated

import typer
from rich.table import Table

from mmad.cli.data._options import open_console
from mmad.cli.project._options import ProjectArgument
from mmad.errors import ProjectError, raise_problems
from mmad.progress import duration_text
from mmad.projects.project import Project
from mmad.wording import count


def show(
    folder: ProjectArgument,
    thorough: Annotated[
        bool,
        typer.Option("--thorough", help="Also compare the content of the videos, not only sizes."),
    ] = False,
) -> None:
    """Show the videos of a project, what models found, and how far each annotator is."""
    with Project.open(folder) as project:
        videos = project.catalogue.videos()
        behaviours = [one for one in project.catalogue.behaviours() if one.is_active]
        length = duration_text(sum(one.duration_seconds for one in videos))
        what = f"{count(len(videos), 'video')} ({length}), {count(len(behaviours), 'behaviour')}"
        typer.echo(f"{folder}: {what}")
        for source in project.findings.sources():
            where = f"{source.num_videos} of {count(len(videos), 'video')}"
            found = count(source.num_detections, "detection")
            typer.echo(f"source {source.id}: {source.model}: {found} in {where}")
        annotators = project.decisions.annotators()
        if annotators:
            open_console().print(_table(project, annotators))
        else:
            typer.echo("no decisions yet")
        problems = project.catalogue.problems_of_videos(thorough=thorough)
    raise_problems(ProjectError, source=str(folder), problems=list(problems.values()))


def _table(project: Project, annotators: list[str]) -> Table:
    table = Table()
    table.add_column("annotator")
    for name in ("videos begun", "accepted", "rejected", "open"):
        table.add_column(name, justify="right")
    for annotator in annotators:
        rows = project.queue.progress(annotator)
        begun = sum(one.accepted + one.rejected > 0 for one in rows)
        numbers = (
            begun,
            sum(one.accepted for one in rows),
            sum(one.rejected for one in rows),
            sum(one.open for one in rows),
        )
        table.add_row(annotator, *map(str, numbers))
    return table
