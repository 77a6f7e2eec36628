"""Finding the video files of a folder."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from mmad.errors import VideoError, raise_problems
from mmad.names import file_key

SUFFIXES = (".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v", ".mpg", ".mpeg", ".ts")
# Names of the column of ids in tables about videos.
ID_COLUMNS = ("video_id", "video")


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


def find_videos(folder: str | Path, *, without: Path | None = None) -> dict[str, Path]:
    """Path of each video file in ``folder`` or below it, by its id.

    Args:
        folder: The folder.
        without: Folder, maybe below it, whose files are left out, such as that of copies.

    Raises: VideoError if the folder is missing or two files share an id.
    """
    folder = Path(folder)
    outside = None if without is None else without.resolve()
    found: dict[str, Path] = {}
    known: dict[str, Path] = {}
    problems = []
    for path in video_paths(folder):
        if outside is not None and path.resolve().is_relative_to(outside):
            continue
        video_id = video_id_of(path)
        if other := known.get(file_key(video_id)):
            problems.append(f"{other} and {path} would both be video '{video_id}'")
        found[video_id] = known[file_key(video_id)] = path
    raise_problems(VideoError, source=str(folder), problems=problems)
    return found


def video_paths(folder: Path) -> list[Path]:
    """The video files in ``folder`` or below it, sorted.

    Raises: VideoError if the folder is missing.
    """
    if not folder.is_dir():
        raise VideoError(f"{folder}: folder of videos not found")
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.name[0] != "." and path.suffix.lower() in SUFFIXES and path.is_file()
    ]


def identified_videos(given: Sequence[Path]) -> dict[str, Path]:
    """Each video among ``given`` files and folders, by an id of its own, in their order.

    The id is the name of the file if all differ in it. Otherwise all have their folders in their
    ids, from the folder that was given on, or, if that does not tell them apart, from the folder
    that all have in common: ``P01/cam1`` and ``P02/cam1``.

    Raises: VideoError if there is no video, or two differ in their suffix alone.
    """
    # The same file may be named twice, and be in a folder that is named, too.
    places: dict[Path, Path] = {}
    named: set[str] = set()
    for one in given:
        for path in video_paths(one) if one.is_dir() else [one]:
            whole = os.path.abspath(path)
            if whole not in named:
                named.add(whole)
                places[path] = one if one.is_dir() else path.parent
    if not places:
        raise VideoError(
            f"no video file in {', '.join(map(str, given))}; expected names that end in "
            f"{', '.join(SUFFIXES)}"
        )
    if len(places) == 1:
        return {video_id_of(path): path for path in places}
    common = _common_folder(list(places))
    for id_of in (
        video_id_of,
        lambda path: _id_below(path, places[path]),
        lambda path: _id_below(Path(os.path.abspath(path)), common),
    ):
        ids = {path: id_of(path) for path in places}
        if len({file_key(video_id) for video_id in ids.values()}) == len(ids):
            return {video_id: path for path, video_id in ids.items()}
    by_key: dict[str, list[Path]] = {}
    for path, video_id in ids.items():
        by_key.setdefault(file_key(video_id), []).append(path)
    problems = [
        f"{' and '.join(map(str, same))} would {'both' if len(same) == 2 else 'all'} be video "
        f"'{ids[same[0]]}'; rename one, or leave it out"
        for same in by_key.values()
        if len(same) > 1
    ]
    raise_problems(VideoError, source=str(common), problems=problems)
    raise AssertionError


def _common_folder(paths: Sequence[Path]) -> Path:
    """The lowest folder that holds all files; that of the first one on Windows' several disks."""
    folders = [os.path.dirname(os.path.abspath(path)) for path in paths]
    try:
        return Path(os.path.commonpath(folders))
    except ValueError:
        return Path(folders[0])


def _id_below(path: Path, folder: Path) -> str:
    r"""The id of a video in a folder or below it: its place there, without the suffix.

    >>> _id_below(Path("study/P01/cam1.mp4"), Path("study"))
    'P01/cam1'
    """
    is_below = path.is_relative_to(folder)
    parts = (path.relative_to(folder) if is_below else path).with_suffix("").parts
    return "/".join(as_text(part) for part in parts)
