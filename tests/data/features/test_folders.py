"""Folders of arrays as features."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from mmad.config.features import StoredGrid
from mmad.data.features.folders import FeatureFolder
from mmad.errors import FeatureError

pytestmark = pytest.mark.slow


class _Code:
    def __reduce__(self) -> tuple:
        return (print, ("this must not run",))


def test_a_pickle_with_code_is_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(_Code()))
    with pytest.raises(FeatureError, match="could run code"):
        FeatureFolder(tmp_path, grid=StoredGrid(stride_frames=1.0))
    (tmp_path / "a.pkl").write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(FeatureError, match="expected an array, found list"):
        FeatureFolder(tmp_path, grid=StoredGrid(stride_frames=1.0))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_pickled_arrays_of_any_protocol(protocol: int, tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.float32).reshape(3, 2)
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(array, protocol=protocol))
    found = FeatureFolder(tmp_path, grid=StoredGrid(stride_frames=1.0))
    np.testing.assert_array_equal(found.read("a", 0, 9), array)


@pytest.mark.parametrize("suffix", ["npy", "npz", "pt", "pkl", "csv"])
def test_damaged_arrays_are_named(suffix: str, tmp_path: Path) -> None:
    for content in (b"", b"nonsense", b"PK\x03\x04" + bytes(40), b"\x80\x04."):
        (tmp_path / f"a.{suffix}").write_bytes(content)
        with pytest.raises(FeatureError, match=rf"a\.{suffix}"):
            FeatureFolder(tmp_path, grid=StoredGrid(stride_frames=1.0))
