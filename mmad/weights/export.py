"""Export of weights in the format of Hugging Face's transformers."""

import json
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from mmad.checkpoint import save_tensors
from mmad.errors import CheckpointError
from mmad.files import write_text
from mmad.models.backbones.contract import Backbone


def write_hugging_face(
    folder: str | Path, backbone: Backbone, *, others: Mapping[str, Tensor] | None = None
) -> None:
    """Write ``config.json`` and ``model.safetensors``; ``others`` (a head) keep their names.

    Raises: CheckpointError if transformers has no such network.
    """
    folder, family = Path(folder), backbone.family
    if family.to_hugging_face is None:
        raise CheckpointError(
            f"transformers has no {family.title} to export this run to; pass --trained-only for "
            "what was trained, in mmad's naming"
        )
    config, tensors = family.to_hugging_face(backbone)
    save_tensors(folder / "model.safetensors", {**tensors, **(others or {})})
    write_text(folder / "config.json", json.dumps(config, indent=2) + "\n")
