"""Micro-action detection and recognition in videos.

>>> import mmad
>>> mmad.MA52.title(9)
'B1 nodding'
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmad.api.error_analysis import error_analysis
    from mmad.api.files import read_annotations, read_predictions, write_predictions
    from mmad.api.model import Model, load
    from mmad.api.results import Detections, Recognition, RecognizedEmotion
    from mmad.api.scores import Scores, evaluate
    from mmad.api.stream import Stream
    from mmad.api.tables import to_frame
    from mmad.api.training import Run, train
    from mmad.errors import Cancelled, MmadError, MmadWarning
    from mmad.labels import MA52, LabelMap
    from mmad.structures import Annotations, VideoRecord

__version__ = "0.1.0"

# Where each public name is; it is imported when it is first used, so that importing mmad is quick.
_PLACES = {
    "load": "api.model",
    "Model": "api.model",
    "Detections": "api.results",
    "Recognition": "api.results",
    "RecognizedEmotion": "api.results",
    "evaluate": "api.scores",
    "error_analysis": "api.error_analysis",
    "Scores": "api.scores",
    "read_annotations": "api.files",
    "read_predictions": "api.files",
    "write_predictions": "api.files",
    "Stream": "api.stream",
    "to_frame": "api.tables",
    "train": "api.training",
    "Run": "api.training",
    "LabelMap": "labels",
    "MA52": "labels",
    "VideoRecord": "structures",
    "Annotations": "structures",
    "MmadError": "errors",
    "MmadWarning": "errors",
    "Cancelled": "errors",
}
__all__ = [
    "MA52",
    "Annotations",
    "Cancelled",
    "Detections",
    "LabelMap",
    "MmadError",
    "MmadWarning",
    "Model",
    "Recognition",
    "RecognizedEmotion",
    "Run",
    "Scores",
    "Stream",
    "VideoRecord",
    "__version__",
    "error_analysis",
    "evaluate",
    "load",
    "read_annotations",
    "read_predictions",
    "to_frame",
    "train",
    "write_predictions",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'mmad' has no attribute '{name}'")
    value = getattr(importlib.import_module(f"mmad.{_PLACES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
