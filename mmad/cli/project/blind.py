"""``mmad project blind``: draw a random share that is coded without suggestions."""

from typing import Annotated

import typer
from rich.table import Table

from mmad.cli._next_command import tell_next
from mmad.cli.data._options import open_console
from mmad.cli.project._options import ProjectArgument
from mmad.errors import ProjectError
from mmad.progress import duration_text
from mmad.projects.project import Project
from mmad.wording import count

_SHARE = 0.1


def blind(
    folder: ProjectArgument,
    share: Annotated[
        float | None,
        typer.Option(help=f"Share of all time; default {_SHARE}.", show_default=False),
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="The same as minutes.")] = None,
    stretch_seconds: Annotated[
        float | None,
        typer.Option(help="About how long a stretch is; default 30.", show_default=False),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of the order; default 0.", show_default=False)
    ] = None,
) -> None:
    """Draw random stretches of all videos, which are coded with suggestions hidden.

    Run it again with a larger share to add to them. Draw before the detections are reviewed: a
    stretch in which a person has decided something already is not offered to that person.
    """
    if share is not None and minutes is not None:
        raise ProjectError("--share and --minutes say the same; pass one of them")
    if share is not None and not 0 < share <= 1:
        raise ProjectError(f"--share {share:g}: expected a number above 0, at most 1")
    if minutes is not None and not 0 < minutes < float("inf"):
        raise ProjectError(f"--minutes {minutes:g}: expected minutes above 0")
    with Project.open(folder) as project:
        total = sum(one.duration_seconds for one in project.catalogue.videos())
        seconds = total * (share or _SHARE) if minutes is None else 60 * minutes
        if seconds > total:
            raise ProjectError(f"--minutes {minutes:g}: all videos together are {total / 60:.1f}")
        new = project.blind.draw(seconds, stretch_seconds=stretch_seconds, seed=seed)
        drawn = project.blind.stretches()
        length = sum(one.seconds for one in drawn)
        what = f"{count(len(drawn), 'stretch')} in {_videos(drawn)}, {duration_text(length)}"
        typer.echo(f"{folder}: {what} ({100 * length / total:.1f} % of all time)")
        typer.echo(
            f"{len(new)} of them {'is' if len(new) == 1 else 'are'} new"
            if new
            else "none of it is new"
        )
        if annotators := project.decisions.annotators():
            open_console().print(_table(project, annotators))
    tell_next("review", folder)


def _videos(drawn: list) -> str:
    return count(len({one.video for one in drawn}), "video")


def _table(project: Project, annotators: list[str]) -> Table:
    table = Table()
    table.add_column("annotator")
    for name in ("coded blind", "to code", "seen before"):
        table.add_column(name, justify="right")
    for annotator in annotators:
        blind = project.blind
        numbers = (blind.done(annotator), blind.waiting(annotator), blind.seen(annotator))
        table.add_row(annotator, *(str(len(one)) for one in numbers))
    return table
