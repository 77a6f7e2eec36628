"""Learning-rate schedule and averaged weights."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mmad.checkpoint import trainable_state


def learning_rate(
    step: int, *, base: float, warmup_steps: int, max_steps: int, final: float
) -> float:
    """Rate of a step: linear from 0 to ``base`` over the warm-up, then a cosine to ``final`` at
    ``max_steps``.

    The first step has rate 0 and the last of the warm-up ``base``, as in the reference
    implementations.

    >>> settings = {"base": 1.0, "warmup_steps": 3, "max_steps": 5, "final": 0.0}
    >>> [learning_rate(step, **settings) for step in (0, 1, 2, 3, 5)]
    [0.0, 0.5, 1.0, 1.0, 0.0]
    """
    if step < warmup_steps:
        return base * step / max(warmup_steps - 1, 1)
    progress = min((step - warmup_steps) / max(max_steps - warmup_steps, 1), 1.0)
    return final + 0.5 * (base - final) * (1 + math.cos(math.pi * progress))


class WeightAverage:
    """Exponential moving average of trained weights and statistics of batch norms.

    Args:
        model: Model whose weights are averaged.
        decay: Share of the old average in each update; in the first steps less, (1 + n) / (10 + n).
    """

    def __init__(self, model: nn.Module, *, decay: float) -> None:
        self._decay = decay
        self.num_updates = 0
        self.state = {name: value.clone() for name, value in trainable_state(model).items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move the average towards the weights of ``model``."""
        self.num_updates += 1
        decay = min(self._decay, (1 + self.num_updates) / (10 + self.num_updates))
        for name, value in trainable_state(model).items():
            if value.is_floating_point():
                self.state[name].lerp_(value, 1 - decay)
            else:  # number of batches that a norm has seen
                self.state[name].copy_(value)

    def load(self, state: Mapping[str, Tensor], *, num_updates: int) -> None:
        """Restore a saved average."""
        for name, value in state.items():
            self.state[name].copy_(value)
        self.num_updates = num_updates


class Averaged:
    """Context manager in which a model has its averaged weights."""

    def __init__(self, model: nn.Module, average: WeightAverage) -> None:
        self._model = model
        self._average = average

    @torch.no_grad()
    def __enter__(self) -> None:
        own = trainable_state(self._model)
        self._kept = {name: value.clone() for name, value in own.items()}
        for name, value in own.items():
            value.copy_(self._average.state[name])

    @torch.no_grad()
    def __exit__(self, *exc: object) -> None:
        for name, value in trainable_state(self._model).items():
            value.copy_(self._kept[name])
