import pytest
import torch

from mmad.models.layers.loss_normalizer import LossNormalizer


def test_normalizer_is_a_running_mean() -> None:
    normalizer = LossNormalizer(initial=100.0, momentum=0.9)
    assert normalizer.update(torch.tensor(20)).item() == pytest.approx(0.9 * 100 + 0.1 * 20)
    assert normalizer.update(torch.tensor(0)).item() == pytest.approx(0.9 * 92 + 0.1 * 1)
