"""Files of `torch.save`, both forms, read by `mmad.weights.unpickling` instead of torch."""

import io
import mmap
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import torch
from torch import Tensor

from mmad.errors import CheckpointError
from mmad.limits import require_unpacked
from mmad.packed import require_small_zip
from mmad.weights.mapped import MappedFile, offset_in_zip
from mmad.weights.unpickling import Unpickler

# First pickle of the form that torch wrote before 1.6, and the version in its second.
_MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001


@dataclass(frozen=True)
class Pickled:
    """What a file holds.

    Attributes:
        content: Tensors and plain values; a `StandIn` for every other object.
        classes: Classes that stand-ins were made for, but those of Python.
        mapped: The file, if large tensors are views of it.
    """

    content: Any
    classes: tuple[str, ...]
    mapped: MappedFile | None = None


def read_pickled(path: Path) -> Pickled:
    """The content of a file of `torch.save`; nothing that it names is imported or called.

    Raises: CheckpointError if it claims more than its size allows; ForbiddenNameError if it asks
        for a function of Python that could run code; any other Exception if it is damaged.
    """
    with path.open("rb") as file:
        if file.read(2) == b"PK":
            require_small_zip(path, error=CheckpointError)
            with zipfile.ZipFile(file) as archive:
                return _read_zip(path, archive)
        # A mapped file never gives more bytes than it has, whatever length a pickle claims.
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            return _read_older(path, mapped)


class _Claims:
    """The bytes that the tensors of a file claim, all together."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stored = path.stat().st_size
        self.total = 0

    def add(self, claimed: int) -> None:
        self.total += claimed
        require_unpacked(self.path, self.total, stored_bytes=self.stored, error=CheckpointError)


def _read_zip(path: Path, archive: zipfile.ZipFile) -> Pickled:
    names = set(archive.namelist())
    root = next((name for name in archive.namelist() if name.endswith("data.pkl")), None)
    if root is None:
        raise ValueError("a zip without data.pkl")
    folder = root.removesuffix("data.pkl")
    order = archive.read(f"{folder}byteorder") if f"{folder}byteorder" in names else b"little"
    storages: dict[str, Tensor] = {}
    mapped = MappedFile(path) if order.decode() == sys.byteorder else None

    def storage(key: str, dtype: torch.dtype, elements: int) -> Tensor:
        if key not in storages:
            entry = archive.getinfo(f"{folder}data/{key}")
            offset = None if mapped is None else offset_in_zip(path, archive, entry)
            if mapped is not None and offset is not None:
                _require_size(entry.file_size, dtype, elements)
                storages[key] = mapped.numbers(offset, elements * dtype.itemsize, dtype)
            else:
                stored = bytearray(archive.read(entry))
                storages[key] = _numbers(stored, dtype, elements, order=order.decode())
        return storages[key].view(dtype)

    unpickler = Unpickler(storage, _Claims(path).add)
    content = unpickler.load(io.BytesIO(archive.read(root)))
    return Pickled(content, tuple(unpickler.names), mapped)


def _read_older(path: Path, mapped: mmap.mmap) -> Pickled:
    """One pickle after another: magic number, version, system, content, keys of storages; then,
    for each key, the number of elements in 8 bytes and the elements.
    """
    file = cast(IO[bytes], mapped)
    claims = _Claims(path)
    storages: dict[str, Tensor] = {}
    left = len(mapped)

    def storage(key: str, dtype: torch.dtype, elements: int) -> Tensor:
        nonlocal left
        if key not in storages:
            left -= elements * dtype.itemsize
            if left < 0:
                raise ValueError(f"storage {key} is longer than the file")
            storages[key] = torch.zeros(elements, dtype=dtype)
        return storages[key].view(dtype)

    def load() -> Pickled:
        unpickler = Unpickler(storage, claims.add)
        return Pickled(unpickler.load(file), tuple(unpickler.names))

    if load().content != _MAGIC or load().content != _VERSION:
        raise ValueError("not a file of torch.save")
    load()  # about the system that wrote it
    result = load()
    keys = load().content
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ValueError("a list of storages without their names")
    if set(keys) != set(storages):
        raise ValueError("other storages than its tensors need")
    for key in keys:
        values = storages[key]
        if int.from_bytes(mapped.read(8), "little") != len(values):
            raise ValueError(f"another length of storage {key}")
        stored = bytearray(mapped.read(len(values) * values.element_size()))
        values.copy_(_numbers(stored, values.dtype, len(values), order="little"))
    return result


def _require_size(num_bytes: int, dtype: torch.dtype, elements: int) -> None:
    if num_bytes < elements * dtype.itemsize:
        raise ValueError(f"{num_bytes} bytes for {elements} elements of {dtype}")


def _numbers(stored: bytearray, dtype: torch.dtype, elements: int, *, order: str) -> Tensor:
    size = elements * dtype.itemsize
    _require_size(len(stored), dtype, elements)
    if not elements:
        return torch.empty(0, dtype=dtype)
    numbers = torch.frombuffer(stored, dtype=torch.uint8, count=size)
    if order != sys.byteorder:
        numbers = numbers.view(-1, dtype.itemsize).flip(1).reshape(-1)
    return numbers.view(dtype)
