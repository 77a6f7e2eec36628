import numpy as np

from mmad.structures import FeatureGrid


def test_seconds_to_grid_and_back() -> None:
    grid = FeatureGrid(fps=29.97, stride_frames=2.0, num_steps=40, offset_frames=17.0)
    segments = np.array([[0.1, 3.7], [2.0, 2.0]])
    np.testing.assert_allclose(grid.to_seconds(grid.to_grid(segments)), segments, rtol=1e-12)
    np.testing.assert_allclose(grid.to_grid([[17 / 29.97, 19 / 29.97]]), [[0.0, 1.0]], atol=1e-12)
