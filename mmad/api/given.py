"""The videos that a call names."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mmad.api.calls import Place
from mmad.errors import VideoError
from mmad.structures import VideoRecord
from mmad.video.find import identified_videos
from mmad.video.records import records_of_files


def records_of(given: Sequence[Place | VideoRecord]) -> tuple[list[VideoRecord], list[str]]:
    """The records of videos in their order, and the problems of those that cannot be opened.

    Files of the same name get their folders into their ids, as in `identified_videos`.

    Raises: VideoError if a record has no path, a path is a folder, or two videos are the same.
    """
    paths: list[Path] = []
    for one in given:
        path = one.path if isinstance(one, VideoRecord) else Path(one)
        if path is None:
            assert isinstance(one, VideoRecord)
            raise VideoError(f"video '{one.video_id}' has no path; set it to the file")
        if path.is_dir():
            raise VideoError(f"{path}: is a folder; pass the video files in it, as a list")
        paths.append(path)
    if not paths:
        return [], []
    files = identified_videos(paths)
    if len(files) < len(paths):
        raise VideoError("the same video is given twice; pass each once")
    own = {one.path: one for one in given if isinstance(one, VideoRecord)}
    records, problems = records_of_files(files)
    records = [own.get(record.path, record) for record in records]
    ids = Counter(record.video_id for record in records)
    if repeated := [video_id for video_id, number in ids.items() if number > 1]:
        raise VideoError(f"two videos have the id '{repeated[0]}'; give one another id")
    return records, problems


def existing(files: list[Path]) -> list[Path]:
    """The files, all of which exist.

    Raises: VideoError that names those that do not.
    """
    missing = [str(path) for path in files if not path.is_file()]
    if missing:
        raise VideoError(f"there is no such video: {', '.join(missing)}")
    return files
