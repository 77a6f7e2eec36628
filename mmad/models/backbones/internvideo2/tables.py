"""Position tables of InternVideo2.

Shapes: T steps of h x w tokens of width D.
"""

import math

import torch
from torch import Tensor, nn

from mmad.models.layers.positions import (
    halves_grid_table,
    halves_table,
    resized_grids,
    resized_steps,
)

# Side in patches of the images that published weights were made for.
_USUAL_SIDE = 16


class PositionTables(nn.Module):
    """One table of all tokens, or one of times and one of places; both with the class token's row.

    Args:
        width: D.
        steps: T of the clips that the tables are made for.
        side: Rows and columns of tokens of the images that they are made for.
        separate: Two tables, which are added.
    """

    def __init__(self, width: int, *, steps: int, side: int, separate: bool) -> None:
        super().__init__()
        self.steps, self.side = steps, side
        self.joint: nn.Parameter | None = None
        if separate:
            self.of_class = nn.Parameter(torch.zeros(1, 1, width))
            self.of_places = nn.Parameter(halves_grid_table(side, width)[None])
            self.of_times = nn.Parameter(halves_table(steps, width)[None])
        else:
            self.joint = nn.Parameter(joint_table(width, steps=steps, side=side)[None])

    def forward(self, grid_hw: tuple[int, int]) -> Tensor:
        """Table of the class token and of all tokens of a clip, (1, 1 + T x h x w, D)."""
        if self.joint is not None:
            first, rest = self.joint.tensor_split([1], dim=1)
            return torch.cat((first, resized_grids(rest, side=self.side, grid_hw=grid_hw)), dim=1)
        places = resized_grids(self.of_places, side=self.side, grid_hw=grid_hw)
        rest = self.of_times[:, :, None] + places[:, None]
        return torch.cat((self.of_class, rest.flatten(1, 2)), dim=1)

    def fit(self, tensors: dict[str, Tensor], *, prefix: str) -> dict[str, str]:
        """Resize tables of a file for other images or clips, in place; what was done, by name."""
        done = {}
        for name, own in self.named_parameters():
            table = tensors.get(prefix + name)
            if table is None or table.shape == own.shape:
                continue
            if table.ndim != 3 or table.shape[2] != own.shape[2]:
                continue
            num_first = 1 if name == "joint" else 0
            first, rest = table.tensor_split([num_first], dim=1)
            steps, side = self._size_of(name, rest.shape[1])
            if rest.shape[1] != steps * side**2:
                continue
            rest, what = self._resized(name, rest, steps=steps, side=side)
            tensors[prefix + name] = torch.cat((first, rest), dim=1)
            done[prefix + name] = what
        return done

    def _resized(self, name: str, table: Tensor, *, steps: int, side: int) -> tuple[Tensor, str]:
        what = []
        if name != "of_times" and side != self.side:
            table = resized_grids(table, side=side, grid_hw=(self.side, self.side))
            what.append(f"from {side} x {side} to {self.side} x {self.side} patches, bicubic")
        if name != "of_places" and steps != self.steps:
            table = resized_steps(table, steps=steps, target=self.steps)
            what.append(f"from {steps} to {self.steps} steps, linear")
        return table, "; ".join(what)

    def _size_of(self, name: str, rows: int) -> tuple[int, int]:
        """Steps and side of a table with so many rows, one of them as ours if that is possible."""
        if name == "of_times":
            return rows, 1
        if name == "of_places":
            return 1, math.isqrt(rows)
        if rows % self.side**2 == 0:
            return rows // self.side**2, self.side
        side = math.isqrt(rows // self.steps)
        if rows == self.steps * side**2:
            return self.steps, side
        return rows // _USUAL_SIDE**2, _USUAL_SIDE


def joint_table(width: int, *, steps: int, side: int) -> Tensor:
    """Fixed table: a quarter of the channels for the time, the rest for the column and the row.

    The row of the class token, the first one, is zero; float32, (1 + steps x side x side, width).
    """
    times = halves_table(steps, width // 4).repeat_interleave(side**2, dim=0)
    places = halves_grid_table(side, width // 4 * 3).repeat(steps, 1)
    return torch.cat((torch.zeros(1, width), torch.cat((times, places), dim=1)))
