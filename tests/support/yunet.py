"""An ONNX file with the inputs and outputs of YuNet that finds bright cells of 32 pixels.

Written byte by byte, so that no test needs the ONNX package or a model from elsewhere.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

STRIDES = (8, 16, 32)
CELL = 32


def _varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, content: bytes | str) -> bytes:
    content = content.encode() if isinstance(content, str) else content
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _tensor(name: str, array: np.ndarray) -> bytes:
    kind = 1 if array.dtype == np.float32 else 7
    dims = b"".join(_number(1, size) for size in array.shape)
    return dims + _number(2, kind) + _bytes(8, name) + _bytes(9, array.tobytes())


def _ints(name: str, values: Sequence[int]) -> bytes:
    listed = b"".join(_number(8, value) for value in values)
    return _bytes(5, _bytes(1, name) + listed + _number(20, 7))


def _node(kind: str, inputs: Sequence[str], output: str, *attributes: bytes) -> bytes:
    names = b"".join(_bytes(1, name) for name in inputs)
    return _bytes(1, names + _bytes(2, output) + _bytes(4, kind) + b"".join(attributes))


def _value(field: int, name: str, shape: Sequence[int]) -> bytes:
    dims = b"".join(_bytes(1, _number(1, size)) for size in shape)
    return _bytes(field, _bytes(1, name) + _bytes(2, _bytes(1, _number(1, 1) + _bytes(2, dims))))


def write_yunet(path: Path, *, side: int = 64, outputs: int = 12) -> Path:
    """Write the model: a cell is a face, with its brightness, 0 to 1, as the score.

    Args:
        path: Path of the file.
        side: Pixels of the sides of the image that the file states.
        outputs: Number of outputs; with fewer than 12 it is no face detector.
    """
    nodes, tensors, ends = b"", b"", b""
    widths = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
    names = [(kind, stride) for kind in widths for stride in STRIDES][:outputs]
    for kind, stride in names:
        name, width = f"{kind}_{stride}", widths[kind]
        scored = kind in ("cls", "obj") and stride == CELL
        value = 1 / (3 * stride**2 * 255) if scored else 0.0
        weight = np.full((width, 3, stride, stride), value, np.float32)
        bias = np.zeros(width, np.float32)
        if kind == "bbox":
            bias[:2] = 0.5  # the middle of the cell; its size is exp(0) times the stride
        tensors += _bytes(5, _tensor(f"w_{name}", weight)) + _bytes(5, _tensor(f"b_{name}", bias))
        tensors += _bytes(5, _tensor(f"s_{name}", np.array([1, -1, width], np.int64)))
        sizes = [_ints(key, (stride, stride)) for key in ("kernel_shape", "strides")]
        nodes += _node("Conv", ("input", f"w_{name}", f"b_{name}"), f"c_{name}", *sizes)
        nodes += _node("Transpose", (f"c_{name}",), f"t_{name}", _ints("perm", (0, 2, 3, 1)))
        nodes += _node("Reshape", (f"t_{name}", f"s_{name}"), name)
        ends += _value(12, name, (1, (side // stride) ** 2, width))
    graph = nodes + _bytes(2, "g") + tensors + _value(11, "input", (1, 3, side, side)) + ends
    path.write_bytes(_number(1, 8) + _bytes(7, graph) + _bytes(8, _number(2, 13)))
    return path
