"""Backbones that do not fit one device: each process holds a share of every tensor (FSDP2).

The blocks of a backbone are gathered one after another when they are needed, frozen ones too;
heads and detectors, which are small, are whole in every process.
"""

import warnings
from collections.abc import Iterable, Sequence

import torch
import torch.distributed as dist
from torch import nn

from mmad.config.training import TrainingSettings
from mmad.engine.distributed import Processes
from mmad.engine.precision import choose_precision
from mmad.engine.task import StartingBackbone
from mmad.errors import ConfigError
from mmad.models.backbones.blocks import BlockBackbone
from mmad.sharded import is_sharded, whole


def require_shardable(settings: TrainingSettings, processes: Processes) -> None:
    """Raise `ConfigError` if these processes cannot train with ``training.sharding``."""
    if settings.sharding == "none":
        return
    if processes.count == 1:
        raise ConfigError(
            "training.sharding=full: divides the backbone among processes, but there is one; start "
            "several with torchrun --nproc-per-node N -m mmad train ..., or set "
            "training.sharding=none"
        )
    if choose_precision(settings.precision, processes.device) == torch.float16:
        raise ConfigError(
            "training.sharding=full: fp16 is not supported; set training.precision=bf16 or fp32, "
            "or training.sharding=none"
        )


def shard_backbones(backbones: Sequence[StartingBackbone], processes: Processes) -> None:
    """Divide the tensors of the backbones among all processes, in place.

    Those without memory, on the meta device, get that of their share when they are loaded.

    Raises: ConfigError if there is no backbone, or one that is no plain stack of blocks.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    if not backbones:
        raise ConfigError(
            "training.sharding=full: divides the backbone, and a run on stored features has none; "
            "set training.sharding=none"
        )
    # Nothing changes the output of a block in place.
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view")
    for backbone, _ in backbones:
        if not isinstance(backbone, BlockBackbone):
            raise ConfigError(
                f"training.sharding=full: {backbone.family.title} has no plain stack of blocks to "
                "divide; set training.sharding=none, or choose another backbone"
            )
    mesh = init_device_mesh(processes.device.type, (processes.count,))
    for backbone, _ in backbones:
        assert isinstance(backbone, BlockBackbone)
        for block in backbone.blocks:
            fully_shard(block, mesh=mesh)
        fully_shard(backbone, mesh=mesh)


def release_gathered(backbones: Iterable[StartingBackbone]) -> None:
    """Drop what a forward pass without a backward pass has left whole: all but the blocks."""
    for backbone, _ in backbones:
        backbone.reshard()  # type: ignore[operator]


def average_gradients(parameters: Iterable[nn.Parameter], processes: Processes) -> None:
    """Average the gradients of whole parameters over processes; those of shares are already."""
    mine = [p.grad for p in parameters if p.grad is not None and not is_sharded(p)]
    if not mine:
        return
    flat = torch.cat([gradient.flatten() for gradient in mine])
    dist.all_reduce(flat)
    flat /= processes.count
    for gradient, mean in zip(mine, flat.split([one.numel() for one in mine]), strict=True):
        gradient.copy_(mean.view_as(gradient))


def clip_gradients(parameters: Sequence[nn.Parameter], limit: float) -> float:
    """Scale all gradients so that their norm is at most ``limit``; returns the norm before."""
    kinds = [[p for p in parameters if is_sharded(p) == sharded] for sharded in (False, True)]
    if not kinds[True]:
        return float(nn.utils.clip_grad_norm_(kinds[False], limit))
    gradients = [[p.grad for p in kind if p.grad is not None] for kind in kinds]
    norms = [whole(nn.utils.get_total_norm(kind)) for kind in gradients]
    norm = torch.stack(norms).norm().item()
    if norm > limit:
        for gradient in (*gradients[False], *gradients[True]):
            gradient.mul_(limit / (norm + 1e-6))
    return norm
