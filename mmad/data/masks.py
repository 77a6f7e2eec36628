"""Masks of clips for pre-training: which tokens are hidden, and which of them are painted.

Shapes: T steps of h x w tokens; masks are boolean (T x h x w,), step by step and row by row, true
where a token is hidden.

Sources: VideoMAE (arXiv 2203.12602) for tubes, VideoMAE v2 (2303.16727) for the running cells of
its decoder; that masks prefer what moves is the idea of motion-guided masking (2308.12962).
"""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mmad.config.pretraining import MaskSettings

_CELL = 4


def draw_mask(
    settings: MaskSettings,
    grid: tuple[int, int, int],
    *,
    motion: NDArray[np.float64] | None = None,
    rng: Generator,
) -> NDArray[np.bool_]:
    """A random mask of a clip; as many tokens are hidden in every one.

    Args:
        settings: Kind and ratio.
        grid: T, h and w.
        motion: Motion at each place, (h x w,); for the kind "moving".
        rng: Generator.
    """
    steps, places = grid[0], grid[1] * grid[2]
    count = settings.num_masked(*grid)
    if settings.kind == "random":
        return _marked(rng.permutation(steps * places)[:count], steps * places)
    if settings.kind == "frame":
        hidden = _marked(rng.permutation(steps)[: count // places], steps)
        return np.repeat(hidden, places)
    if settings.kind == "moving" and motion is not None:
        order = _by_motion(motion, settings.preference, rng)
    else:
        order = rng.permutation(places)
    return np.tile(_marked(order[: count // steps], places), steps)


def _marked(chosen: NDArray[np.int64], size: int) -> NDArray[np.bool_]:
    marked = np.zeros(size, dtype=bool)
    marked[chosen] = True
    return marked


def _by_motion(motion: NDArray[np.float64], preference: float, rng: Generator) -> NDArray[np.int64]:
    """Places in the order in which they would be drawn, without replacement, in proportion to their
    motion to the power ``preference`` (by Gumbel's trick).

    A tenth of the mean motion is added, so that a place at rest is drawn, too.
    """
    weight = motion + 0.1 * motion.mean() + np.finfo(float).tiny
    noise = rng.gumbel(size=len(motion))
    return np.argsort(-(preference * np.log(weight) + noise), kind="stable")


def motion_of(frames_FHWC: NDArray[np.uint8], grid: tuple[int, int, int]) -> NDArray[np.float64]:
    """Mean absolute difference of neighbouring frames at each place of the grid, (h x w,).

    >>> still = np.zeros((4, 4, 4, 3), np.uint8)
    >>> still[2:, :2, 2:] = 90
    >>> motion_of(still, (2, 2, 2)).tolist()
    [0.0, 30.0, 0.0, 0.0]
    """
    rows, columns = grid[1:]
    grey = frames_FHWC.astype(np.float32).mean(axis=-1)
    change = np.abs(np.diff(grey, axis=0)).mean(axis=0)
    height, width = change.shape
    cells = change.reshape(rows, height // rows, columns, width // columns)
    return cells.mean(axis=(1, 3)).reshape(-1).astype(np.float64)


def running_cells(
    settings: MaskSettings, grid: tuple[int, int, int], *, rng: Generator
) -> NDArray[np.bool_]:
    """The tokens that the decoder paints, among them some that the encoder has seen, which no loss
    counts: a share of each cell of 2 x 2 tokens, at places that move on with each step.

    Rows and columns are even.
    """
    steps, rows, columns = grid
    left_out = round(_CELL * (1 - settings.decoded))
    first = int(rng.integers(_CELL))
    # Places of a cell in turn: the first ones of a ring are left out, and it turns with each step.
    turn = (np.arange(steps)[:, None] + 1 + first + np.arange(_CELL)) % _CELL
    cells = (turn >= left_out).reshape(steps, 2, 2)
    return np.tile(cells, (1, rows // 2, columns // 2)).reshape(-1)
