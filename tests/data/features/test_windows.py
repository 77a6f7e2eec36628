"""Windows of stored features and their grids."""

from pathlib import Path

import numpy as np
import pytest

from mmad.config.features import StoredGrid
from mmad.data.features.folders import FeatureFolder
from mmad.data.features.windows import WindowReader
from mmad.data.windows import Window
from mmad.errors import FeatureError
from mmad.structures import Annotations, VideoRecord

pytestmark = pytest.mark.slow


def test_values_that_are_no_numbers_are_named(videos: Path, tmp_path: Path) -> None:
    array = np.zeros((5, 4), dtype=np.float32)
    array[3, 1] = np.nan
    np.save(tmp_path / "v.npy", array)
    source = FeatureFolder(tmp_path, grid=StoredGrid(stride_frames=2.0, fps=10.0))
    reader = WindowReader(source, steps_per_stored=1)
    record = VideoRecord("v", 1.0, "val")
    with pytest.raises(FeatureError, match="not finite"):
        reader.sample(record, Window(0, 5), Annotations())


def test_steps_of_windows_stand_for_their_middles(tmp_path: Path) -> None:
    """Windows of 32 frames, every 4 frames, at 25 frames a second; step 10 of a later window."""
    np.save(tmp_path / "v.npy", np.arange(80, dtype=np.float32).reshape(40, 2))
    stored = StoredGrid(stride_frames=4.0, offset_frames=16.0, fps=25.0)
    reader = WindowReader(FeatureFolder(tmp_path, grid=stored), steps_per_stored=1)
    record = VideoRecord("v", 7.0, "val")
    sample = reader.sample(record, Window(8, 40), Annotations())
    assert sample.features_CT[:, 10].tolist() == [2 * 18, 2 * 18 + 1]
    seconds = sample.grid.to_seconds([[10.0, 11.0]])
    assert seconds[0].tolist() == [(16 + 18 * 4) / 25, (16 + 19 * 4) / 25]


@pytest.mark.parametrize("rows", [1, 7])
def test_half_the_steps_of_an_odd_number(rows: int, tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.ones((rows, 2), dtype=np.float32))
    source = FeatureFolder(tmp_path, grid=StoredGrid(stride_frames=2.0, fps=10.0))
    reader = WindowReader(source, steps_per_stored=0.5)
    sample = reader.sample(VideoRecord("v", 1.0, "val"), Window(0, rows), Annotations())
    assert sample.features_CT.shape[1] == sample.grid.num_steps == (rows + 1) // 2


def test_steps_of_windows_between_steps(tmp_path: Path) -> None:
    """Twice the steps: the first two lie a quarter step before and after the first stored one."""
    rows = np.arange(10, dtype=np.float32)[:, None].repeat(2, axis=1)
    np.save(tmp_path / "v.npy", rows)
    stored = StoredGrid(stride_frames=8.0, offset_frames=16.0, fps=10.0)
    reader = WindowReader(FeatureFolder(tmp_path, grid=stored), steps_per_stored=2)
    record = VideoRecord("v", 9.0, "val")
    assert (reader.first_second(record), reader.seconds_per_row(record)) == (1.6, 0.8)
    sample = reader.sample(record, Window(0, 10), Annotations())
    frames = sample.grid.to_seconds([[5.0, 6.0]])[0] * 10.0
    # A feature that rises by one a stored step tells at which frame it was read.
    np.testing.assert_allclose(16.0 + 8.0 * sample.features_CT[0, 5:7].numpy(), frames)
