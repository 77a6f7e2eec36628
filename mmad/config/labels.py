"""Reading labels.json, the label set of a run."""

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from mmad.config.base import validated
from mmad.errors import CheckpointError, MmadError
from mmad.labels import LabelMap
from mmad.parsing import json_value, read_text

_LABELS = TypeAdapter(LabelMap)


def read_label_map(path: Path, *, error: type[MmadError] = CheckpointError) -> LabelMap:
    """The label set in a labels.json.

    Raises: ``error`` if the file is missing or contains something else.
    """
    content = json_value(path, read_text(path, error=error), error=error)
    return label_map(content, source=path, error=error)


def label_map(content: Any, *, source: str | Path, error: type[MmadError]) -> LabelMap:
    """The label set in the content of a labels.json.

    Raises: ``error`` if it is something else.
    """
    labels = validated(_LABELS, content, source=source, error=error)
    if not len(labels):
        raise error(f"{source}: expected the names of the classes, found none")
    return labels
