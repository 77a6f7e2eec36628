"""Finding the video files of a folder."""

import os
import re
from pathlib import Path
from urllib.parse import quote

from mmad.errors import VideoError, raise_problems
from mmad.names import file_key

SUFFIXES = (".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v", ".mpg", ".mpeg", ".ts")


# Control characters, and lone surrogates, which represent bytes that are not UTF-8.
_NO_TEXT = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def video_id_of(path: Path) -> str:
    r"""The id of a video file: its name without the suffix, as valid UTF-8 text.

    Control characters and bytes that are not UTF-8 are percent-encoded.

    >>> video_id_of(Path("videos/P01 Müller.mp4")), video_id_of(Path("a\nb\udcff.mp4"))
    ('P01 Müller', 'a%0Ab%FF')
    """
    return as_text(path.stem)


def as_text(name: str) -> str:
    """The name of a file, percent-encoded where it is not text; see above."""
    return _NO_TEXT.sub(lambda match: quote(os.fsencode(match.group())), name)


def find_videos(folder: str | Path) -> dict[str, Path]:
    """Path of each video file in ``folder`` or below it, by its id.

    Raises: VideoError if the folder is missing or two files share an id.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise VideoError(f"{folder}: folder of videos not found")
    found: dict[str, Path] = {}
    known: dict[str, Path] = {}
    problems = []
    for path in sorted(folder.rglob("*")):
        hidden = path.name.startswith(".")
        if hidden or path.suffix.lower() not in SUFFIXES or not path.is_file():
            continue
        video_id = video_id_of(path)
        if other := known.get(file_key(video_id)):
            problems.append(f"{other} and {path} would both be video '{video_id}'")
        found[video_id] = known[file_key(video_id)] = path
    raise_problems(VideoError, source=str(folder), problems=problems)
    return found
