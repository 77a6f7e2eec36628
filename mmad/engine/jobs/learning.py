"""The learning curve of a project, after a teaching."""

from collections.abc import Callable
from pathlib import Path

from mmad.engine.jobs.teaching import Taught
from mmad.engine.teaching.course import MOST_FOLDS, folds_of
from mmad.engine.teaching.learning_curve import (
    LEAST_VIDEOS,
    SHARES,
    LearningCurve,
    learning_curve,
)
from mmad.engine.teaching.material import material_of
from mmad.errors import ProjectError
from mmad.files import write_json
from mmad.projects.pace import decisions_an_hour
from mmad.projects.project import Project
from mmad.report.data_figures.learning_curve import draw_learning_curve

FILE_NAME = "learning_curve.json"


def write_learning_curve(
    project: Project,
    taught: Taught,
    *,
    seed: int = 0,
    progress: Callable[[float], object] = lambda fraction: None,
) -> tuple[LearningCurve, Path]:
    """Compute the learning curve of a teaching, and write it and its plot to the run.

    Args:
        project: The project.
        taught: The teaching.
        seed: As in `teach`.
        progress: Called with the fraction done.

    Returns:
        The curve, and the path of the plot.

    Raises: ProjectError if there are too few decided videos.
    """
    assert taught.run is not None, "only of a head"
    material = material_of(project, annotators=taught.annotators)
    examples = material.usable
    folds = folds_of(examples, seed=seed)
    if len(folds) < MOST_FOLDS or len(examples) < LEAST_VIDEOS:
        raise ProjectError(
            f"{project.folder}: whether more decisions pay is known from {LEAST_VIDEOS} decided "
            f"videos of {MOST_FOLDS} persons on (there are {len(examples)} and {len(folds)})"
        )
    course = material.course(taught.heads or material.taught_behaviours(), seed=seed)
    total, done = len(SHARES) * len(folds) * taught.num_steps, 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(done / total)

    curve = learning_curve(
        course,
        examples,
        folds,
        num_steps=taught.num_steps,
        num_decisions=taught.num_decisions,
        an_hour=decisions_an_hour(project, annotators=taught.annotators),
        on_step=step,
    )
    write_json(taught.run / FILE_NAME, curve.to_json())
    plot = (taught.run / FILE_NAME).with_suffix(".png")
    draw_learning_curve(plot, curve.to_json())
    return curve, plot
