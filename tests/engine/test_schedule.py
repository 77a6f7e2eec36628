"""Learning rates of every step, and the moving average of what is trained."""

import math

import pytest
import torch
from torch import nn

from mmad.config.training import TrainingSettings
from mmad.engine.schedule import Averaged, WeightAverage, learning_rate


def rates(settings: TrainingSettings, *, steps_per_epoch: int, base: float) -> list[float]:
    return [
        learning_rate(step, base=base, settings=settings, steps_per_epoch=steps_per_epoch)
        for step in range(settings.epochs * steps_per_epoch)
    ]


def test_steps_after_a_warm_up() -> None:
    settings = TrainingSettings(
        epochs=5, schedule="steps", milestones=[2, 4], warmup_epochs=1, warmup_start=0.1
    )
    expected = [0.1, 0.1 + 0.9 / 3, 0.1 + 0.9 * 2 / 3, 1.0]  # epoch 0, by equal steps
    expected += [1.0] * 4 + [0.1] * 4 * 2 + [0.01] * 4
    found = rates(settings, steps_per_epoch=4, base=0.02)
    assert found == pytest.approx([0.02 * share for share in expected])


def test_a_milestone_within_the_warm_up_counts_too() -> None:
    settings = TrainingSettings(
        epochs=3, schedule="steps", milestones=[1], step_factor=0.5, warmup_epochs=2
    )
    found = rates(settings, steps_per_epoch=2, base=1.0)
    assert found == pytest.approx([0, 1 / 3, 0.5 * 2 / 3, 0.5 * 1, 0.5, 0.5])


def test_a_cosine_from_the_start_is_multiplied_by_the_warm_up() -> None:
    settings = TrainingSettings(
        epochs=4,
        cosine_from="start",
        warmup_epochs=2,
        warmup_start=0.1,
        final_learning_rate=0.0,
    )
    warm = [0.1, 0.1 + 0.9 / 3, 0.1 + 0.9 * 2 / 3, 1.0] + [1.0] * 4
    expected = [
        0.3 * share * (1 + math.cos(math.pi * step / 8)) / 2 for step, share in enumerate(warm)
    ]
    assert rates(settings, steps_per_epoch=2, base=0.3) == pytest.approx(expected)


def test_statistics_of_trained_batch_norms_are_averaged_too() -> None:
    model = nn.Sequential(nn.BatchNorm1d(2), nn.BatchNorm1d(2))
    model[1].requires_grad_(False)
    average = WeightAverage(model, decay=0.999)
    assert {name.split(".")[0] for name in average.state} == {"0"}
    model[0].running_mean.fill_(11.0)
    model[0].num_batches_tracked.fill_(7)
    model[0].weight.data.fill_(12.0)
    average.update(model)
    # The decay of the first update is (1 + 1) / (10 + 1).
    expected = 11.0 * 9 / 11
    torch.testing.assert_close(average.state["0.running_mean"], torch.full((2,), expected))
    torch.testing.assert_close(average.state["0.weight"], torch.full((2,), 1 + 11.0 * 9 / 11))
    assert average.state["0.num_batches_tracked"] == 7
    with Averaged(model, average):
        torch.testing.assert_close(model[0].running_mean, torch.full((2,), expected))
    assert (model[0].running_mean == 11.0).all()
