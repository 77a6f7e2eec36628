"""Finding the video files of a folder."""

from pathlib import Path

from mmad.errors import VideoError, raise_problems

SUFFIXES = (".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v", ".mpg", ".mpeg", ".ts")


def find_videos(folder: str | Path) -> dict[str, Path]:
    """Path of each video file in ``folder`` or below it, by the stem of its name.

    Raises: VideoError if the folder is missing or two files share a stem.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise VideoError(f"{folder}: there is no such folder of videos")
    found: dict[str, Path] = {}
    problems = []
    for path in sorted(folder.rglob("*")):
        hidden = path.name.startswith(".")
        if hidden or path.suffix.lower() not in SUFFIXES or not path.is_file():
            continue
        if path.stem in found:
            problems.append(f"{found[path.stem]} and {path} would both be video '{path.stem}'")
        found[path.stem] = path
    raise_problems(VideoError, source=str(folder), problems=problems)
    return found
