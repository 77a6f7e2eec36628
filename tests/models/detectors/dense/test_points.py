import torch

from mmad.models.detectors.dense.points import make_points

RANGES = [(0.0, 4.0), (4.0, 8.0), (8.0, 10000.0)]


def test_points_of_a_pyramid() -> None:
    points = make_points([6, 3], regression_ranges=torch.tensor(RANGES[:2]))
    assert points[:, 0].tolist() == [0, 1, 2, 3, 4, 5, 0, 2, 4]
    assert points[:, 3].tolist() == [1] * 6 + [2] * 3
