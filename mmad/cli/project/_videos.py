"""Adding videos, and who is seen in them, to a project."""

from collections.abc import Mapping
from pathlib import Path

from mmad.errors import ProjectError, VideoError
from mmad.evaluation.budget.conditions import Conditions
from mmad.progress import Progress
from mmad.projects.project import Project
from mmad.video.find import find_videos
from mmad.wording import count


def videos_in(folder: Path) -> dict[str, Path]:
    """The videos in a folder by their names; raises ProjectError if there is none."""
    files = find_videos(folder)
    if not files:
        raise ProjectError(f"{folder}: has no video files")
    return files


def add_videos(
    project: Project, files: Mapping[str, Path], *, folder: Path, conditions: Conditions | None
) -> list[str]:
    """Add those ``files`` of a folder that the project does not have; the names of the new ones.

    Raises: VideoError with all that cannot be opened, and what to do then; the others are added.
    """
    with Progress("add", total=len(files), unit="videos") as progress:
        try:
            return project.catalogue.add_videos(files, tell=lambda _: progress.update())
        except VideoError as error:
            number = len(project.catalogue.videos())
            raise VideoError(
                f"{error}\n{count(number, 'video', 'is')} in the project; add the others once they "
                f"are repaired: mmad project add {project.folder} --videos {folder}"
            ) from None
        finally:
            if conditions is not None:
                _describe(project, conditions)


def _describe(project: Project, conditions: Conditions) -> None:
    """Note persons and conditions of the videos that are in the table."""
    for video in project.catalogue.videos():
        rows = {
            person: values
            for (name, person), values in conditions.rows.items()
            if name == video.name
        }
        if not rows:
            continue
        values = dict(zip(conditions.names, next(iter(rows.values())), strict=True))
        # What differs between the persons of a video is not a condition of the video.
        same = {
            name: value
            for place, (name, value) in enumerate(values.items())
            if len({row[place] for row in rows.values()}) == 1
        }
        person = next(iter(rows)) if len(rows) == 1 else None
        project.catalogue.describe_video(video.name, person=person or None, conditions=same)
