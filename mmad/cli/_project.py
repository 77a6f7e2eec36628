"""Adding the detections of a run, and the features of its backbone, to a project, with progress."""

from collections.abc import Callable
from pathlib import Path

import typer

from mmad.cli._notices import tell_notices
from mmad.engine.jobs.project import Searched, Watcher, detect_in_project, extract_in_project
from mmad.errors import RESUME_HINT, VideoError, raise_problems, told_if_interrupted
from mmad.process_lock import held
from mmad.progress import Progress
from mmad.projects.project import Project
from mmad.wording import count

# Whose lock keeps two processes from adding at once; people may review meanwhile.
_ADDING = "adding"


def add_detections(project: Project, checkpoint: Path, *, min_score: float, device: str) -> None:
    """Detect in all videos of a project, and say how many detections there are.

    Raises: VideoError with the videos that could not be searched; the others are done.
    """
    searched = _added(
        project,
        "detect",
        lambda watcher: detect_in_project(
            project, checkpoint, min_score=min_score, device=device, tell=watcher
        ),
    )
    found = next(one for one in project.findings.sources() if one.id == searched.source)
    where = count(found.num_videos, "video")
    typer.echo(f"{project.folder}: {count(found.num_detections, 'detection')} in {where}")
    _tell_features(project, searched)


def add_features(project: Project, source: Path, *, device: str) -> None:
    """Extract the features of all videos of a project that have none.

    Raises: VideoError with the videos that could not be read; the others are done.
    """
    searched = _added(
        project,
        "extract",
        lambda watcher: extract_in_project(project, source, device=device, tell=watcher),
    )
    _tell_features(project, searched)


def _added(project: Project, task: str, work: Callable[[Watcher], Searched]) -> Searched:
    bars: list[Progress] = []

    def start(done: int, total: int) -> None:
        bars.append(Progress(task, total=total, unit="videos", done=done))

    watcher = Watcher(start, lambda: bars[0].update(), lambda text: tell_notices([text]))
    with held(project.folder / _ADDING), told_if_interrupted(RESUME_HINT):
        try:
            return work(watcher)
        finally:
            for bar in bars:
                bar.__exit__(None, None, None)


def _tell_features(project: Project, searched: Searched) -> None:
    if searched.features is not None and searched.features.is_file():
        from mmad.data.features.conversion import describe_file

        typer.echo(describe_file(searched.features))
    problems = list(searched.problems.values())
    raise_problems(VideoError, source=str(project.folder), problems=problems)
