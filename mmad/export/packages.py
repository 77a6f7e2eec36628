"""The optional packages of export, found when they are needed."""

import importlib
from types import ModuleType

from mmad.errors import ExportError

# Set for both writer and reader: of this version every runtime of the last years has all operators.
OPSET = 17


def package(name: str) -> ModuleType:
    """The package of this name.

    Raises: ExportError if it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ExportError(
            f"ONNX files need the package {name.partition('.')[0]}, which is not installed: "
            "pip install 'mmad[export]'"
        ) from None
