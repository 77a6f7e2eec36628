"""Face copies: the frames of a video and of its face at the same times, and where there is none."""

from pathlib import Path

import numpy as np
import pytest

from mmad.data.face_copies import face_copies, frames_at_same_times, frames_with_face
from mmad.errors import VideoError
from support.clips import write_clip
from support.emotions import put


def test_frames_of_equal_files_are_the_same(tmp_path: Path) -> None:
    video, copy = (write_clip(tmp_path / f"{name}.mp4", num_frames=20) for name in "ab")
    frames = np.array([0, 7, 19])
    assert frames_at_same_times(video, copy, frames).tolist() == [0, 7, 19]


def test_frames_of_another_rate_are_those_nearest_in_time(tmp_path: Path) -> None:
    video = write_clip(tmp_path / "a.mp4", num_frames=20, fps=10)
    copy = write_clip(tmp_path / "b.mp4", num_frames=60, fps=30)
    # 0.1 s is frame 3 at 30 frames per second.
    assert frames_at_same_times(video, copy, np.array([0, 1, 19])).tolist() == [0, 3, 57]
    # 0.033 s is nearer to frame 0 at 10 frames per second, and 0.067 s to frame 1.
    assert frames_at_same_times(copy, video, np.array([1, 2, 59])).tolist() == [0, 1, 19]


def test_a_copy_of_another_length_is_refused(tmp_path: Path) -> None:
    video = write_clip(tmp_path / "a.mp4", num_frames=20, fps=10)
    copy = write_clip(tmp_path / "b.mp4", num_frames=30, fps=10)
    with pytest.raises(
        VideoError, match=r"b\.mp4: is 3\.00 s long \(30 frames\).*2\.00 s \(20\); write its face"
    ):
        frames_at_same_times(video, copy, np.array([0]))


def test_faces_are_where_boxes_are(tmp_path: Path) -> None:
    copy = write_clip(tmp_path / "a.mp4", num_frames=4)
    put(tmp_path, "a.csv", "video_id,frame,x,y,w,h\na,1,2,2,9,9\na,3,2,2,9,9\n")
    assert frames_with_face(copy).tolist() == [False, True, False, True]
    put(tmp_path, "a.csv", "video_id,frame,x,y,w,h\na,,,,,\n")
    assert not frames_with_face(copy).any()
    put(tmp_path, "a.csv", "video_id,frame,x,y,w,h\na,4,2,2,9,9\n")
    with pytest.raises(VideoError, match=r"a box in frame 4, and the face copy has frames 0 to 3"):
        frames_with_face(copy)


def test_all_that_is_missing_is_named(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", num_frames=4)
    with pytest.raises(VideoError, match=r"there is no file of boxes of a(.|\n)*no face copy of b"):
        face_copies(str(tmp_path), ["a", "b"])
    with pytest.raises(VideoError, match=r"no such folder of face copies; write them with mmad"):
        face_copies(str(tmp_path / "none"), ["a"])
