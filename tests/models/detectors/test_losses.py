import pytest
import torch

from mmad.models.detectors.losses import distance_iou_loss, sigmoid_focal_loss


def test_focal_loss_by_hand() -> None:
    loss = sigmoid_focal_loss(torch.zeros(2), torch.tensor([1.0, 0.0]), alpha=0.25, gamma=2.0)
    log2 = torch.tensor(2.0).log()
    torch.testing.assert_close(loss, torch.stack([0.25 * 0.5**2 * log2, 0.75 * 0.5**2 * log2]))


def test_distance_iou_by_hand() -> None:
    # From a common point: [-1, 1] against [-1, 3]: tIoU 2/4, centres 1 apart, hull 4.
    loss = distance_iou_loss(torch.tensor([[1.0, 1.0]]), torch.tensor([[1.0, 3.0]]))
    assert loss.item() == pytest.approx(1 - 2 / 4 + (1 / 4) ** 2)
    same = torch.tensor([[1.0, 2.0]])
    assert distance_iou_loss(same, same).item() == pytest.approx(0.0)
