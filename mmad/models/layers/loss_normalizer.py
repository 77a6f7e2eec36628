"""The normaliser of losses."""

import torch
from torch import Tensor, nn


class LossNormalizer(nn.Module):
    """Running mean of the number of positive points of a training step.

    Args:
        initial: Value before the first step.
        momentum: Share of the old value in each update.
    """

    def __init__(self, *, initial: float, momentum: float) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("value", torch.tensor(float(initial)))
        self.value: Tensor

    def update(self, num_positives: Tensor) -> Tensor:
        """The new value; to be called once per training step, with the count of all ranks (at least
        1 is used).
        """
        count = num_positives.to(self.value).clamp(min=1.0)
        self.value.copy_(self.momentum * self.value + (1 - self.momentum) * count)
        return self.value
