import numpy as np

from mmad.video.faces.boxes import FaceBoxes, no_faces
from mmad.video.faces.tracking import follow_face


def faces(*rows: tuple[int, float, float]) -> FaceBoxes:
    """Squares in frames: frame, left, side."""
    table = np.array([(frame, left, 10, side, side) for frame, left, side in rows], dtype=float)
    return FaceBoxes(table[:, 0].astype(int), table[:, 1:])


def test_the_larger_of_two_faces_is_kept() -> None:
    found = faces((0, 0, 10), (0, 100, 20), (1, 1, 10), (1, 101, 20), (2, 102, 20))
    track = follow_face(found, num_frames=3, max_gap=1)
    assert track.boxes[:, 0].tolist() == [100, 101, 102]
    assert track.boxes[:, 2].tolist() == [20, 20, 20]
    assert track.num_other_frames == 2  # frames 0 and 1


def test_a_face_that_leaves_and_comes_back_elsewhere() -> None:
    found = faces((1, 0, 20), (2, 2, 20), (6, 300, 21), (7, 300, 21), (9, 300, 21))
    track = follow_face(found, num_frames=12, max_gap=2)
    assert np.flatnonzero(track.is_visible).tolist() == [1, 2, 6, 7, 8, 9]
    assert track.absences() == [(0, 1), (3, 6), (10, 12)]
    assert track.num_other_frames == 0
    assert track.as_boxes().frames.tolist() == [1, 2, 6, 7, 8, 9]


def test_a_short_false_alarm_of_another_size_is_another_face() -> None:
    found = faces((0, 0, 20), (1, 0, 20), (2, 0, 20), (5, 200, 60))
    track = follow_face(found, num_frames=6, max_gap=1)
    # One frame of 60 * 60 is less than... three of 20 * 20: 3600 > 1200, so the large one stays.
    assert np.flatnonzero(track.is_visible).tolist() == [5]
    found = faces(*((frame, 0, 20) for frame in range(10)), (12, 200, 60))
    track = follow_face(found, num_frames=13, max_gap=1)  # 10 * 400 > 3600
    assert np.flatnonzero(track.is_visible).tolist() == list(range(10))
    assert track.num_other_frames == 1


def test_two_that_pass_each_other_keep_their_own_boxes() -> None:
    """Each box goes to the track that it overlaps most."""
    found = faces((0, 0, 20), (0, 12, 20), (1, 4, 20), (1, 14, 20))
    track = follow_face(found, num_frames=2, max_gap=1)
    assert track.boxes[:, 0].tolist() == [0, 4]


def test_no_face() -> None:
    track = follow_face(no_faces(), num_frames=3, max_gap=1)
    assert not track.is_visible.any()
    assert track.absences() == [(0, 3)]
    assert len(track.as_boxes()) == 0
