"""Windows of lower layers around the peaks of class activation maps.

Shapes: M frames of all clips, K classes, S = h x w cells of the last map, C channels; U distinct
pairs of a frame and a cell.

Source: Mi et al., Recognizing micro actions in videos by learning multi-layer local features
(Pattern Recognition Letters 2022), Eqs. 5 to 7.
"""

from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Peaks:
    """The cells at which the activations of classes peak, each cell of a frame once.

    Several classes of a frame often peak at the same cell, and so share a window.

    Attributes:
        frames_U: Frame of each.
        cells_U: Cell of each, row by row.
        repeats_U: How many classes of the frame peak there.
        places_MK: Which of the U belongs to a frame and a class.
    """

    frames_U: Tensor
    cells_U: Tensor
    repeats_U: Tensor
    places_MK: Tensor


def find_peaks(maps_MKS: Tensor) -> Peaks:
    """The cell of the highest activation of each class in each frame (Eq. 5); the first of equals.

    >>> peaks = find_peaks(torch.tensor([[[0.0, 2.0], [1.0, 3.0], [5.0, 4.0]]]))
    >>> peaks.cells_U.tolist(), peaks.repeats_U.tolist(), peaks.places_MK.tolist()
    ([0, 1], [1, 2], [[1, 1, 0]])
    """
    num_frames, _, num_cells = maps_MKS.shape
    first_M = num_cells * torch.arange(num_frames, device=maps_MKS.device)
    found, places_MK, repeats_U = torch.unique(
        first_M[:, None] + maps_MKS.argmax(dim=2), return_inverse=True, return_counts=True
    )
    return Peaks(found // num_cells, found % num_cells, repeats_U, places_MK)


def windows_at(peaks: Peaks, map_MChw: Tensor, *, grid_hw: tuple[int, int], side: int) -> Tensor:
    """The windows (U, C, side, side) of a finer map that belong to the peaks (Eq. 6).

    Args:
        peaks: Cells of a map with rows and columns ``grid_hw``.
        map_MChw: The finer map.
        grid_hw: Rows and columns of cells.
        side: Rows, and columns, of the finer map for one of the other (Eq. 7). If its last cell
            stands for fewer, its window is moved inwards, so that all have the same size.

    Raises: ValueError if a side of the map does not fit the number of cells.
    """
    for dimension, cells in zip((2, 3), grid_hw, strict=True):
        map_MChw = _whole_windows(map_MChw, dimension, cells=cells, side=side)
    windows = rearrange(map_MChw, "m c (i y) (j x) -> m i j c y x", y=side, x=side)
    columns = grid_hw[1]
    return windows[peaks.frames_U, peaks.cells_U // columns, peaks.cells_U % columns]


def _whole_windows(map_MChw: Tensor, dimension: int, *, cells: int, side: int) -> Tensor:
    """The map with ``cells`` windows side by side along a dimension, the last one a whole one."""
    size = map_MChw.shape[dimension]
    if size == cells * side:
        return map_MChw
    if not (cells - 1) * side < size < cells * side or size < side:
        raise ValueError(
            f"expected a map of up to {cells} x {side} rows or columns, the last {side} of them "
            f"perhaps in part, found {size}"
        )
    starts = (side * torch.arange(cells, device=map_MChw.device)).clamp(max=size - side)
    places = starts[:, None] + torch.arange(side, device=map_MChw.device)
    return map_MChw.index_select(dimension, places.flatten())
