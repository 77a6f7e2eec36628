"""The one command of ``mmad teach``."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from mmad.cli._next_command import tell_next
from mmad.cli._notices import tell_notices
from mmad.cli.project._options import ProjectArgument
from mmad.errors import ProjectError, told_if_interrupted
from mmad.progress import Progress
from mmad.projects.project import Project
from mmad.wording import count

if TYPE_CHECKING:
    from mmad.engine.jobs.teaching import Taught


def teach(
    folder: ProjectArgument,
    annotator: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Learn from this person's decisions only; repeat for more."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same result.")] = 0,
    curve: Annotated[
        bool,
        typer.Option(
            "--curve/--no-curve", help="Then say whether more decisions pay; takes longer."
        ),
    ] = True,
) -> None:
    """Learn from what people decided in a project, and detect in all its videos again.

    Decisions stay as they are; the detections are a new source, which the queue of mmad review
    offers.
    """
    from mmad.engine.jobs.teaching import Hearer
    from mmad.engine.jobs.teaching import teach as learn

    chosen = annotator or ()
    hint = "nothing was added; run the same command again"
    with Project.open(folder) as project, told_if_interrupted(hint):
        with Progress("teach", total=100, unit="%") as progress:
            done = learn(
                project,
                annotators=chosen,
                seed=seed,
                hearer=Hearer(progress.say, lambda fraction: progress.reach(100 * fraction)),
            )
        tell_notices(done.notices)
        names = {one.id: one.name for one in project.catalogue.behaviours()}
        for behaviours, how in (
            (done.heads, "learnt"),
            (done.nearest, "nearest stretches suggested"),
        ):
            for one in behaviours:
                typer.echo(f"{names[one]}: {how}{_judged(one, done.precision)}")
        if done.kept:
            typer.echo(f"{count(len(done.kept), 'behaviour')} kept from the model before")
        typer.echo(
            f"{folder}: {count(done.num_detections, 'detection')} of source {done.source}, from "
            f"{count(done.num_decisions, 'decision')} of {', '.join(done.annotators)}, in "
            f"{done.seconds:.0f} s ({done.processor_seconds:.0f} s of processor time)"
        )
        if curve and done.run is not None:
            _tell_curve(project, done, seed=seed)
    tell_next("review", folder)


def _tell_curve(project: Project, done: "Taught", *, seed: int) -> None:
    from mmad.engine.jobs.learning import write_learning_curve

    with Progress("learning curve", total=100, unit="%") as progress:
        try:
            curve, plot = write_learning_curve(
                project,
                done,
                seed=seed,
                progress=lambda fraction: progress.reach(100 * fraction),
            )
        except ProjectError as error:
            tell_notices([str(error)])
            return
    for point in curve.points:
        typer.echo(
            f"{100 * point.share:3.0f} % of the decided videos: mAP {100 * point.precision:.1f} % "
            f"(95 % interval {100 * point.low:.1f} to {100 * point.high:.1f})"
        )
    typer.echo(curve.sentence)
    typer.echo(str(plot))


def _judged(behaviour: int, precision: Mapping[int, float]) -> str:
    value = precision.get(behaviour)
    return "" if value is None else f", average precision {100 * value:.0f} % on held-out videos"
