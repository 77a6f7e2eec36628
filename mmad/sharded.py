"""Tensors of which each process holds a share of the rows (FSDP2), in parts and whole.

Ordinary tensors pass through these functions as they are.
"""

from collections.abc import Mapping
from typing import Any, TypeGuard

import torch
import torch.distributed as dist
from torch import Tensor


def is_sharded(value: object) -> TypeGuard[Any]:
    """Whether each process holds some rows of the tensor."""
    if not (dist.is_available() and dist.is_initialized()):
        return False  # without importing what only several processes need
    from torch.distributed.tensor import DTensor

    return isinstance(value, DTensor)


def whole(value: Tensor) -> Tensor:
    """The whole tensor, gathered from all processes, each of which must call this."""
    return value.full_tensor() if is_sharded(value) else value


def gathered(content: Any, *, keep: bool) -> Any:
    """Nested dictionaries and lists with whole tensors, which are gathered one after another.

    All processes must call this, with the same structure.

    Args:
        content: Dictionaries, lists, tensors and plain values.
        keep: Whether this process needs them, on the CPU; the others get None for each.
    """
    if isinstance(content, Mapping):
        return {key: gathered(value, keep=keep) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [gathered(value, keep=keep) for value in content]
    if not is_sharded(content):
        return content
    value = whole(content.detach())
    return value.cpu() if keep else None


def rows_for(value: Tensor, like: Tensor) -> Tensor:
    """This process's rows of a whole tensor, sharded as the tensor ``like``."""
    if not is_sharded(like):
        return value
    made = with_memory(like, dtype=value.dtype)
    fill(made, value)
    return made


def fill(target: Tensor, value: Tensor) -> None:
    """Copy a whole tensor, or this process's rows of it, into ``target``."""
    if is_sharded(target) and not is_sharded(value):
        rows = -(-len(value) // target.device_mesh.size())
        first = rows * target.device_mesh.get_local_rank()
        target.to_local().copy_(value[first : first + rows])
    else:
        target.copy_(value)


def with_memory(value: Tensor, *, dtype: torch.dtype | None = None) -> Tensor:
    """A tensor like one on the meta device, on the CPU or, if sharded, the device of its mesh.

    Its numbers are not set.
    """
    if not is_sharded(value):
        return torch.empty_like(value, dtype=dtype, device="cpu")
    from torch.distributed.tensor import DTensor

    mesh = value.device_mesh
    device = torch.device(mesh.device_type)
    return DTensor.from_local(
        torch.empty(value.to_local().shape, dtype=dtype or value.dtype, device=device),
        mesh,
        value.placements,
        run_check=False,
        shape=value.shape,
        stride=value.stride(),
    )
