"""An ONNX file with the input and output of YOLOX that finds white cells of 32 pixels."""

from pathlib import Path

import numpy as np

from support.onnx_files import content, ints, node, number, tensor, value, write_model

SIDE, CELL = 640, 32
_CELLS = (SIDE // CELL) ** 2
# Cells of 8 and 16 pixels come first, in which nothing is found.
_EMPTY = sum((SIDE // stride) ** 2 for stride in (8, 16))


def write_yolox(path: Path, *, classes: int = 80) -> Path:
    """Write the model: a cell is a person, whose score is the square of its brightness, 0 to 1."""
    columns = 5 + classes
    weight = np.zeros((columns, 3, CELL, CELL), np.float32)
    weight[[4, 5]] = 1 / (3 * CELL**2 * 255)  # anything at all, and that it is a person
    bias = np.zeros(columns, np.float32)
    bias[:2] = 0.5  # the middle of the cell; its size is exp(0) times the stride
    sizes = [ints(key, (CELL, CELL)) for key in ("kernel_shape", "strides")]
    tensors = b"".join(
        content(5, tensor(name, array))
        for name, array in (
            ("w", weight),
            ("b", bias),
            ("s", np.array([1, _CELLS, columns], np.int64)),
            ("e", np.zeros((1, _EMPTY, columns), np.float32)),
        )
    )
    nodes = node("Conv", ("input", "w", "b"), "c", *sizes)
    nodes += node("Transpose", ("c",), "t", ints("perm", (0, 2, 3, 1)))
    nodes += node("Reshape", ("t", "s"), "r")
    axis = content(5, content(1, "axis") + number(3, 1) + number(20, 2))
    nodes += node("Concat", ("e", "r"), "output", axis)
    ends = value(12, "output", (1, _EMPTY + _CELLS, columns))
    return write_model(path, nodes, tensors, image=(1, 3, SIDE, SIDE), ends=ends)
