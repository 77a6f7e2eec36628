import numpy as np
import pytest

from mmad.segments import assign_lanes

pytestmark = pytest.mark.slow


def test_no_two_bars_share_a_place() -> None:
    rng = np.random.default_rng(0)
    start = rng.uniform(0, 20, 40)
    segments = np.stack([start, start + rng.exponential(3, 40)], 1)
    lanes = np.array(assign_lanes(segments))
    for lane in set(lanes.tolist()):
        mine = segments[lanes == lane]
        mine = mine[np.argsort(mine[:, 0])]
        assert (mine[1:, 0] >= mine[:-1, 1]).all()
