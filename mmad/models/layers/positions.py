"""Position tables of video transformers: sinusoids of a grid, and tables of other sizes.

Shapes: T steps, h x w tokens of a step, D width.
"""

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional


def halves_table(num_positions: int, width: int) -> Tensor:
    """Fixed position table, float32, shape (num_positions, width): all sines, then all cosines.

    >>> halves_table(2, 4)[0].tolist()
    [0.0, 0.0, 1.0, 1.0]
    """
    position = torch.arange(num_positions, dtype=torch.float64)[:, None]
    channel = torch.arange(width // 2, dtype=torch.float64)[None, :]
    angle = position / torch.pow(10000.0, 2 * channel / width)
    return torch.cat((angle.sin(), angle.cos()), dim=1).float()


def halves_grid_table(side: int, width: int) -> Tensor:
    """`halves_table` of the column, then of the row, of a square, shape (side x side, width)."""
    table = halves_table(side, width // 2)
    columns, rows = table.repeat(side, 1), table.repeat_interleave(side, dim=0)
    return torch.cat((columns, rows), dim=1)


def resized_grids(table_1SD: Tensor, *, side: int, grid_hw: tuple[int, int]) -> Tensor:
    """The table for steps of ``grid_hw`` tokens instead of side x side, bicubic in each step."""
    # Sizes of images are fixed in a traced network; else it would resize the table in each call.
    grid_hw = (int(grid_hw[0]), int(grid_hw[1]))
    if grid_hw == (side, side):
        return table_1SD
    table = rearrange(table_1SD, "1 (t h w) d -> t d h w", h=side, w=side)
    table = functional.interpolate(table, size=grid_hw, mode="bicubic", align_corners=False)
    return rearrange(table, "t d h w -> 1 (t h w) d")


def resized_steps(table_1SD: Tensor, *, steps: int, target: int) -> Tensor:
    """The table for ``target`` steps instead of ``steps``, linear in time."""
    if steps == target:
        return table_1SD
    table = rearrange(table_1SD, "1 (t s) d -> s d t", t=steps)
    table = functional.interpolate(table, size=target, mode="linear", align_corners=False)
    return rearrange(table, "s d t -> 1 (t s) d")
