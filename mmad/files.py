"""Atomic writing of files, with the permissions of the umask, and checks beforehand.

Everything that mmad writes goes through `replaced`, so that a file is either complete or absent,
and a full disk gives the same message everywhere.
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
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from mmad.errors import OutputError

_PARTIAL = ".part"
_IS_WINDOWS = os.name == "nt"
_WAITS_SECONDS = (0.05, 0.1, 0.2, 0.4)
_UMASK = os.umask(0)
os.umask(_UMASK)
_DISK_ERRORS = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS),
    *(errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.ENOENT),
)
# The last is what Windows says of a name with characters that it does not allow.
_WRONG_PATH = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EINVAL)


def partial_path(path: Path) -> Path:
    """The hidden name beside ``path`` under which it is written until it is complete.

    It is short however long the name is, keeps the suffix, by which some libraries choose the
    format, and differs between processes that write the same file.
    """
    return path.with_name(f"{_partial_prefix(path)}{os.getpid()}{_PARTIAL}{path.suffix}")


def remove_partials(path: Path) -> None:
    """Remove what killed writers of ``path`` left; no other process may be writing to it."""
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
    """A temporary name to write to; it is renamed to ``path`` when the block ends.

    Until then readers see the old file, or none; after an exception the new one is removed. Parent
    folders are created, and permissions are those of the umask whichever library writes.

    Args:
        path: Path of the file.
        errors: Exceptions besides OSError that the writing library raises for a full disk.
        sync: Whether to wait until the content is on disk, so that it survives a loss of power.

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
            move(partial, target)
        finally:
            partial.unlink(missing_ok=True)
    except failures as error:
        raise cannot_write(target, error) from error


def move(partial: Path, target: Path) -> None:
    """Give a file that is complete its name, in place of an older one.

    Raises: OSError
    """
    patiently(lambda: os.replace(partial, target))


def patiently(action: Callable[[], object]) -> None:
    """Do something to a file that Windows refuses while another process has it open.

    A virus scanner opens each new file for a moment, so it is tried again for a second there.

    Raises: OSError
    """
    for seconds in (*_WAITS_SECONDS, None):
        try:
            action()
            return
        except PermissionError:
            if not _IS_WINDOWS or seconds is None:
                raise
            time.sleep(seconds)


@contextmanager
def replaced_folder(path: Path) -> Iterator[Path]:
    """A temporary folder to fill; it is renamed to ``path`` when the block ends, or else removed.

    Raises: OutputError if it cannot be written, or ``path`` exists and is not empty by then.
    """
    partial = partial_path(path)
    shutil.rmtree(partial, ignore_errors=True)
    make_folder(partial)
    try:
        yield partial
        try:
            with suppress(OSError):
                path.rmdir()  # Windows does not replace an empty folder.
            move(partial, path)
        except OSError as error:
            raise cannot_write(path, error) from None
    except OutputError as error:
        raise OutputError(str(error).replace(str(partial), str(path))) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def require_new(path: Path) -> None:
    """Raise OutputError if there is something at ``path``; an empty folder is nothing."""
    if path.exists() and not (path.is_dir() and next(path.iterdir(), None) is None):
        raise OutputError(f"{path}: exists already; choose another name")


def make_folder(path: Path) -> None:
    """Create the folder ``path`` and its parents unless it exists.

    Raises: OutputError if it cannot be created.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from None


def check_writable(folder: Path) -> None:
    """Check before long work that results can be written to ``folder``, which need not exist.

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

    Raises: OutputError if it cannot.
    """
    if path.is_dir():
        raise OutputError(f"{path}: is a folder; give the name of a file")
    check_writable(path.parent)


def sha256_of(path: Path) -> str:
    """SHA-256 of the bytes of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def path_from(folder: Path, path: Path) -> str | None:
    """``path`` as seen from ``folder``, with slashes, links of both followed.

    None if it has no such name: on Windows, from another drive.
    """
    with suppress(ValueError):
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    return None


def is_disk_error(error: Exception) -> bool:
    """Whether the error of writing one file will also occur with the next."""
    return getattr(error, "errno", None) in _DISK_ERRORS


def cannot_write(path: Path, error: Exception) -> OutputError:
    """The exception to raise when ``error`` prevented the writing of ``path``."""
    number = error.errno if isinstance(error, OSError) else None
    lines = str(error).strip().splitlines() or [type(error).__name__]
    reason = os.strerror(number) if number else lines[0][:120]
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        advice = "choose a folder with write permission"
        if _IS_WINDOWS:
            advice += ", or close the program that has this file open"
    elif number in _WRONG_PATH:
        advice = "choose another path"
    else:
        advice = "check the free space of that disk"
    return OutputError(f"{path}: cannot be written ({reason}); {advice}")


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write ``content`` to ``path`` atomically, as `replaced` does."""
    with replaced(path) as partial:
        partial.write_bytes(content)


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` in UTF-8 atomically, with escapes for what UTF-8 cannot represent."""
    write_bytes(path, text.encode(errors="backslashreplace"))


def write_json(path: str | Path, content: object) -> None:
    """Write ``content`` atomically as indented JSON, with null for NaN and infinity."""
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
