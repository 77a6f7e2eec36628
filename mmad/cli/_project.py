"""Adding the detections of a run to a project, with progress."""

from pathlib import Path

import typer

from mmad.engine.jobs.project import detect_in_project
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
    bars: list[Progress] = []

    def start(done: int, total: int) -> None:
        bars.append(Progress("detect", total=total, unit="videos", done=done))

    with held(project.folder / _ADDING), told_if_interrupted(RESUME_HINT):
        try:
            source, problems = detect_in_project(
                project,
                checkpoint,
                min_score=min_score,
                device=device,
                on_start=start,
                on_video=lambda _name, _number: bars[0].update(),
            )
        finally:
            for bar in bars:
                bar.__exit__(None, None, None)
    found = next(one for one in project.findings.sources() if one.id == source)
    where = count(found.num_videos, "video")
    typer.echo(f"{project.folder}: {count(found.num_detections, 'detection')} in {where}")
    raise_problems(VideoError, source=str(project.folder), problems=list(problems.values()))
