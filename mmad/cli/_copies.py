"""Shared parts of the commands that write copies of videos."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmad.cli._notices import tell_notices
from mmad.errors import VideoError
from mmad.video.find import SUFFIXES, find_videos
from mmad.wording import count

# Imported where it is used: `mmad data stats` does not need to open videos.
if TYPE_CHECKING:
    from mmad.video.copies import CopySummary

VideosArgument = Annotated[
    list[Path], typer.Argument(help="Video files, or folders that are searched for them.")
]
WorkersOption = Annotated[int, typer.Option(min=1, help="Processes.")]


def video_files(given: Sequence[Path], *, out: Path | None = None) -> list[Path]:
    """The files in ``given``, those of folders too, but not earlier copies in ``out``.

    Raises: VideoError if there is none.
    """
    files: list[Path] = []
    for path in given:
        below = out if out is not None and path.resolve() in out.resolve().parents else None
        files += find_videos(path, without=below).values() if path.is_dir() else [path]
    if not files:
        raise VideoError(
            f"no video file in {', '.join(map(str, given))}; expected names that end in "
            f"{', '.join(SUFFIXES)}"
        )
    return files


def existing_videos(videos: Sequence[Path], *, out: Path | None = None) -> list[Path]:
    """The files in these files and folders, but not earlier copies in ``out``.

    Raises: VideoError if one does not exist.
    """
    found = video_files(list(videos), out=out)
    missing = [str(path) for path in found if not path.is_file()]
    if missing:
        raise VideoError(f"there is no such video: {', '.join(missing)}")
    return found


def tell_copies(out: Path, summary: "CopySummary", *, seconds: float, what: str = "video") -> None:
    """Print what was done, and the notices of the copies, which are called ``what``."""
    for copy in summary.written:
        tell_notices(copy.notices)
    typer.echo(
        f"{out}: {count(len(summary.written), what)} written "
        f"({count(summary.num_frames, 'frame')} in "
        f"{seconds:.1f} s), {len(summary.skipped)} already there, {len(summary.failed)} failed"
    )
