"""Shared options of the commands that describe and check a data set."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from mmad.annotations.clips.lists import class_files
from mmad.annotations.formats import CLIP_FORMAT, EMOTION_FORMATS, FORMATS, detect_format
from mmad.errors import AnnotationError, VideoError
from mmad.files import write_text
from mmad.structures import ClipRecord

_WIDTH_IN_FILES = 160

AnnotationPath = Annotated[
    list[Path],
    typer.Argument(
        help="Annotation file, several files, or a folder with train.csv, val.csv or test.csv."
    ),
]
if TYPE_CHECKING:
    Format = str
else:
    Format = Literal["auto", *FORMATS]
FormatOption = Annotated[
    Format, typer.Option(metavar="<name>", help=f"Format of the file: auto, {', '.join(FORMATS)}.")
]
FpsOption = Annotated[
    float | None,
    typer.Option(help="Frame rate of the videos, for files without one."),
]
SubjectsOption = Annotated[
    Path | None, typer.Option(help="CSV file with the columns video_id and subject.")
]


def open_console() -> Console:
    """A console as wide as the terminal, or wide if the output goes to a file or a pipe."""
    console = Console()
    # A file or a pipe has no edge to wrap at.
    return console if console.is_terminal else Console(width=_WIDTH_IN_FILES)


def one_or_many(paths: list[Path]) -> Path | list[Path]:
    """Argument of `read_annotations`: the only path, or the list."""
    return paths[0] if len(paths) == 1 else paths


Kind = Literal["videos", "clips", "emotions"]


def kind_of(paths: list[Path], *, format: str) -> Kind:
    """What the files list: videos with instances, clips of one action, or videos with emotions.

    Raises: AnnotationError if they differ in that.
    """
    if format != "auto":
        return _kind_of_format(format)
    formats = {
        CLIP_FORMAT if path.is_dir() else detect_format(path)
        for path in paths
        if not path.is_dir() or class_files(path)
    }
    kinds = {_kind_of_format(one) for one in formats}
    if len(kinds) > 1 or (kinds == {"clips"} and len(formats) > 1):
        raise AnnotationError("expected files of one format, found " + ", ".join(sorted(formats)))
    return kinds.pop() if kinds else "videos"


def _kind_of_format(name: str) -> Kind:
    if name in EMOTION_FORMATS:
        return "emotions"
    return "clips" if name == CLIP_FORMAT else "videos"


def clip_files(clips: Sequence[ClipRecord], folder: Path, *, option: str) -> list[ClipRecord]:
    """The clips with the paths of their files in ``folder``, the value of ``option``.

    Raises: VideoError if there is no such folder, or a file is missing.
    """
    if not folder.is_dir():
        raise VideoError(f"{option} {folder}: there is no such folder")
    missing = [clip.clip_id for clip in clips if not (folder / clip.clip_id).is_file()]
    if missing:
        raise VideoError(
            f"{option} {folder}: lacks {len(missing)} of {len(clips)} clips, first {missing[0]}"
        )
    return [replace(clip, path=folder / clip.clip_id) for clip in clips]


def write_numbers(path: Path | None, content: object) -> None:
    """Write the JSON of ``--json``, if requested."""
    if path is not None:
        write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
