"""Learning-rate schedule and averaged weights."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mmad.checkpoint import trainable_state
from mmad.config.training import TrainingSettings
from mmad.sharded import fill


def learning_rate(
    step: int,
    *,
    base: float,
    settings: TrainingSettings,
    steps_per_epoch: int,
) -> float:
    """Rate of a step: a linear warm-up, then a cosine or steps at milestones.

    The first step of the warm-up has the share ``warmup_start`` of ``base`` and its last step all
    of it, as in the reference implementations.

    >>> short = {"epochs": 5, "warmup_epochs": 3, "final_learning_rate": 0}
    >>> of = {"base": 1.0, "settings": TrainingSettings(**short), "steps_per_epoch": 1}
    >>> [learning_rate(step, **of) for step in (0, 1, 2, 3, 5)]
    [0.0, 0.5, 1.0, 1.0, 0.0]
    """
    warmup_steps = round(settings.warmup_epochs * steps_per_epoch)
    warms = step < warmup_steps
    warmed = base
    if warms:
        first = base * settings.warmup_start
        warmed = first + (base - first) * step / max(warmup_steps - 1, 1)
    if settings.schedule == "steps":
        passed = sum(step >= one * steps_per_epoch for one in settings.milestones)
        return warmed * settings.step_factor**passed
    begin = warmup_steps if settings.cosine_from == "warmup" else 0
    if step < begin:
        return warmed
    max_steps = (settings.schedule_epochs or settings.epochs) * steps_per_epoch
    progress = min((step - begin) / max(max_steps - begin, 1), 1.0)
    final = settings.final_learning_rate
    cosine = final + 0.5 * (base - final) * (1 + math.cos(math.pi * progress))
    return cosine * warmed / base if warms else cosine


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
            fill(self.state[name], value)
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
