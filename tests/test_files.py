"""Writing whole files, and names of files made of ids."""

import os
import stat
from pathlib import Path

import pytest
import torch

from mmad.checkpoint import save_tensors
from mmad.errors import OutputError
from mmad.files import (
    partial_path,
    path_from,
    remove_partials,
    replaced,
    require_new,
    write_json,
    write_text,
)


def test_an_exception_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(ZeroDivisionError), replaced(path) as partial:
        partial.write_text(f"{partial.write_text('half') / 0}")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_one_message_that_names_the_file(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match=r"a\.txt: cannot be written \(No space left on device\)"),
        replaced(tmp_path / "a.txt"),
        open("/dev/full", "w") as full,
    ):
        full.write("x" * 10_000)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="choose another path"):
        write_text(tmp_path / "file" / "a.txt", "")


def test_permissions_are_those_of_the_umask_whichever_library_writes(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "a")
    save_tensors(tmp_path / "a.safetensors", {"a": torch.zeros(2)})
    umask = os.umask(0)
    os.umask(umask)
    for name in ("a.txt", "a.safetensors"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o666 & ~umask


def test_leftovers_of_long_names_are_found(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 245 + ".mp4")
    killed = partial_path(path)
    killed.write_bytes(b"half")
    other = partial_path(tmp_path / "y.mp4")
    other.write_bytes(b"half")
    remove_partials(path)
    assert list(tmp_path.iterdir()) == [other]


def test_json_has_no_nan(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": (float("inf"), 1)})
    assert (tmp_path / "a.json").read_text() == '{\n "a": [\n  null,\n  1\n ]\n}\n'


def test_path_from_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert path_from(tmp_path / "a" / "b", tmp_path / "c d.mp4") == "../../c d.mp4"

    def another_drive(*_: object) -> str:
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    monkeypatch.setattr("os.path.relpath", another_drive)
    assert path_from(tmp_path, tmp_path / "c.mp4") is None


def test_a_new_folder_takes_the_place_of_nothing_but_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    require_new(tmp_path / "empty")
    require_new(tmp_path / "none")
    write_text(tmp_path / "file", "")
    for taken in (tmp_path, tmp_path / "file"):
        with pytest.raises(OutputError, match=f"{taken.name}: exists already; choose another name"):
            require_new(taken)
