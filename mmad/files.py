"""Reading and writing of files: text, JSON and CSV in, whole files out, safe names for ids.

Everything that mmad writes goes through `replaced`, so that a file either has its name and is whole
or is not there, and a full disk is one message wherever it is met.
"""

import csv
import errno
import hashlib
import io
import json
import math
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import yaml

from mmad.errors import AnnotationError, MmadError, OutputError
from mmad.limits import MAX_DEPTH, MAX_SETTINGS, MAX_SETTINGS_BYTES

_PARTIAL = ".part"
# File systems take 255 bytes; this leaves room for an ending and for `partial_path`.
_LONGEST_NAME_BYTES = 200
# Separators, control characters, what Windows refuses, the escape sign itself, and lone surrogates,
# which stand for bytes of a name that are not UTF-8.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|%\ud800-\udfff]')
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_UMASK = os.umask(0)
os.umask(_UMASK)
_DISK_ERRORS = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS),
    *(errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.ENOENT),
)
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


@contextmanager
def reading(
    source: str | Path, *, expected: str, error: type[MmadError] = AnnotationError
) -> Iterator[None]:
    """Turn whatever a library raises for bytes that are not of its format into ``error``.

    Args:
        source: file, for the message.
        expected: what the file should be, such as "a whole HDF5 file; extract the features again".
        error: what is raised.
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
    """The text of a UTF-8 file, without a byte order mark.

    Raises: ``error`` if the file is missing, is not text, or is empty.
    """
    kind = "annotation file" if error is AnnotationError else "file"
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise error(f"{path}: {kind} not found") from None
    except UnicodeDecodeError as cause:
        raise error(
            f"{path}: expected a text file in UTF-8, found other bytes at position {cause.start}"
        ) from None
    except OSError as cause:
        raise error(f"{path}: cannot be read ({cause.strerror})") from None
    if not text.strip():
        raise error(f"{path}: the {kind} is empty")
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


def json_value(
    source: str | Path,
    text: str,
    *,
    error: type[MmadError] = AnnotationError,
    pairs: Callable[[list[tuple[str, Any]]], Any] | None = None,
) -> Any:
    """The value in a JSON text.

    Args:
        source: file, for messages.
        text: its content.
        error: what is raised.
        pairs: makes the objects; dictionaries by default.

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
    """Deepest nesting of brackets outside of strings.

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

    Raises: AnnotationError as `json_value`, or if it is not an object.
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
    """Number of values below a YAML node, and levels, each alias counted as a copy."""
    if not isinstance(node, yaml.CollectionNode):
        return 1, 0
    if id(node) not in known:
        known[id(node)] = (MAX_SETTINGS + 1, 0)  # where an alias leads back to its own anchor
        children = [
            part for item in node.value for part in (item if type(item) is tuple else [item])
        ]
        extents = [_extent(child, known) for child in children]
        size = 1 + sum(size for size, _ in extents)
        known[id(node)] = size, 1 + max((depth for _, depth in extents), default=0)
    return known[id(node)]


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
    if not rows:
        raise AnnotationError(f"{path}: expected a header and rows, found only empty cells")
    header = [cell.casefold() for cell in rows[0][1]]
    return header, rows[1:]


def partial_path(path: Path) -> Path:
    """The hidden name beside ``path`` under which it is written until it is whole.

    It is short however long the name is, keeps the ending, by which some libraries choose the
    format, and differs between processes that write the same file.
    """
    return path.with_name(f"{_partial_prefix(path)}{os.getpid()}{_PARTIAL}{path.suffix}")


def remove_partials(path: Path) -> None:
    """Remove what killed writers of ``path`` left; no other process may be writing it."""
    for leftover in path.parent.glob(f"{_partial_prefix(path)}*{_PARTIAL}*"):
        leftover.unlink(missing_ok=True)


def remove_partials_in(folder: Path) -> None:
    """Remove what killed writers left in ``folder``; no other process may be writing to it."""
    for leftover in folder.glob(f".*{_PARTIAL}*") if folder.is_dir() else ():
        if re.match(rf"\.[0-9a-f]{{12}}\.\d+\{_PARTIAL}", leftover.name):
            leftover.unlink(missing_ok=True)


def _partial_prefix(path: Path) -> str:
    name = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:12]
    return f".{name}."


@contextmanager
def replaced(
    path: str | Path, *, errors: tuple[type[Exception], ...] = (), sync: bool = False
) -> Iterator[Path]:
    """The name under which to write a file that gets the name ``path`` when the block ends well.

    Until then readers see the old file, or none; after an exception the new one is removed. Folders
    on the way are made, and permissions are those of the umask whichever library writes.

    Args:
        path: the file.
        errors: what the library that writes raises for a full disk, besides OSError.
        sync: return only once the content is on the disk, so that it survives a loss of power.

    Raises: OutputError if the file cannot be written.
    """
    target = Path(path)
    partial = partial_path(target)
    failures: tuple[type[Exception], ...] = (OSError, *errors)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield partial
            partial.chmod(0o666 & ~_UMASK)
            if sync:
                with partial.open("r+b") as file:
                    os.fsync(file.fileno())
            os.replace(partial, target)
        finally:
            partial.unlink(missing_ok=True)
    except failures as error:
        raise cannot_write(target, error) from error


@contextmanager
def replaced_folder(path: Path) -> Iterator[Path]:
    """The folder to fill, which gets the name ``path`` when the block ends well, else is removed.

    Raises: OutputError if it cannot be written, or ``path`` is there and not empty by then.
    """
    partial = partial_path(path)
    shutil.rmtree(partial, ignore_errors=True)
    make_folder(partial)
    try:
        yield partial
        try:
            os.replace(partial, path)
        except OSError as error:
            raise cannot_write(path, error) from None
    except OutputError as error:
        raise OutputError(str(error).replace(str(partial), str(path))) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def make_folder(path: Path) -> None:
    """Make the folder ``path``, and those it lies in, unless it is there.

    Raises: OutputError if it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from None


def check_writable(folder: Path) -> None:
    """Check before long work that its results can be written to ``folder``, which need not exist.

    Raises: OutputError if not even a small file can be written there.
    """
    try:
        place = folder.absolute()
        while not place.exists():
            place = place.parent
        probe = partial_path(place / "probe")
        try:
            probe.write_bytes(bytes(4096))
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from None


def check_output_file(path: Path) -> None:
    """Check before long work that the file ``path`` can be written.

    Raises: OutputError if not.
    """
    if path.is_dir():
        raise OutputError(f"{path}: is a folder; give the name of a file")
    check_writable(path.parent)


def is_disk_error(error: Exception) -> bool:
    """Whether what kept a file from being written will keep the next one from it too."""
    return getattr(error, "errno", None) in _DISK_ERRORS


def cannot_write(path: Path, error: Exception) -> OutputError:
    """What to raise when ``error`` kept ``path`` from being written."""
    number = error.errno if isinstance(error, OSError) else None
    lines = str(error).strip().splitlines() or [type(error).__name__]
    reason = os.strerror(number) if number else lines[0][:120]
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        advice = "choose a folder that you may write to"
    elif number in (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG):
        advice = "choose another path"
    else:
        advice = "check the free space of that disk"
    return OutputError(f"{path}: cannot be written ({reason}); {advice}")


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write ``content`` to ``path``; as `replaced`."""
    with replaced(path) as partial:
        partial.write_bytes(content)


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` in UTF-8, and what UTF-8 cannot hold as escapes; as `replaced`."""
    write_bytes(path, text.encode(errors="backslashreplace"))


def write_json(path: str | Path, content: object) -> None:
    """Write ``content`` as indented JSON, with null for NaN and infinity; as `replaced`."""
    write_text(path, json.dumps(finite(content), indent=1, allow_nan=False) + "\n")


def finite(value: object) -> object:
    """``value`` with None for NaN and infinity, which JSON does not have, and lists for tuples.

    >>> finite({"map": (1.0, float("nan"))})
    {'map': [1.0, None]}
    """
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_csv(path: str | Path, *, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Write a CSV file with one header line; lines end in a newline character alone."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text(path, text.getvalue())


def safe_name(identifier: str) -> str:
    """A file name for a video or clip with this id: one part of a path, the same on every system.

    Different ids have different names. Letters, digits, spaces and most signs stay as they are;
    separators, control characters and what Windows refuses are percent-encoded, as are leading
    dots; a very long id is cut and told apart by a hash.

    >>> safe_name("P01 Müller"), safe_name("P01/cam1"), safe_name("../x")
    ('P01 Müller', 'P01%2Fcam1', '%2E.%2Fx')
    >>> len(safe_name("x" * 300).encode())
    200
    """
    name = _UNSAFE.sub(
        lambda match: quote(match.group(), safe="", errors="surrogatepass"), identifier
    )
    if name.startswith("."):
        name = "%2E" + name[1:]
    if name.endswith((".", " ")):
        name = name[:-1] + ("%2E" if name.endswith(".") else "%20")
    if _RESERVED.fullmatch(name) or not name:
        name = f"%{name}"
    encoded = name.encode(errors="replace")
    if len(encoded) > _LONGEST_NAME_BYTES:
        digest = hashlib.sha256(identifier.encode(errors="surrogatepass")).hexdigest()[:16]
        kept = encoded[: _LONGEST_NAME_BYTES - 17].decode(errors="ignore")
        name = f"{kept}-{digest}"
    return name


def problem_of_id(identifier: str) -> str | None:
    """What keeps ``identifier`` from being the id of a video or clip, or None.

    Folders in it are fine, unless they lead out of the folder of the videos.

    >>> problem_of_id("P01/cam 1.mp4") is None, problem_of_id("../x")
    (True, "leads out of its folder; expected a plain name without '..'")
    """
    if _CONTROL.search(identifier):
        return f"holds a control character ({identifier!a:.60}); expected a plain name"
    path = identifier.replace("\\", "/")
    if path.startswith("/") or ".." in path.split("/") or re.match(r"[A-Za-z]:/", path):
        return "leads out of its folder; expected a plain name without '..'"
    return None


def number_text(value: float) -> str:
    """A number for a text file: all its digits, and no decimal point if it is whole.

    >>> number_text(30.0), number_text(29.97)
    ('30', '29.97')
    """
    return str(int(value)) if float(value).is_integer() else repr(float(value))
