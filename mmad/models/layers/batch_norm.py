"""Batch norm over clips, synchronised across processes, with optional frozen statistics.

Shapes: N clips (or frames), C channels, T steps, H W height and width.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Self

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce


class _BatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm over the batch of all processes; if frozen, with its stored statistics.

    With several processes the statistics are those of the whole batch, so that training on two
    gives the same results as on one; all of them must then call it together.

    Differs: mmaction2's networks take the statistics of each process alone.

    Args:
        channels: C.
        keep_statistics: Use the stored statistics in training too, and do not update them.
    """

    def __init__(self, channels: int, *, keep_statistics: bool) -> None:
        super().__init__(channels)
        self.keep_statistics = keep_statistics
        # The count of batches serves a mean over all of them; with a fixed momentum it is unused.
        self.num_batches_tracked = None

    def _load_from_state_dict(self, *arguments: Any) -> None:
        # The base class would report the count as missing.
        nn.Module._load_from_state_dict(self, *arguments)

    def train(self, mode: bool = True) -> Self:
        """Training mode, if its weights are trained and its statistics are not kept."""
        return super().train(mode and self.weight.requires_grad and not self.keep_statistics)

    def forward(self, x: Tensor, repeats_N: Tensor | None = None) -> Tensor:
        """Normed features, same shape.

        Args:
            x: Features.
            repeats_N: How often each of the N counts in the statistics of training; None for once.
        """
        if not self.training or (repeats_N is None and not _has_peers()):
            return super().forward(x)
        return self._norm_over_batch(x, repeats_N)

    def _norm_over_batch(self, given: Tensor, repeats_N: Tensor | None) -> Tensor:
        x = given.float()
        along_channels = (-1, *(1,) * (x.ndim - 2))

        def total(values: Tensor) -> Tensor:
            if repeats_N is not None:
                values = values * repeats_N.to(values.dtype).view(-1, *(1,) * (x.ndim - 1))
            return values.sum([0, *range(2, x.ndim)])

        rows = len(x) if repeats_N is None else int(repeats_N.sum())
        count = x.new_full((1,), rows * x[0, 0].numel())
        sums = _over_processes(torch.cat((total(x), count)))
        mean_C, count = sums[:-1] / sums[-1], sums[-1]
        centred = x - mean_C.view(along_channels)
        variance_C = _over_processes(total(centred.square())) / count
        with torch.no_grad():
            assert self.running_mean is not None
            assert self.running_var is not None
            assert self.momentum is not None
            self.running_mean.lerp_(mean_C, self.momentum)
            self.running_var.lerp_(variance_C * count / (count - 1), self.momentum)
        scale_C = self.weight * torch.rsqrt(variance_C + self.eps)
        out = centred * scale_C.view(along_channels) + self.bias.view(along_channels)
        return out.to(given.dtype)


class BatchNorm(_BatchNorm, nn.BatchNorm3d):
    """Batch norm of features of clips, (N, C, T, H, W); see `_BatchNorm`."""


class BatchNorm2d(_BatchNorm, nn.BatchNorm2d):
    """Batch norm of features of frames, (N, C, H, W); see `_BatchNorm`."""


@contextmanager
def keeping_statistics(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Within it, batch norms of the modules that train update copies of their statistics.

    For passes that are computed again: the first one has updated them.
    """
    norms = [
        norm
        for module in modules
        for norm in module.modules()
        if isinstance(norm, nn.modules.batchnorm._BatchNorm) and norm.training
    ]
    before = [(norm.running_mean, norm.running_var) for norm in norms]
    for norm, (mean, variance) in zip(norms, before, strict=True):
        norm.running_mean = None if mean is None else mean.clone()
        norm.running_var = None if variance is None else variance.clone()
    try:
        yield
    finally:
        for norm, (mean, variance) in zip(norms, before, strict=True):
            norm.running_mean, norm.running_var = mean, variance


def _over_processes(values: Tensor) -> Tensor:
    return all_reduce(values) if _has_peers() else values


def _has_peers() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
