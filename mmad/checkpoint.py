"""Weights on disk: safetensors, written whole or not at all, loaded with every key accounted for.

No file is ever unpickled: `torch.load` runs with ``weights_only=True``.
"""

import hashlib
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from mmad.errors import CheckpointError
from mmad.files import replaced


def trainable_state(model: nn.Module) -> dict[str, Tensor]:
    """The parameters that are trained, by name."""
    return {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}


def frozen_state(model: nn.Module) -> dict[str, Tensor]:
    """Everything else that the model's state holds, by name."""
    trained = trainable_state(model)
    return {name: value for name, value in model.state_dict().items() if name not in trained}


def hash_state(state: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and values.

    The same for the same weights, whatever their order.
    """
    digest = hashlib.sha256()
    for name in sorted(state):
        value = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(
            value.reshape(-1).view(torch.uint8).numpy().tobytes() if value.numel() else b""
        )
    return digest.hexdigest()


def save_tensors(
    path: str | Path, state: Mapping[str, Tensor], *, metadata: Mapping[str, str] | None = None
) -> None:
    """Write a safetensors file; it has its name only once it is whole."""
    whole = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    with replaced(path, errors=(SafetensorError,)) as partial:
        save_file(whole, str(partial), metadata={"format": "pt", **(metadata or {})})


def load_tensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file.

    Raises: CheckpointError if it is missing or damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such file of weights")
    try:
        with safe_open(str(path), framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, dict(file.metadata() or {})
    except SafetensorError as error:
        raise CheckpointError(f"{path}: not a whole safetensors file ({error})") from None


def save_state(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write what is needed to resume; it has its name only once it is whole and on the disk."""
    with (
        replaced(path, errors=(RuntimeError,), sync=True) as partial,
        partial.open("wb") as file,
    ):
        torch.save(dict(content), file)


def load_state(path: str | Path) -> dict[str, Any]:
    """What `save_state` wrote.

    Raises: CheckpointError if it is damaged or holds more than tensors and plain values.
    """
    try:
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise CheckpointError(f"{path}: cannot be read ({error!s:.120})") from None


def load_exactly(model: nn.Module, state: Mapping[str, Tensor], *, source: str) -> None:
    """Copy ``state`` into the tensors of ``model`` that it names.

    Raises: CheckpointError if it names something the model lacks or of another shape.
    """
    own = model.state_dict()
    unknown = sorted(set(state) - set(own))
    wrong = [
        f"{name} {tuple(value.shape)} for {tuple(own[name].shape)}"
        for name, value in state.items()
        if name in own and value.shape != own[name].shape
    ]
    if unknown or wrong:
        raise CheckpointError(
            f"{source}: does not fit this model; unknown: {few(unknown)}; shapes: {few(wrong)}"
        )
    with torch.no_grad():
        for name, value in state.items():
            own[name].copy_(value)


def few(names: Sequence[str]) -> str:
    """The first of many names, and how many more there are."""
    shown = ", ".join(names[:4]) or "none"
    return shown + (f" and {len(names) - 4} more" if len(names) > 4 else "")
