"""An ONNX file with the inputs and outputs of YuNet that finds bright cells of 32 pixels."""

from pathlib import Path

import numpy as np

from support.onnx_files import content, ints, node, tensor, value, write_model

STRIDES = (8, 16, 32)
CELL = 32


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
        share = 1 / (3 * stride**2 * 255) if scored else 0.0
        weight = np.full((width, 3, stride, stride), share, np.float32)
        bias = np.zeros(width, np.float32)
        if kind == "bbox":
            bias[:2] = 0.5  # the middle of the cell; its size is exp(0) times the stride
        tensors += content(5, tensor(f"w_{name}", weight)) + content(5, tensor(f"b_{name}", bias))
        tensors += content(5, tensor(f"s_{name}", np.array([1, -1, width], np.int64)))
        sizes = [ints(key, (stride, stride)) for key in ("kernel_shape", "strides")]
        nodes += node("Conv", ("input", f"w_{name}", f"b_{name}"), f"c_{name}", *sizes)
        nodes += node("Transpose", (f"c_{name}",), f"t_{name}", ints("perm", (0, 2, 3, 1)))
        nodes += node("Reshape", (f"t_{name}", f"s_{name}"), name)
        ends += value(12, name, (1, (side // stride) ** 2, width))
    return write_model(path, nodes, tensors, image=(1, 3, side, side), ends=ends)
