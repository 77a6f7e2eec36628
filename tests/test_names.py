from pathlib import Path, PureWindowsPath

import pytest

from mmad.names import safe_name


@pytest.mark.parametrize(
    "identifier",
    [
        "a/b",
        "a%2Fb",
        "..",
        ".",
        "",
        "a\x00b",
        "c:\\x",
        "con",
        "NUL.mp4",
        "nul .mp4",
        "CONIN$",
        "com¹",
        "a.",
        "a ",
        "\udcff",
        "ü" * 200,
    ],
)
def test_a_safe_name_is_one_part_of_a_path(identifier: str, tmp_path: Path) -> None:
    name = safe_name(identifier)
    path = tmp_path / f"{name}.mp4"
    path.write_bytes(b"")
    assert [entry.name for entry in tmp_path.iterdir()] == [f"{name}.mp4"]
    assert len(name.encode()) <= 200
    assert not name.startswith(".")
    assert not name.endswith((".", " "))
    on_windows = PureWindowsPath(name)
    assert on_windows.name == name
    assert not on_windows.is_reserved()


def test_different_ids_have_different_names() -> None:
    ids = ["a/b", "a%2Fb", "a\\b", "ab", "x" * 300, "x" * 301, ".a", "%2Ea", "", "%", "con", "%con"]
    assert len({safe_name(identifier) for identifier in ids}) == len(ids)
