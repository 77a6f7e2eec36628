"""Checkpoints: safetensors, written atomically, loaded with every key accounted for.

No file is ever unpickled: `torch.load` runs with ``weights_only=True``; weights of other projects
are read by `mmad.weights.pickled`.
"""

import hashlib
import math
import pickletools
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmad.errors import CheckpointError, MmadError
from mmad.files import replaced
from mmad.limits import require_unpacked
from mmad.packed import require_small_zip
from mmad.parsing import reading
from mmad.sharded import fill, whole, with_memory


def trainable_state(model: nn.Module) -> dict[str, Tensor]:
    """The state that training changes, by name: trained parameters, and the statistics of batch
    norms whose parameters are trained.
    """
    state = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
    for place, module in model.named_modules():
        if isinstance(module, _BatchNorm) and any(p.requires_grad for p in module.parameters()):
            prefix = f"{place}." if place else ""
            state |= {prefix + name: value for name, value in module.named_buffers()}
    return state


def frozen_state(model: nn.Module) -> dict[str, Tensor]:
    """The rest of the state of the model, by name."""
    trained = trainable_state(model)
    return {name: value for name, value in model.state_dict().items() if name not in trained}


def hash_state(state: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and values.

    It does not depend on their order.
    """
    digest = hashlib.sha256()
    for name in sorted(state):
        value = whole(state[name].detach()).cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(
            value.reshape(-1).view(torch.uint8).numpy().tobytes() if value.numel() else b""
        )
    return digest.hexdigest()


def save_tensors(
    path: str | Path, state: Mapping[str, Tensor], *, metadata: Mapping[str, str] | None = None
) -> None:
    """Write a safetensors file, which gets its name only once it is complete."""
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
    with (
        reading(path, expected="a complete safetensors file", error=CheckpointError),
        safe_open(str(path), framework="pt") as file,
    ):
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return tensors, dict(file.metadata() or {})


# Magic number, version, system, content, keys.
_PICKLES_OF_OLD_FILES = 5
_LONGEST_CLASS_NAME = 1000


def save_state(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write what is needed to resume; the file gets its name only once it is safely on disk."""
    with (
        replaced(path, errors=(RuntimeError,), sync=True) as partial,
        partial.open("wb") as file,
    ):
        torch.save(dict(content), file)


def load_pickled(path: Path, *, error: type[MmadError]) -> Any:
    """The content of a file of `torch.save`: tensors and plain values; no code in it is executed.

    Raises: ``error`` if it claims more than its size allows; whatever torch raises if it is damaged
        or contains something else.
    """
    with path.open("rb") as file:
        is_zip = file.read(2) == b"PK"
    if is_zip:
        require_small_zip(path, error=error)
    _require_short_names(path, is_zip=is_zip, error=error)
    content = torch.load(path, map_location="cpu", weights_only=True)
    # A tensor may repeat a few stored numbers; a copy would be as large as it claims.
    claimed = sum(math.prod(tensor.shape) * tensor.element_size() for tensor in _tensors(content))
    require_unpacked(path, claimed, stored_bytes=path.stat().st_size, error=error)
    return content


def _longest_global(file: IO[bytes]) -> int:
    """Length of the longest class name in a pickle, also of one cut off by the end of the file."""
    longest, last = 0, file.tell()
    try:
        for code, argument, place in pickletools.genops(file):
            last = place or 0
            if code.name == "GLOBAL":
                longest = max(longest, len(str(argument)))
    except ValueError:
        longest = max(longest, file.tell() - last)
    return longest


def _require_short_names(path: Path, *, is_zip: bool, error: type[MmadError]) -> None:
    """Raise ``error`` if a pickle contains an absurdly long class name: torch would search its own
    message about it in a time that grows with the square of the length.
    """
    longest = 0
    with ExitStack() as stack, suppress(Exception):  # if it is damaged, torch reports it
        if is_zip:
            archive = stack.enter_context(zipfile.ZipFile(path))
            names = [name for name in archive.namelist() if name.endswith(".pkl")]
            files: list[IO[bytes]] = [stack.enter_context(archive.open(name)) for name in names]
        else:
            # The older form is one pickle after another, then the bytes of the tensors.
            files = [stack.enter_context(path.open("rb"))] * _PICKLES_OF_OLD_FILES
        for file in files:
            longest = max(longest, _longest_global(file))
    if longest > _LONGEST_CLASS_NAME:
        raise error(
            f"{path}: contains a class name of {longest:,} characters; the file is damaged or "
            "malicious: download it again"
        )


def _tensors(content: Any) -> list[Tensor]:
    """All tensors in nested dictionaries and lists, each once."""
    found: dict[int, Tensor] = {}
    seen: set[int] = set()
    left = [content]
    while left:
        value = left.pop()
        if isinstance(value, Tensor):
            found[id(value)] = value
        elif isinstance(value, Mapping | list | tuple) and id(value) not in seen:
            seen.add(id(value))
            left += value.values() if isinstance(value, Mapping) else value
    return list(found.values())


def load_exactly(
    model: nn.Module,
    state: Mapping[str, Tensor],
    *,
    source: str,
    release: Callable[[Tensor], None] = lambda tensor: None,
) -> None:
    """Copy ``state`` into the tensors of ``model`` that it names; those on the meta device, which
    have a shape but no memory yet, get it one after another.

    Args:
        model: Network that receives the tensors.
        state: Tensors by the names of the network.
        source: File, for messages.
        release: Called with each tensor that has been copied.

    Raises: CheckpointError if a name is unknown to the model or a shape differs.
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
            f"{source}: does not fit this model; unknown: {few(unknown)}; shapes: {few(wrong)}; "
            "set the sizes it was saved with, or choose other weights"
        )
    with torch.no_grad():
        for name, value in state.items():
            target = own[name]
            if target.is_meta:
                target = _with_memory(model, name)
            fill(target, value)
            release(value)


def _with_memory(model: nn.Module, name: str) -> Tensor:
    """The parameter or buffer ``name`` of the model, now with memory instead of on the meta
    device.
    """
    place, _, leaf = name.rpartition(".")
    module = model.get_submodule(place)
    if leaf in module._parameters:
        old = module.get_parameter(leaf)
        made = nn.Parameter(with_memory(old), requires_grad=old.requires_grad)
        module._parameters[leaf] = made
        return made
    module._buffers[leaf] = torch.empty_like(module.get_buffer(leaf), device="cpu")
    return module.get_buffer(leaf)


def fill_memory(model: nn.Module) -> None:
    """Give zeros to the tensors of the model that are still on the meta device."""
    for name, value in model.state_dict().items():
        if value.is_meta:
            with torch.no_grad():
                _with_memory(model, name).zero_()


def few(names: Sequence[str]) -> str:
    """The first of many names, and how many more there are."""
    shown = ", ".join(names[:4]) or "none"
    return shown + (f" and {len(names) - 4} more" if len(names) > 4 else "")
