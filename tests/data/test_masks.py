import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmad.config.pretraining import MaskSettings
from mmad.data.masks import draw_mask, motion_of, running_cells

GRID = (4, 6, 6)


def drawn(seed: int = 0, motion: np.ndarray | None = None, **given: object) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mask = draw_mask(MaskSettings(**given), GRID, motion=motion, rng=rng)
    return mask.reshape(GRID)


def test_tubes_hide_the_same_places_in_all_steps() -> None:
    mask = drawn(kind="tube", ratio=0.9)
    assert (mask == mask[0]).all()
    assert mask[0].sum() == int(0.9 * 36)
    assert not (mask == drawn(1, kind="tube", ratio=0.9)).all()


def test_frames_are_hidden_whole() -> None:
    mask = drawn(kind="frame", ratio=0.5)
    assert sorted(mask.reshape(4, -1).mean(axis=1).tolist()) == [0, 0, 1, 1]


def test_moving_masks_prefer_what_moves() -> None:
    motion = np.zeros(36)
    motion[:9] = 20.0
    masks = np.stack([drawn(s, motion, kind="moving", ratio=0.5)[0].ravel() for s in range(200)])
    assert masks.sum(axis=1).tolist() == [18] * 200
    assert masks[:, :9].mean() > 0.85
    assert masks[:, 9:].mean() == pytest.approx((18 - 9 * masks[:, :9].mean()) / 27)
    evenly = np.stack(
        [drawn(s, motion, kind="moving", ratio=0.5, preference=0)[0].ravel() for s in range(200)]
    )
    assert evenly[:, :9].mean() == pytest.approx(0.5, abs=0.05)


def test_still_clips_are_masked_like_tubes() -> None:
    still = drawn(motion=np.zeros(36), kind="moving", ratio=0.5)
    assert still.sum() == 4 * 18


def test_motion_is_that_of_each_place() -> None:
    frames = np.full((8, 12, 12, 3), 7, np.uint8)
    frames[::2, 4:6, 2:4] = 107
    motion = motion_of(frames, GRID).reshape(6, 6)
    assert motion[2, 1] == 100
    assert motion.sum() == 100


@settings(max_examples=50, deadline=None)
@given(
    kind=st.sampled_from(["tube", "random", "frame", "moving"]),
    ratio=st.floats(0.01, 0.99),
    seed=st.integers(0, 99),
)
def test_as_many_tokens_are_hidden_in_every_clip(kind: str, ratio: float, seed: int) -> None:
    config = MaskSettings(kind=kind, ratio=ratio)
    motion = np.random.default_rng(seed).random(36)
    mask = draw_mask(config, GRID, motion=motion, rng=np.random.default_rng(seed))
    assert mask.sum() == config.num_masked(*GRID)


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_running_cells_move_on_with_each_step(share: float) -> None:
    config = MaskSettings(decoded=share)
    for seed in range(8):
        cells = running_cells(config, GRID, rng=np.random.default_rng(seed)).reshape(4, 3, 2, 3, 2)
        # As many in each cell of each step, and each place of a cell equally often in four steps.
        assert (cells.sum(axis=(2, 4)) == 4 * share).all()
        assert (cells.sum(axis=0) == 4 * share).all()
