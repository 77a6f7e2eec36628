from pathlib import Path

import pytest

from mmad.annotations.clips.as_videos import clips_as_videos, lasting
from mmad.errors import AnnotationError
from mmad.labels import MA52
from mmad.structures import VideoRecord


def read(path: Path, content: str, **changes: object) -> list[VideoRecord]:
    path.write_text(content)
    keywords = {"labels": MA52, "others": {"v1"}, "most": None}
    return clips_as_videos([str(path)], **{**keywords, **changes})  # type: ignore[arg-type]


def test_a_clip_is_a_video_with_its_action_from_start_to_end(tmp_path: Path) -> None:
    found = read(tmp_path / "train.txt", "a.mp4 3\nb.mp4 4\n")
    assert [one.video_id for one in found] == ["a", "b"]
    whole = lasting(found[0], 2.5)
    assert whole.duration_seconds == 2.5
    assert whole.annotations.segments_seconds.tolist() == [[0.0, 2.5]]
    assert whole.annotations.labels.tolist() == [3]
    assert len(read(tmp_path / "train.txt", "a.mp4 3\nb.mp4 4\n", most=1)) == 1


def test_clips_without_label_and_with_the_name_of_a_video_are_told(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r"a\.mp4 has no label.*"):
        read(tmp_path / "train.txt", "a.mp4\n")
    with pytest.raises(AnnotationError, match="v1 is also a video"):
        read(tmp_path / "train.txt", "v1.mp4 3\n")
