"""Which frames of a clip a view has."""

import numpy as np
import pytest

from mmad.data.frame_sampling import Sampling, evaluation_frames, training_frames


def drawn(sampling: Sampling, num_frames: int, *, times: int = 200) -> np.ndarray:
    return np.stack(
        [sampling.training(num_frames, rng=np.random.default_rng(seed)) for seed in range(times)]
    )


@pytest.mark.parametrize("num_frames", [1, 9, 16, 17, 45, 300])
def test_training_frames_are_one_of_each_part(num_frames: int) -> None:
    part = (num_frames - 1) / 16
    seen = [set() for _ in range(16)]
    for seed in range(300):
        frames = training_frames(num_frames, count=16, rng=np.random.default_rng(seed))
        for place, frame in enumerate(frames.tolist()):
            assert round(part * place) <= frame <= round(part * (place + 1))
            seen[place].add(frame)
    if num_frames <= 45:  # both ends of each part are drawn
        assert all(
            len(s) == round(part * (i + 1)) - round(part * i) + 1 for i, s in enumerate(seen)
        )


@pytest.mark.parametrize("num_views", [1, 2, 3])
def test_test_frames_as_specified(num_views: int) -> None:
    for num_frames in (1, 10, 16, 33, 45, 451):
        part = (num_frames - 1) / 16
        expected = [
            [round(part * i) + int(part / (num_views + 1) * (k + 1)) for i in range(16)]
            for k in range(num_views)
        ]
        found = evaluation_frames(num_frames, count=16, num_views=num_views)
        assert found.tolist() == expected
        assert found.max() < num_frames


def test_a_frame_of_each_segment_is_drawn() -> None:
    """Of 30 frames 8 segments have 3 each, and the last 6 frames are never drawn, as in TSN."""
    found = drawn(Sampling("segments", 8), 30)
    for place in range(8):
        assert set(found[:, place]) == {3 * place, 3 * place + 1, 3 * place + 2}


def test_segments_of_a_clip_with_fewer_frames_repeat_them() -> None:
    # Multiples of 3 / 8, rounded; 3 would be beyond the last frame, and is the first again.
    expected = [0, 0, 1, 1, 2, 2, 2, 0]
    assert (drawn(Sampling("segments", 8), 3, times=5) == expected).all()
    assert Sampling("segments", 8).span == 8


def test_segments_in_evaluation_from_end_to_end() -> None:
    sampling = Sampling("segments", 8)
    one = sampling.evaluation(57, num_views=1)
    assert one.tolist() == [[56 * i // 7 for i in range(8)]]  # 56 / 7 is whole
    two = sampling.evaluation(61, num_views=2)
    assert two.tolist() == [[4 * i for i in range(8)], [4 * i for i in range(8, 16)]]  # 60 / 15
    assert Sampling("segments", 1).evaluation(9, num_views=1).tolist() == [[4]]


def test_segments_in_evaluation_in_the_middles() -> None:
    sampling = Sampling("segments", 8, places="middles")
    twice = sampling.evaluation(60, num_views=2)
    middles = [int(7.5 * i + 3.75) for i in range(8)]
    assert twice.tolist() == [middles, [int(7.5 * i) for i in range(8)]]
    assert sampling.evaluation(60, num_views=1).tolist() == [middles]
    assert sampling.evaluation(4, num_views=1).tolist() == [[0, 0, 1, 1, 2, 2, 3, 3]]


def test_dense_views_are_stretches() -> None:
    sampling = Sampling("dense", 4, interval=3)
    assert sampling.span == 1 + 3 * 3
    found = drawn(sampling, 20)
    assert (np.diff(found) == 3).all()
    assert set(found[:, 0]) == set(range(20 - 4 * 3 + 1))
    # A stretch of 10 frames of 20 can start at 0 to 10.
    many = sampling.evaluation(20, num_views=3)
    assert many.tolist() == [[start + 3 * i for i in range(4)] for start in (0, 5, 10)]
    assert sampling.evaluation(20, num_views=1)[0, 0] == 5
    middles = Sampling("dense", 4, interval=3, places="middles").evaluation(20, num_views=3)
    assert middles[:, 0].tolist() == [int(9 / 3 * i + 9 / 6) for i in range(3)]


def test_dense_views_of_a_short_clip_begin_again() -> None:
    sampling = Sampling("dense", 4, interval=3)
    assert (drawn(sampling, 8, times=3) == [0, 3, 6, 9 - 8]).all()
    assert sampling.evaluation(8, num_views=2).tolist() == [[0, 3, 6, 1]] * 2


def test_random_frames_are_in_order_and_distinct() -> None:
    found = drawn(Sampling("random", 8), 10)
    assert (np.diff(found) > 0).all()
    assert set(found.reshape(-1)) == set(range(10))
    assert (np.diff(drawn(Sampling("random", 8), 5)) >= 0).all()
    same = Sampling("uniform", 8).evaluation(30, num_views=2)
    assert (Sampling("random", 8).evaluation(30, num_views=2) == same).all()


def test_uniform_is_as_it_was() -> None:
    found = drawn(Sampling("uniform", 8), 30, times=3)
    expected = [training_frames(30, count=8, rng=np.random.default_rng(s)) for s in range(3)]
    assert (found == expected).all()


def test_stacks_of_flow_are_consecutive_and_leave_the_copy_at_the_end_out() -> None:
    sampling = Sampling("segments", 4, places="middles", stack=5)
    # Of 25 flow images 24 are no copies, in which 20 stacks of 5 begin: segments of 5 starts.
    found = sampling.evaluation(25, num_views=1).reshape(4, 5)
    assert (found == np.array([2, 7, 12, 17])[:, None] + np.arange(5)).all()
    drawn_starts = drawn(sampling, 25, times=200).reshape(-1, 4, 5)
    assert (np.diff(drawn_starts, axis=2) == 1).all()
    for segment in range(4):
        starts = set(drawn_starts[:, segment, 0].tolist())
        assert starts == set(range(5 * segment, 5 * segment + 5))
    assert sampling.span == 4 + 5


@pytest.mark.parametrize(("num_frames", "last"), [(1, 0), (2, 0), (4, 2)])
def test_stacks_of_short_clips_repeat_the_last_image(num_frames: int, last: int) -> None:
    sampling = Sampling("segments", 2, stack=5)
    expected = [min(n, last) for n in range(5)]
    for found in (sampling.evaluation(num_frames, num_views=1)[0], drawn(sampling, num_frames)[0]):
        assert found.tolist() == 2 * expected
