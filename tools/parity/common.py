"""What all comparisons share."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Check:
    """One comparison: passed if the largest difference is at most the limit."""

    name: str
    difference: float
    limit: float
    skipped: str = ""

    @property
    def passed(self) -> bool:
        return self.difference <= self.limit


Checks = Iterator[Check]


def largest(a: Any, b: Any, *, relative: bool = False) -> float:
    """Largest absolute difference; infinite if the shapes differ or something is not a number."""
    a, b = (torch.as_tensor(np.asarray(x.detach() if isinstance(x, Tensor) else x)) for x in (a, b))
    if a.shape != b.shape:
        return float("inf")
    if not a.numel():
        return 0.0
    gap = (a.double() - b.double()).abs()
    if relative:
        gap = gap / b.double().abs().max().clamp(min=1e-8)
    return float(gap.max()) if not gap.isnan().any() else float("inf")


def fill(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Every tensor of the model gets its value; none may be missing."""
    with torch.no_grad():
        for name, value in model.state_dict().items():
            value.copy_(tensors[name])
