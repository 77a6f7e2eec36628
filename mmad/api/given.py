"""The videos that a call names."""

from collections.abc import Sequence
from pathlib import Path

from mmad.api.calls import Place
from mmad.errors import VideoError
from mmad.structures import VideoRecord
from mmad.video.records import records_of_files, require_different_names


def records_of(given: Sequence[Place | VideoRecord]) -> tuple[list[VideoRecord], list[str]]:
    """The records of videos in their order, and the problems of those that cannot be opened."""
    paths = []
    for one in given:
        path = one.path if isinstance(one, VideoRecord) else Path(one)
        if path is None:
            assert isinstance(one, VideoRecord)
            raise VideoError(f"video '{one.video_id}' has no path; set it to the file")
        if path.is_dir():
            raise VideoError(f"{path}: is a folder; pass the video files in it, as a list")
        paths.append(path)
    require_different_names(paths)
    records, problems = records_of_files(paths)
    own = {one.path: one for one in given if isinstance(one, VideoRecord)}
    return [own.get(record.path, record) for record in records], problems


def existing(files: list[Path]) -> list[Path]:
    """The files, all of which exist.

    Raises: VideoError that names those that do not.
    """
    missing = [str(path) for path in files if not path.is_file()]
    if missing:
        raise VideoError(f"there is no such video: {', '.join(missing)}")
    return files
