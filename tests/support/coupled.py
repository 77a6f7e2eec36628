"""A small network of reversibly coupled branches."""

from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from mmad.models.layers.batch_norm import BatchNorm
from mmad.models.layers.reversible import Activations, Branch, couple


class Branches(nn.Module):
    """A stack of branches with batch norm and dropout, between two convolutions."""

    def __init__(self, *, count: int = 4, dropout: float = 0.3, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.stem, self.head = nn.Conv3d(3, 4, 1), nn.Conv3d(4, 2, 1)
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.Conv3d(4, 4, 3, padding=1, bias=False),
                BatchNorm(4, keep_statistics=False),
                nn.GELU(),
                nn.Dropout(dropout),
            )
            for _ in range(count)
        )
        self.activations: Activations = "kept"

    def forward(self, x: Tensor) -> Tensor:
        branches = [Branch(branch, [branch]) for branch in self.branches]
        return self.head(couple(self.stem(x), branches, activations=self.activations))


def clips(count: int = 2) -> Tensor:
    return torch.randn(count, 3, 2, 4, 4, generator=torch.Generator().manual_seed(1))


def accumulated(network: Branches, model: nn.Module, parts: list[Tensor]) -> dict[str, Tensor]:
    """Gradients and statistics after a step over parts, of which the last one is exchanged."""
    network.train()
    for part in parts[:-1]:
        with model.no_sync() if isinstance(model, DistributedDataParallel) else nullcontext():
            model(part).square().mean().backward()
    model(parts[-1]).square().mean().backward()
    gradients = {f"gradient of {n}": p.grad for n, p in network.named_parameters()}
    return {**gradients, **dict(network.named_buffers())}  # type: ignore[dict-item]
