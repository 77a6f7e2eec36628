"""ONNX files written byte by byte, so that no test needs the ONNX package or a model from
elsewhere.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np


def varint(left: int) -> bytes:
    out = b""
    while left > 127:
        out += bytes([left & 127 | 128])
        left >>= 7
    return out + bytes([left])


def number(field: int, given: int) -> bytes:
    return varint(field << 3) + varint(given)


def content(field: int, given: bytes | str) -> bytes:
    given = given.encode() if isinstance(given, str) else given
    return varint(field << 3 | 2) + varint(len(given)) + given


def tensor(name: str, array: np.ndarray) -> bytes:
    kind = 1 if array.dtype == np.float32 else 7
    dims = b"".join(number(1, size) for size in array.shape)
    return dims + number(2, kind) + content(8, name) + content(9, array.tobytes())


def ints(name: str, values: Sequence[int]) -> bytes:
    listed = b"".join(number(8, one) for one in values)
    return content(5, content(1, name) + listed + number(20, 7))


def node(kind: str, inputs: Sequence[str], output: str, *attributes: bytes) -> bytes:
    names = b"".join(content(1, name) for name in inputs)
    return content(1, names + content(2, output) + content(4, kind) + b"".join(attributes))


def value(field: int, name: str, shape: Sequence[int]) -> bytes:
    dims = b"".join(content(1, number(1, size)) for size in shape)
    return content(
        field, content(1, name) + content(2, content(1, number(1, 1) + content(2, dims)))
    )


def write_model(
    path: Path, nodes: bytes, tensors: bytes, *, image: Sequence[int], ends: bytes
) -> Path:
    """Write the graph of these nodes and constants, from ``input`` to ``ends``."""
    graph = nodes + content(2, "g") + tensors + value(11, "input", image) + ends
    path.write_bytes(number(1, 8) + content(7, graph) + content(8, number(2, 13)))
    return path
