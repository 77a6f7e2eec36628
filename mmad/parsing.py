"""Parsing of text, JSON, YAML and CSV within the limits of `mmad.limits`; errors name the place."""

import codecs
import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from mmad.errors import AnnotationError, MmadError
from mmad.limits import MAX_DEPTH, MAX_SETTINGS, MAX_SETTINGS_BYTES
from mmad.packed import gunzip

_GZIP = b"\x1f\x8b\x08"


@contextmanager
def reading(
    source: str | Path, *, expected: str, error: type[MmadError] = AnnotationError
) -> Iterator[None]:
    """Turn whatever a library raises for bytes that are not in its format into ``error``.

    Args:
        source: File, for the message.
        expected: What the file should be, such as "an HDF5 file; extract the features again".
        error: Type of the error to raise.
    """
    try:
        yield
    except MmadError:
        raise
    except Exception as cause:  # hostile bytes make libraries raise anything
        text = getattr(cause, "strerror", None) or str(cause)
        lines = text.strip().splitlines() or [type(cause).__name__]
        raise error(f"{source}: cannot be read ({lines[0]:.120}); expected {expected}") from None


def read_text(path: Path, *, error: type[MmadError] = AnnotationError) -> str:
    """The text of a file in UTF-8 or UTF-16, maybe packed by gzip, without a byte order mark.

    Raises: ``error`` if the file is missing, empty or not text.
    """
    data, _ = unpacked(path, error=error)
    try:
        text = io.StringIO(data.decode(encoding_of(data)), newline=None).read()
    except UnicodeDecodeError as cause:
        raise error(
            f"{path}: expected a text file in UTF-8, found other bytes at position {cause.start}; "
            "save it as UTF-8"
        ) from None
    if not text.strip():
        raise error(f"{path}: the {_kind(error)} is empty")
    return text


def unpacked(path: Path, *, error: type[MmadError] = AnnotationError) -> tuple[bytes, bool]:
    """The bytes of a file, without gzip, and whether it was packed so.

    Raises: ``error`` if the file is missing, cannot be read or unpacked.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise error(f"{path}: {_kind(error)} not found") from None
    except OSError as cause:
        raise error(f"{path}: cannot be read ({cause.strerror})") from None
    is_packed = data.startswith(_GZIP)
    if is_packed:
        with reading(path, expected="a packed text file", error=error):
            data = gunzip(path, error=error)
    return data, is_packed


def _kind(error: type[MmadError]) -> str:
    return "annotation file" if error is AnnotationError else "file"


def encoding_of(data: bytes) -> str:
    """UTF-16 if the bytes look so, else UTF-8, with or without a byte order mark."""
    if data.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    head = data[:2000]
    zeros = head[::2].count(0), head[1::2].count(0)
    if len(head) >= 16 and max(zeros) > len(head) // 5 and not min(zeros):
        return "utf-16-be" if zeros[0] else "utf-16-le"
    return "utf-8"


class RepeatedKeyDict(dict[str, Any]):
    """A JSON object that records which of its keys are repeated (the last value is kept)."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        seen: set[str] = set()
        self.repeated_keys: list[str] = []
        for key, _ in pairs:
            if key in seen:
                self.repeated_keys.append(key)
            seen.add(key)


def json_value(
    source: str | Path,
    text: str,
    *,
    error: type[MmadError] = AnnotationError,
    pairs: Callable[[list[tuple[str, Any]]], Any] | None = None,
) -> Any:
    """The value in a JSON text.

    Args:
        source: File, for messages.
        text: Content of the file.
        error: Type of the error to raise.
        pairs: Makes the objects; dictionaries by default.

    Raises: ``error`` if it is not JSON, with the place, or nested more than 64 deep.
    """
    depth = _json_depth(text)
    if depth > MAX_DEPTH:
        raise error(f"{source}: nested too deeply ({depth} levels, at most {MAX_DEPTH})")
    try:
        return json.loads(text, object_pairs_hook=pairs)
    except json.JSONDecodeError as cause:
        raise error(
            f"{source}: not valid JSON at line {cause.lineno}, column {cause.colno}: {cause.msg}; "
            "the file may be cut off"
        ) from None
    except ValueError as cause:
        raise error(f"{source}: not valid JSON: {cause!s:.100}") from None


_NOT_STRUCTURE = bytes(set(range(256)) - set(b'[]{}"'))


def _json_depth(text: str) -> int:
    """Maximum nesting of brackets outside strings.

    >>> _json_depth('[{"a": ["]]", 1]}]')
    3
    """
    content = text.encode("utf-8", "replace")
    if b"\\" in content:
        content = re.sub(rb"\\.", b"", content, flags=re.DOTALL)
    structure = content.translate(None, _NOT_STRUCTURE).replace(b'""', b"")
    brackets = np.frombuffer(re.sub(rb'"[^"]*"?', b"", structure), np.uint8)
    steps = np.where((brackets == ord("[")) | (brackets == ord("{")), np.int8(1), np.int8(-1))
    return int(np.cumsum(steps, dtype=np.int32).max(initial=0))


def parse_json(path: Path, text: str) -> RepeatedKeyDict:
    """The JSON object in ``text``; every object in it is a `RepeatedKeyDict`.

    Raises: AnnotationError as in `json_value`, or if it is not an object.
    """
    content = json_value(path, text, pairs=RepeatedKeyDict)
    if not isinstance(content, RepeatedKeyDict):
        raise AnnotationError(
            f"{path}: expected a JSON object with one entry per video, "
            f"found a {type(content).__name__}"
        )
    return content


def yaml_value(source: str | Path, text: str, *, error: type[MmadError]) -> Any:
    """The value in a YAML text of settings.

    Raises: ``error`` if it is not YAML, or, with its aliases expanded, larger or deeper than
    settings are.
    """
    if len(text) > MAX_SETTINGS_BYTES:
        raise error(
            f"{source}: {len(text):,} characters, at most {MAX_SETTINGS_BYTES:,}; not settings"
        )
    with reading(source, expected="settings in YAML", error=error):
        try:
            loader = yaml.SafeLoader(text)
            node = loader.get_single_node()
            size, depth = _extent(node, {})
            if size > MAX_SETTINGS or depth > MAX_DEPTH:
                raise error(
                    f"{source}: {size:,} values in {depth} levels with its aliases expanded, at "
                    f"most {MAX_SETTINGS:,} and {MAX_DEPTH}; not settings"
                )
            return None if node is None else loader.construct_document(node)
        except yaml.YAMLError as cause:
            raise error(f"{source}: not valid YAML: {cause}") from None


def _extent(node: Any, known: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """Number of values and levels below a YAML node, each alias counted as a copy."""
    if not isinstance(node, yaml.CollectionNode):
        return 1, 0
    if id(node) not in known:
        known[id(node)] = (MAX_SETTINGS + 1, 0)  # in case an alias leads back to its own anchor
        children = [
            part for item in node.value for part in (item if type(item) is tuple else [item])
        ]
        extents = [_extent(child, known) for child in children]
        size = 1 + sum(size for size, _ in extents)
        known[id(node)] = size, 1 + max((depth for _, depth in extents), default=0)
    return known[id(node)]


def parse_csv(path: Path, text: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header (lower case, stripped) and the rows of a CSV text, each row with its line number.

    Blank lines are skipped. Cells are separated by commas or, if the first line has none, by the
    semicolons or tabs in it, as spreadsheets of many countries write them.

    Raises: AnnotationError if the text cannot be split into columns.
    """
    rows = []
    first = text.lstrip().partition("\n")[0]
    separator = next((one for one in ",;\t" if one in first), ",")
    reader = csv.reader(io.StringIO(text), delimiter=separator, strict=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append((reader.line_num, [cell.strip() for cell in cells]))
    except csv.Error as error:
        raise AnnotationError(f"{path}: not valid CSV at line {reader.line_num}: {error}") from None
    if not rows:
        raise AnnotationError(f"{path}: expected a header and rows, found only empty cells")
    header = [cell.casefold() for cell in rows[0][1]]
    return header, rows[1:]


def wrong_width(header: Sequence[str], cells: Sequence[str]) -> str | None:
    """What is wrong with a row that has fewer cells than its header, or more that are not empty.

    >>> wrong_width(["from", "to"], ["nod", "left", "nodding"])
    'expected 2 cells, found 3'
    """
    if len(cells) >= len(header) and not any(cells[len(header) :]):
        return None
    return f"expected {len(header)} cells, found {len(cells)}"


def number_text(value: float) -> str:
    """A number as text: all its digits, and no decimal point if it is whole.

    >>> number_text(30.0), number_text(29.97)
    ('30', '29.97')
    """
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def header_names(text: str, delimiters: str = ",") -> list[str]:
    r"""The names in the first line of a table, without quotes and blanks around them.

    >>> header_names('"video_id", "class"\nv,9')
    ['video_id', 'class']
    """
    line = text.partition("\n")[0]
    return [name.strip(' "\r') for name in re.split(f"[{re.escape(delimiters)}]", line)]
