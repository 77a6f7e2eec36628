"""Tensors that are views of a file: what is read of it need not stay in memory.

A network of a billion parameters then takes the memory of its own parameters, and the file beside
it that of one tensor.
"""

import json
import mmap
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from mmad.checkpoint import load_tensors
from mmad.errors import CheckpointError
from mmad.parsing import reading

# Smaller ones are copied: not worth a mapping.
LEAST_MAPPED = 2**20
_CHUNK = 2**20
_LOCAL_HEADER, _NAME_LENGTH = 30, 26
_DTYPES: Mapping[str, torch.dtype] = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


class MappedFile:
    """The bytes of a file as a tensor; the system reads them when they are used.

    Args:
        path: A file that is not empty.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            # Private: what is written to a tensor never reaches the file.
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        self._address = torch.frombuffer(self._map, dtype=torch.uint8, count=1).data_ptr()

    def numbers(self, offset: int, num_bytes: int, dtype: torch.dtype) -> Tensor:
        """The numbers at ``offset``, as a view with a storage of just these bytes."""
        if not num_bytes:
            return torch.empty(0, dtype=dtype)
        if offset < 0 or offset + num_bytes > len(self._map):
            raise ValueError(f"{num_bytes} bytes at {offset} of {len(self._map)}")
        found = torch.frombuffer(self._map, dtype=torch.uint8, offset=offset, count=num_bytes)
        return (found.clone() if offset % dtype.itemsize else found).view(dtype)

    def release(self, tensor: Tensor) -> None:
        """Give back the memory of a tensor that is a view; it is read again if it is used again."""
        first = tensor.data_ptr() - self._address
        last = first + tensor.numel() * tensor.element_size()
        if not (first >= 0 and last <= len(self._map) and tensor.is_contiguous()):
            return
        page = mmap.PAGESIZE
        first, last = -(-first // page) * page, last // page * page
        if last > first and hasattr(self._map, "madvise"):
            self._map.madvise(mmap.MADV_DONTNEED, first, last - first)


def map_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str], MappedFile | None]:
    """Tensors and metadata of a safetensors file, and the file that they are views of.

    Raises: CheckpointError if it is missing or damaged.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such file of weights")
    with (
        # Opening it checks that the header and the extents of all tensors fit the file.
        reading(path, expected="a complete safetensors file", error=CheckpointError),
        safe_open(str(path), framework="pt"),
        path.open("rb") as file,
    ):
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    metadata = header.pop("__metadata__", {})
    if not header or any(entry["dtype"] not in _DTYPES for entry in header.values()):
        return *load_tensors(path), None
    mapped = MappedFile(path)
    tensors = {}
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        numbers = mapped.numbers(8 + length + first, last - first, _DTYPES[entry["dtype"]])
        tensors[name] = numbers.view(entry["shape"])
    return tensors, metadata, mapped


def offset_in_zip(path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> int | None:
    """Where the bytes of an entry begin in the file; None if they are compressed or few.

    Raises: BadZipFile if they differ from their checksum.
    """
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size < LEAST_MAPPED:
        return None
    with archive.open(entry) as content:  # which compares the checksum at the end
        while content.read(_CHUNK):
            pass
    with path.open("rb") as file:
        file.seek(entry.header_offset)
        header = file.read(_LOCAL_HEADER)
    lengths = header[_NAME_LENGTH:]
    return (
        entry.header_offset
        + _LOCAL_HEADER
        + int.from_bytes(lengths[:2], "little")
        + int.from_bytes(lengths[2:4], "little")
    )
