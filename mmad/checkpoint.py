"""Weights on disk: safetensors, written whole or not at all, loaded with every key accounted for.

No file is ever unpickled: `torch.load` runs with ``weights_only=True``.
"""

import hashlib
import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from mmad.errors import CheckpointError

SHIPPED_WEIGHTS = Path(__file__).resolve().parent / "assets"


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
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    whole = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    save_file(whole, str(partial), metadata={"format": "pt", **(metadata or {})})
    os.replace(partial, path)


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
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    with partial.open("wb") as file:
        torch.save(dict(content), file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


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
            f"{source}: does not fit this model; unknown: {_few(unknown)}; shapes: {_few(wrong)}"
        )
    with torch.no_grad():
        for name, value in state.items():
            own[name].copy_(value)


@dataclass(frozen=True)
class LoadReport:
    """What became of the weights of a backbone: names of each kind, and the hash of the file."""

    source: str
    matched: tuple[str, ...]
    ignored: tuple[str, ...]
    file_sha256: str

    def __str__(self) -> str:
        return (
            f"{self.source}: {len(self.matched)} tensors loaded, {len(self.ignored)} "
            "ignored on purpose "
            f"({_few(self.ignored)}), none missing or unexpected; sha256 {self.file_sha256[:12]}"
        )


# Parts of pre-trained files that a backbone does not have, ignored on purpose.
_NOT_BACKBONE = ("head.", "decoder.", "mask_token", "encoder_to_decoder.", "fc_norm.")


def find_weights(name: str) -> Path:
    """The file itself, or the shipped one of that name.

    Raises: CheckpointError that says how to get weights, if there is none.
    """
    for path in (Path(name), SHIPPED_WEIGHTS / name):
        if path.is_file():
            return path
    shipped = ", ".join(sorted(file.name for file in SHIPPED_WEIGHTS.glob("*.safetensors")))
    raise CheckpointError(
        f"backbone.pretrained: {name}: there is no such file. Pretrained VideoMAE weights "
        "are not shipped: "
        "get them from their authors (see docs/weights.md), give the path of the file, or "
        "train from random weights with "
        f"backbone.pretrained=null. Shipped: {shipped or 'none'}"
    )


def load_backbone(backbone: nn.Module, name: str) -> LoadReport:
    """Fill the backbone from a safetensors file in the official VideoMAE naming; adapters keep
    their new weights.

    Raises: CheckpointError if a tensor is missing, unexpected or of another shape.
    """
    path = find_weights(name)
    tensors, _ = load_tensors(path)
    tensors = {key.removeprefix("encoder."): value.float() for key, value in tensors.items()}
    own = [key for key in backbone.state_dict() if ".adapter." not in key]
    ignored = [key for key in tensors if key not in own and key.startswith(_NOT_BACKBONE)]
    if "norm.weight" not in own:
        ignored += [key for key in tensors if key.startswith("norm.")]
    missing = sorted(set(own) - set(tensors))
    unexpected = sorted(set(tensors) - set(own) - set(ignored))
    if missing or unexpected:
        raise CheckpointError(
            f"{path}: does not fit the backbone; missing: {_few(missing)}; unexpected: "
            f"{_few(unexpected)}"
        )
    load_exactly(backbone, {key: tensors[key] for key in own}, source=str(path))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return LoadReport(str(path), tuple(own), tuple(sorted(ignored)), digest)


def _few(names: list[str] | tuple[str, ...]) -> str:
    shown = ", ".join(names[:4]) or "none"
    return shown + (f" and {len(names) - 4} more" if len(names) > 4 else "")
