"""The videos that a call names."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from mmad.api.given import records_of
from mmad.errors import VideoError


def test_each_video_has_an_id_of_its_own(videos: Path, tmp_path: Path) -> None:
    file = min((videos / "videos").glob("*.mp4"))
    both = []
    for person in ("P01", "P02"):
        (tmp_path / person).mkdir()
        both.append(Path(shutil.copy(file, tmp_path / person / "cam.mp4")))
    records, problems = records_of([*both, str(tmp_path / "gone.mp4")])
    assert [one.video_id for one in records] == ["P01/cam", "P02/cam"]
    assert len(problems) == 1
    assert "gone.mp4" in problems[0]
    # A record keeps its id.
    (first, second), _ = records_of([replace(records[0], video_id="mine"), both[1]])
    assert (first.video_id, second.path) == ("mine", both[1])
    with pytest.raises(VideoError, match="given twice"):
        records_of([both[0], str(both[0])])
    with pytest.raises(VideoError, match="two videos have the id 'same'"):
        records_of([replace(one, video_id="same") for one in records])
    assert records_of([]) == ([], [])
