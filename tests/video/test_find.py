from pathlib import Path

import pytest

from mmad.errors import VideoError
from mmad.video.find import find_videos


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
