"""Peaks of class activation maps, and the windows of finer maps there."""

import pytest
import torch

from mmad.models.recognisers.mlfe.windows import find_peaks, windows_at


def test_peaks_at_borders_take_the_whole_window_of_their_cell() -> None:
    rows, columns, side = 3, 4, 2
    corners = [(0, 0), (0, columns - 1), (rows - 1, 0), (rows - 1, columns - 1)]
    maps = torch.zeros(1, len(corners), rows * columns)
    for label, (y, x) in enumerate(corners):
        maps[0, label, y * columns + x] = 1.0
    finer = torch.arange(rows * side * columns * side).float().view(1, 1, rows * side, -1)
    peaks = find_peaks(maps)
    windows = windows_at(peaks, finer, grid_hw=(rows, columns), side=side)
    for label, (y, x) in enumerate(corners):
        expected = finer[0, :, side * y : side * (y + 1), side * x : side * (x + 1)]
        assert torch.equal(windows[peaks.places_MK[0, label]], expected)


def test_of_equal_activations_the_first_cell_is_the_peak() -> None:
    maps = torch.tensor([[[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]]])
    peaks = find_peaks(maps)
    assert peaks.cells_U[peaks.places_MK].tolist() == [[1, 0]]


def test_a_partial_cell_at_the_border_gets_the_last_whole_window() -> None:
    """Strided convolutions round up: 13 rows of conv4 are 7 of conv5, and the last one has one."""
    finer = torch.arange(13 * 14).float().view(1, 1, 13, 14)
    maps = torch.zeros(1, 2, 7 * 7)
    maps[0, 0, 6 * 7], maps[0, 1, 5 * 7] = 1.0, 1.0
    peaks = find_peaks(maps)
    windows = windows_at(peaks, finer, grid_hw=(7, 7), side=2)[peaks.places_MK[0]]
    assert torch.equal(windows[0], finer[0, :, 11:13, :2])  # not row 12 and one that is not there
    assert torch.equal(windows[1], finer[0, :, 10:12, :2])


@pytest.mark.parametrize("size", [12, 15])
def test_a_map_of_another_size_is_an_error(size: int) -> None:
    peaks = find_peaks(torch.zeros(1, 1, 7))
    with pytest.raises(ValueError, match=f"up to 7 x 2 rows or columns.*found {size}"):
        windows_at(peaks, torch.zeros(1, 1, size, 2), grid_hw=(7, 1), side=2)
    with pytest.raises(ValueError, match=r"up to 1 x 8 rows or columns.*found 5"):
        windows_at(
            find_peaks(torch.zeros(1, 1, 1)), torch.zeros(1, 1, 5, 5), grid_hw=(1, 1), side=8
        )
