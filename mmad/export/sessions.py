"""ONNX files run by onnxruntime."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmad.errors import ExportError
from mmad.export.packages import package

_ON_GPU = "CUDAExecutionProvider"


def first_line(error: Exception) -> str:
    """The first sentence of an error of a library, without its codes."""
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return text.rpartition(" : ")[2][:300]


class Session:
    """A file that onnxruntime runs with as many threads as torch.

    Args:
        path: ONNX file.
        device: Where to compute.

    Raises: ExportError if the file cannot be loaded, or onnxruntime has no such device.
    """

    def __init__(self, path: Path, *, device: torch.device | None = None) -> None:
        runtime = package("onnxruntime")
        on_gpu = device is not None and device.type == "cuda"
        if on_gpu and _ON_GPU not in runtime.get_available_providers():
            raise ExportError(
                f"{path}: this onnxruntime has no CUDA; pass --device cpu, or: pip uninstall "
                "onnxruntime; pip install onnxruntime-gpu"
            )
        if not path.is_file():
            raise ExportError(f"{path}: there is no such file")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        # Threads that wait otherwise keep the processors from all other work.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 4  # what fails is raised
        providers: list[Any] = ["CPUExecutionProvider"]
        if on_gpu and device is not None:
            providers.insert(0, (_ON_GPU, {"device_id": device.index or 0}))
        try:
            self._session = runtime.InferenceSession(str(path), options, providers=providers)
        except Exception as error:  # of a module of its own, with no common base
            raise ExportError(
                f"{path}: onnxruntime {runtime.__version__} cannot load it ({first_line(error)}); "
                "if it is an ONNX file of a newer opset, update onnxruntime"
            ) from None
        self.path = path
        self.inputs = [value.name for value in self._session.get_inputs()]
        self.outputs = [value.name for value in self._session.get_outputs()]

    @property
    def metadata(self) -> Mapping[str, str]:
        """What the file says of itself."""
        return self._session.get_modelmeta().custom_metadata_map

    def __call__(self, *inputs: Tensor) -> dict[str, NDArray[Any]]:
        """The outputs by name.

        Raises: ExportError with the node at which it failed.
        """
        given = {
            name: np.ascontiguousarray(value.cpu().numpy())
            for name, value in zip(self.inputs, inputs, strict=True)
        }
        try:
            return dict(zip(self.outputs, self._session.run(None, given), strict=True))
        except Exception as error:  # as above
            raise ExportError(f"{self.path}: onnxruntime: {first_line(error)}") from None
