"""Reading and writing of the text files that hold annotations."""

import csv
import io
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmad.errors import AnnotationError, OutputError

_SUBSET_NAMES = {"training": "train", "validation": "val", "testing": "test"}
_SUBSET = r"(train|val|test|training|validation|testing)"
_IN_FILE_NAME = re.compile(rf"(?:^|[^a-z]){_SUBSET}(?:$|[^a-z])")
_IN_VIDEO_ID = re.compile(rf"^{_SUBSET}[_-]?\d")


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, without a byte order mark.

    Raises: AnnotationError if the file is missing, is not text, or is empty.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise AnnotationError(f"{path}: annotation file not found") from None
    except UnicodeDecodeError as error:
        raise AnnotationError(
            f"{path}: expected a text file in UTF-8, found other bytes at position {error.start}"
        ) from None
    except OSError as error:
        raise AnnotationError(f"{path}: cannot be read ({error.strerror})") from None
    if not text.strip():
        raise AnnotationError(f"{path}: the annotation file is empty")
    return text


class RepeatedKeyDict(dict[str, Any]):
    """A JSON object that remembers which of its keys came twice (the last value is kept)."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        seen: set[str] = set()
        self.repeated_keys: list[str] = []
        for key, _ in pairs:
            if key in seen:
                self.repeated_keys.append(key)
            seen.add(key)


def parse_json(path: Path, text: str) -> RepeatedKeyDict:
    """The JSON object in ``text``; every object in it is a `RepeatedKeyDict`.

    Raises: AnnotationError if it is not JSON, with the place, or if it is not an object.
    """
    try:
        content = json.loads(text, object_pairs_hook=RepeatedKeyDict)
    except json.JSONDecodeError as error:
        raise AnnotationError(
            f"{path}: not valid JSON at line {error.lineno}, column {error.colno}: {error.msg}; "
            "the file may be cut off"
        ) from None
    except RecursionError:
        raise AnnotationError(f"{path}: not an annotation file: nested too deeply") from None
    if not isinstance(content, RepeatedKeyDict):
        raise AnnotationError(
            f"{path}: expected a JSON object with one entry per video, "
            f"found a {type(content).__name__}"
        )
    return content


def parse_csv(path: Path, text: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header (lower case, stripped) and the rows of a CSV text, each row with its line number.

    Blank lines are left out.

    Raises: AnnotationError if the text cannot be split into columns.
    """
    rows = []
    reader = csv.reader(io.StringIO(text), strict=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append((reader.line_num, [cell.strip() for cell in cells]))
    except csv.Error as error:
        raise AnnotationError(f"{path}: not valid CSV at line {reader.line_num}: {error}") from None
    header = [cell.casefold() for cell in rows[0][1]]
    return header, rows[1:]


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` in UTF-8; as `write_bytes`."""
    write_bytes(path, text.encode())


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write ``content`` to ``path`` so that a reader sees either the old file or the whole new one.

    Folders on the way are made.

    Raises: OutputError if it cannot be written.
    """
    target = Path(path)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_bytes(content)
            os.replace(partial, target)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{target}: cannot be written ({error.strerror})") from None


def write_csv(path: str | Path, *, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Write a CSV file with one header line; lines end in a newline character alone."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text(path, text.getvalue())


def plain_subset(name: str) -> str:
    """``name`` as mmad calls the subset: train, val, test, or the name itself.

    >>> plain_subset("Validation"), plain_subset("val"), plain_subset("fold 3")
    ('val', 'val', 'fold 3')
    """
    folded = name.strip().casefold()
    if folded in _SUBSET_NAMES.values():
        return folded
    return _SUBSET_NAMES.get(folded, name.strip())


def guess_subset(path: Path, *, video_id: str = "") -> str | None:
    """The subset that the name of the file tells, else the video id, else None.

    >>> guess_subset(Path("gt_val.csv")), guess_subset(Path("all.csv"), video_id="train0012")
    ('val', 'train')
    >>> guess_subset(Path("trainval.csv"), video_id="interview_3") is None
    True
    """
    match = _IN_FILE_NAME.search(path.stem.casefold()) or _IN_VIDEO_ID.match(video_id.casefold())
    return plain_subset(match.group(1)) if match else None


def number_text(value: float) -> str:
    """A number for a text file: all its digits, and no decimal point if it is whole.

    >>> number_text(30.0), number_text(29.97)
    ('30', '29.97')
    """
    return str(int(value)) if float(value).is_integer() else repr(float(value))
