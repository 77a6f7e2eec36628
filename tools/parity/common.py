"""What all comparisons share."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmad.weights.files import WeightFile


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


def as_file(weights: Mapping[str, Tensor]) -> WeightFile:
    """Weights of a stored comparison, for the functions that load users' files."""
    return WeightFile("the stored weights", weights, container="the file itself", sha256="")
