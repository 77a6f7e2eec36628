from pathlib import Path

import pytest

from mmad.errors import VideoError
from mmad.video.find import find_videos, identified_videos


def test_find_videos(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    for name in ("a.mp4", "inner/b.AVI", "c.txt", ".d.123.partial.mp4"):
        (tmp_path / name).write_bytes(b"x")
    assert find_videos(tmp_path) == {"a": tmp_path / "a.mp4", "b": tmp_path / "inner" / "b.AVI"}
    (tmp_path / "inner" / "a.mkv").write_bytes(b"x")
    with pytest.raises(VideoError, match=r"a\.mp4 and .*a\.mkv would both be video 'a'"):
        find_videos(tmp_path)
    with pytest.raises(VideoError, match="folder of videos not found"):
        find_videos(tmp_path / "nowhere")


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_ids_are_names_unless_two_are_the_same(tmp_path: Path) -> None:
    plain = touch(tmp_path / "plain", "a.mp4", "deep/b.mkv", "deep/note.txt", ".hidden.mp4")
    assert list(identified_videos([plain])) == ["a", "b"]
    study = touch(tmp_path / "study", "P01/cam1.mp4", "P02/cam1.mp4", "P02/cam2.mp4")
    found = identified_videos([study])
    assert found == {
        "P01/cam1": study / "P01/cam1.mp4",
        "P02/cam1": study / "P02/cam1.mp4",
        "P02/cam2": study / "P02/cam2.mp4",
    }
    assert list(identified_videos([study / "P01", study / "P02"])) == list(found)
    files = [study / "P02/cam1.mp4", study / "P01/cam1.mp4", study / "P02/cam1.mp4"]
    assert list(identified_videos(files)) == ["P02/cam1", "P01/cam1"]
    assert list(identified_videos([study / "P01/cam1.mp4", study / "P01"])) == ["cam1"]


def test_videos_that_nothing_tells_apart(tmp_path: Path) -> None:
    both = touch(tmp_path / "both", "a.mp4", "a.avi")
    with pytest.raises(VideoError, match=r"a\.avi and .*a\.mp4 would both be video 'a'"):
        identified_videos([both])
    touch(both, "a.mkv")
    with pytest.raises(VideoError, match="would all be video 'a'"):
        identified_videos([both])
    empty = touch(tmp_path / "empty", "note.txt")
    with pytest.raises(VideoError, match="no video file in"):
        identified_videos([empty])
