"""Distributed training: one process or many, as the environment of torchrun says."""

import os
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from mmad.errors import ConfigError
from mmad.shares import Share


@dataclass(frozen=True)
class Processes:
    """This process among all processes of a run.

    Attributes:
        rank: Rank of this process; 0 writes files and prints.
        count: Number of processes.
        device: Device that this process computes on.
    """

    rank: int
    count: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Whether this process writes files."""
        return self.rank == 0

    def total(self, value: Tensor) -> Tensor:
        """The sum of ``value`` over all processes."""
        if self.count == 1:
            return value
        value = value.clone()
        dist.all_reduce(value)
        return value

    def gather(self, rows: Tensor) -> Tensor:
        """The rows of all processes, equally many from each; gradients flow to this one's own."""
        if self.count == 1:
            return rows
        parts = [torch.empty_like(rows) for _ in range(self.count)]
        dist.all_gather(parts, rows.detach().contiguous())
        parts[self.rank] = rows
        return torch.cat(parts)

    def wait(self) -> None:
        """Wait for all processes."""
        if self.count > 1:
            dist.barrier()

    def close(self) -> None:
        """Leave the process group."""
        if self.count > 1:
            dist.destroy_process_group()


def share_of_process() -> Share:
    """Rank of this process among all, from torchrun; the whole without it."""
    return Share(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))


def choose_device(name: str = "auto", *, rank: int = 0) -> torch.device:
    """The device to compute on.

    Args:
        name: ``cpu``, ``cuda`` (the GPU of this process), ``cuda:N``, or ``auto``: a GPU if there
            is one.
        rank: Rank of this process on this machine.

    Raises: ConfigError if there is no such device.
    """
    num_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "cpu" or (name == "auto" and not num_gpus):
        return torch.device("cpu")
    kind, _, number = name.partition(":")
    is_known = name in ("auto", "cuda") or (kind == "cuda" and number.isdecimal())
    index = int(number) if is_known and number else rank % max(num_gpus, 1)
    if not is_known or index >= num_gpus:
        gpus = ", ".join(f"cuda:{i}" for i in range(num_gpus))
        found = f"cuda, {gpus}" if gpus else "this machine has no GPU that torch can use"
        raise ConfigError(f"--device {name}: expected auto, cpu or a GPU ({found})")
    return torch.device("cuda", index)


def start_processes(device: str = "auto") -> Processes:
    """This process; under torchrun it joins the group (NCCL on GPUs, Gloo on CPUs).

    Args:
        device: As in `choose_device`.

    Raises: ConfigError if there is no such device.
    """
    count = share_of_process().count
    chosen = choose_device(device, rank=int(os.environ.get("LOCAL_RANK", "0")))
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    if count == 1:
        return Processes(0, 1, chosen)
    backend = "nccl" if chosen.type == "cuda" else "gloo"
    dist.init_process_group(backend, timeout=timedelta(hours=2))
    return Processes(dist.get_rank(), count, chosen)
