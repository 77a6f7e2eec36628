"""The classes that a run was trained on, as its labels.json holds them."""

from pathlib import Path

from pydantic import TypeAdapter

from mmad.config.base import validated
from mmad.errors import CheckpointError
from mmad.labels import LabelMap
from mmad.parsing import json_value, read_text

_LABELS = TypeAdapter(LabelMap)


def read_label_map(path: Path) -> LabelMap:
    """The classes in a labels.json.

    Raises: CheckpointError if the file is missing, or holds something else.
    """
    content = json_value(path, read_text(path, error=CheckpointError), error=CheckpointError)
    labels = validated(_LABELS, content, source=path, error=CheckpointError)
    if not len(labels):
        raise CheckpointError(f"{path}: expected the names of the classes, found none")
    return labels
