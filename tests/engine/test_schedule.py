"""The moving average of what is trained."""

import torch
from torch import nn

from mmad.engine.schedule import Averaged, WeightAverage


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
