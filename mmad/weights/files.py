"""Checkpoint files of any project, read without running any code in them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter
from torch import Tensor

from mmad.config.base import validated
from mmad.errors import CheckpointError
from mmad.names import safe_name
from mmad.parsing import json_value, read_text
from mmad.weights.mapped import MappedFile, map_safetensors
from mmad.weights.pickled import Pickled, read_pickled
from mmad.weights.unpickling import ForbiddenNameError, StandIn

# Keys under which a checkpoint keeps its weights, by preference: averaged ones first.
AVERAGED = ("state_dict_ema", "model_ema", "ema_state_dict", "target_encoder")
CURRENT = ("state_dict", "module", "model", "model_state", "encoder")
# mmengine's runner keeps the average where others keep the weights, and the weights where others
# keep the average; its log tells its files.
_SWAPPED = {"state_dict", "ema_state_dict", "message_hub"}
# What an average counts beside its tensors: mmengine's and torch's name.
_COUNTERS = ("steps", "n_averaged")
_CHUNK = 2**20
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
        classes: Classes of objects beside the weights, which were not made.
        mapped: Files that large tensors are views of.
    """

    source: str
    tensors: Mapping[str, Tensor]
    container: str
    sha256: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    other: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    mapped: tuple[MappedFile, ...] = ()

    def release(self, tensor: Tensor) -> None:
        """Give back the memory that a tensor took, if it is a view of a file."""
        for file in self.mapped:
            file.release(tensor)


def read_weights(path: str | Path, *, averaged: bool = True) -> WeightFile:
    """The weights in a file (.safetensors, .pth, .pt, .bin, .pth.tar) or a Hugging Face folder.

    Args:
        path: File or folder.
        averaged: Take the moving average of the weights if the file holds both.

    Objects beside the weights are left out, whatever their class; nothing in a file is executed.

    Raises: CheckpointError if there is no such file, it is damaged or holds no weights, or it asks
        for a function of Python that could run code.
    """
    path = Path(path)
    files = _files_of(path)
    digest = hashlib.sha256()
    tensors: dict[str, Tensor] = {}
    metadata: dict[str, str] = {}
    container = "safetensors"
    other: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    maps: list[MappedFile | None] = []
    for file in files:
        _add_content(digest, file)
        if file.suffix == ".safetensors":
            found, information, mapped = map_safetensors(file)
            metadata |= information
            maps.append(mapped)
        else:
            pickled = _read_pickle(file)
            classes = pickled.classes
            maps.append(pickled.mapped)
            found, container, other = _choose(file, pickled.content, averaged=averaged)
        tensors |= found
    if not tensors:
        raise CheckpointError(f"{path}: holds no weights")
    sha256 = digest.hexdigest()
    mapped_files = tuple(one for one in maps if one is not None)
    return WeightFile(
        str(path), _unwrapped(tensors), container, sha256, metadata, other, classes, mapped_files
    )


def _add_content(digest: "hashlib._Hash", path: Path) -> None:
    """Add the bytes of a file to a hash, a few at a time."""
    with path.open("rb") as file:
        while part := file.read(_CHUNK):
            digest.update(part)


def _unwrapped(tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The tensors without the ``module.`` of a model that was wrapped to be distributed or
    averaged.
    """
    inner = {name: value for name, value in tensors.items() if name not in _COUNTERS}
    if not inner or not all(name.startswith("module.") for name in inner):
        return tensors
    return {name.removeprefix("module."): value for name, value in inner.items()}


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
    if (path / "config.yaml").is_file():
        raise CheckpointError(
            f"{path}: is a run folder; mmad weights export writes its weights to a folder of their "
            f"own, and backbone.pretrained={path} trains on from them"
        )
    raise CheckpointError(f"{path}: a folder without {' or '.join(_FOLDER_FILES[::2])}")


def _read_pickle(path: Path) -> Pickled:
    try:
        return read_pickled(path)
    except CheckpointError:
        raise
    except ForbiddenNameError as error:
        raise CheckpointError(
            f"{path}: holds more than weights ({error!s:.80}), which could run code when other "
            "programs read it; nothing was run here. Ask its authors for a safetensors file, or "
            "save its state_dict alone where you trust it"
        ) from None
    except Exception as error:  # bytes that are not a pickle can raise anything
        reason = str(error).split("\n")[0]
        raise CheckpointError(
            f"{path}: not a file of weights, or cut off ({reason:.100}); download it again"
        ) from None


def _choose(
    path: Path, content: Any, *, averaged: bool
) -> tuple[dict[str, Tensor], str, tuple[str, ...]]:
    """The tensors of a checkpoint, the key they were under, and the other keys."""
    if not isinstance(content, Mapping) or (isinstance(content, StandIn) and not content):
        kind = content.kind if isinstance(content, StandIn) else type(content).__name__
        raise CheckpointError(
            f"{path}: holds a {kind:.80}, not named weights; save the state_dict of the model"
        )
    swapped = content.keys() >= _SWAPPED
    order = AVERAGED + CURRENT if averaged != swapped else CURRENT + AVERAGED
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
