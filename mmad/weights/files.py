"""Checkpoint files of any project, read without running any code in them."""

import argparse
import codecs
import hashlib
import pickle
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, TypeAdapter
from torch import Tensor

from mmad.checkpoint import load_pickled, load_tensors
from mmad.config.base import validated
from mmad.errors import CheckpointError
from mmad.names import safe_name
from mmad.parsing import json_value, read_text

# Harmless content of official checkpoints besides tensors: settings of a training, NumPy numbers
# and the classes that they are pickled with.
_NUMPY_SCALAR = np.float64(0).__reduce__()[0]
_NUMPY_ARRAY = np.zeros(0).__reduce__()[0]
INERT_TYPES: tuple[Any, ...] = (
    argparse.Namespace,
    np.dtype,
    np.ndarray,
    *(type(np.dtype(name)) for name in ("f8", "f4", "f2", "i8", "i4", "i2", "u8", "u4", "u1", "?")),
    (_NUMPY_SCALAR, "numpy.core.multiarray.scalar"),
    (_NUMPY_SCALAR, "numpy._core.multiarray.scalar"),
    (_NUMPY_ARRAY, "numpy.core.multiarray._reconstruct"),
    (_NUMPY_ARRAY, "numpy._core.multiarray._reconstruct"),
    codecs.encode,
)
# Keys under which a checkpoint keeps its weights, by preference: averaged ones first.
AVERAGED = ("state_dict_ema", "model_ema")
CURRENT = ("state_dict", "module", "model", "model_state")
_FOLDER_FILES = (
    *("model.safetensors", "model.safetensors.index.json"),
    *("pytorch_model.bin", "pytorch_model.bin.index.json"),
)


class _Index(BaseModel):
    """The index of a sharded model: the file of each tensor."""

    weight_map: dict[str, str]


_INDEX = TypeAdapter(_Index)


@dataclass(frozen=True)
class WeightFile:
    """The tensors of one file, or of the shards of one model.

    Attributes:
        source: Path, for messages.
        tensors: Tensors by their names in the file, without the ``module.`` of wrapped models.
        container: Key that they were under, such as "state_dict_ema".
        sha256: Hash of the bytes of the file (of its concatenated shards).
        metadata: Metadata of a safetensors file.
        other: Other keys of the file, such as "optimizer".
    """

    source: str
    tensors: Mapping[str, Tensor]
    container: str
    sha256: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    other: tuple[str, ...] = ()


def read_weights(path: str | Path, *, averaged: bool = True) -> WeightFile:
    """The weights in a file (.safetensors, .pth, .pt, .bin, .pth.tar) or a Hugging Face folder.

    Args:
        path: File or folder.
        averaged: Take the moving average of the weights if the file holds both.

    Raises: CheckpointError if there is no such file, it is damaged or holds no weights, or it holds
        more than weights and plain values; none of it is executed.
    """
    path = Path(path)
    files = _files_of(path)
    digest = hashlib.sha256()
    tensors: dict[str, Tensor] = {}
    metadata: dict[str, str] = {}
    container = "safetensors"
    other: tuple[str, ...] = ()
    for file in files:
        digest.update(file.read_bytes())
        if file.suffix == ".safetensors":
            found, information = load_tensors(file)
            metadata |= information
        else:
            found, container, other = _choose(file, _read_pickle(file), averaged=averaged)
        tensors |= found
    if not tensors:
        raise CheckpointError(f"{path}: holds no weights")
    wrapped = all(name.startswith("module.") for name in tensors)
    if wrapped:
        tensors = {name.removeprefix("module."): value for name, value in tensors.items()}
    return WeightFile(str(path), tensors, container, digest.hexdigest(), metadata, other)


def _files_of(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise CheckpointError(f"{path}: there is no such file of weights")
    for name in _FOLDER_FILES:
        file = path / name
        if not file.is_file():
            continue
        if file.suffix != ".json":
            return [file]
        content = json_value(file, read_text(file, error=CheckpointError), error=CheckpointError)
        index = validated(_INDEX, content, source=file, error=CheckpointError)
        parts = sorted(set(index.weight_map.values()))
        outside = [part for part in parts if safe_name(part) != part]
        if outside:
            raise CheckpointError(
                f"{file}: names {outside[0]!r:.80}; expected the shards of the model by their "
                "names in this folder"
            )
        missing = [part for part in parts if not (path / part).is_file()]
        if missing:
            raise CheckpointError(
                f"{path}: {missing[0]} is missing ({len(missing)} of {len(parts)} shards); "
                "download the whole folder"
            )
        return [path / part for part in parts]
    raise CheckpointError(f"{path}: a folder without {' or '.join(_FOLDER_FILES[::2])}")


def _read_pickle(path: Path) -> Any:
    try:
        with torch.serialization.safe_globals(list(INERT_TYPES)), warnings.catch_warnings():
            # They are about pickle protocols; real problems are reported below.
            warnings.simplefilter("ignore")
            return load_pickled(path, error=CheckpointError)
    except CheckpointError:
        raise
    except pickle.UnpicklingError as error:
        if needed := re.search(r"GLOBAL ([\w.]+)", str(error)):
            raise CheckpointError(
                f"{path}: holds more than weights ({needed[1]}), which could run code when it is "
                "read; nothing was read or run. Ask its authors for a safetensors file, or save "
                "its state_dict alone where you trust it"
            ) from None
        raise CheckpointError(f"{path}: not a file of weights, or cut off") from None
    except Exception as error:  # bytes that are not a pickle can raise anything
        reason = str(error).split("\n")[0]
        raise CheckpointError(
            f"{path}: not a file of weights, or cut off ({reason:.100}); download it again"
        ) from None


def _choose(
    path: Path, content: Any, *, averaged: bool
) -> tuple[dict[str, Tensor], str, tuple[str, ...]]:
    """The tensors of a checkpoint, the key they were under, and the other keys."""
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path}: holds a {type(content).__name__}, not named weights")
    order = AVERAGED + CURRENT if averaged else CURRENT + AVERAGED
    for key in order:
        inner = content.get(key)
        if isinstance(inner, Mapping) and _tensors_in(inner):
            other = tuple(sorted(str(name) for name in content if name != key))
            return _tensors_in(inner), key, other
    found = _tensors_in(content)
    if not found:
        raise CheckpointError(
            f"{path}: holds no weights; found {', '.join(map(str, content)) or 'nothing'}"
        )
    return found, "the file itself", tuple(sorted(str(k) for k in content if k not in found))


def _tensors_in(content: Mapping[Any, Any]) -> dict[str, Tensor]:
    return {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
