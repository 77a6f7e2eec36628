"""Reading compressed files and NumPy files within the limits of `mmad.limits`."""

import gzip
import math
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from mmad.errors import MmadError
from mmad.limits import allowed_bytes, require_unpacked


def gunzip(path: Path, *, error: type[MmadError]) -> bytes:
    """The unpacked content of a gzip file.

    Raises: ``error`` if it is larger than allowed; what gzip raises if it is damaged.
    """
    stored = path.stat().st_size
    with gzip.open(path) as file:
        content = file.read(allowed_bytes(stored) + 1)
    require_unpacked(path, len(content), stored_bytes=stored, error=error)
    return content


def require_small_zip(path: Path, *, error: type[MmadError]) -> None:
    """Raise ``error`` if the entries of a zip are together larger than allowed."""
    with zipfile.ZipFile(path) as archive:
        total = sum(entry.file_size for entry in archive.infolist())
    require_unpacked(path, total, stored_bytes=path.stat().st_size, error=error)


def read_npz(
    path: Path,
    *,
    error: type[MmadError],
    wanted: Callable[[str], bool] = lambda name: True,
) -> dict[str, NDArray]:
    """The arrays of an .npz with the names ``wanted``; pickled objects are refused.

    Raises: ``error`` if it is larger than allowed; what zipfile and NumPy raise if it is damaged.
    """
    require_small_zip(path, error=error)
    arrays: dict[str, NDArray] = {}
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            name = entry.filename.removesuffix(".npy")
            if name != entry.filename and wanted(name):
                with archive.open(entry) as file:
                    _require_whole(file, num_bytes=entry.file_size)
                with archive.open(entry) as file:
                    array = np.lib.format.read_array(file, allow_pickle=False)
                if array.dtype.kind == "U":
                    _require_characters(array)
                arrays[name] = array
    return arrays


def _require_characters(array: NDArray) -> None:
    """Raise ValueError if a text contains a number beyond Unicode, which NumPy does not check."""
    native = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("=")))
    if native.nbytes and native.view(np.uint32).max() > sys.maxunicode:
        raise ValueError("its text contains numbers that are not characters")


def _require_whole(file: IO[bytes], *, num_bytes: int) -> None:
    """Raise ValueError if the array in ``file`` claims to be larger than ``num_bytes``."""
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"version {version} of the array format is not known")
    read = np.lib.format.read_array_header_1_0
    if version == (2, 0):
        read = np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    claimed = math.prod(shape) * dtype.itemsize
    if claimed > num_bytes or min(shape, default=0) < 0:
        raise ValueError(f"an array of shape {shape} does not fit in {num_bytes} bytes")
