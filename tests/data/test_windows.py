"""Windows of videos and what they show: the published codes' rules, written a second time."""

import numpy as np
import pytest

from mmad.data.windows import (
    sliding_windows,
    spread_frames,
    training_window,
    truncate_to_frames,
    visible_annotations,
)
from mmad.structures import Annotations


@pytest.mark.parametrize("overlap", [0.25, 0.5])
def test_sliding_windows_are_those_of_opentad(overlap: float) -> None:
    for num_snippets in [1, 700, 768, 769, 1000, 1153, 2304, 5001]:
        window, step = 768, int(768 * (1 - overlap))
        theirs = []
        for number in range(max(1, num_snippets // step)):
            start = number * step
            end = start + window
            if end > num_snippets:  # the last window ends with the video
                start, end = max(0, num_snippets - window), num_snippets
            theirs.append((start, end))
        ours = sliding_windows(num_snippets, window_frames=window, overlap=overlap, keep_tail=False)
        assert [(w.start, w.stop) for w in ours] == sorted(set(theirs))


@pytest.mark.parametrize("total", [1, 100, 767, 768, 769, 1000, 5403])
def test_a_resized_video_has_the_frames_of_opentad(total: int) -> None:
    wanted = 192 * 4
    stride = total / wanted
    theirs = np.arange(stride / 2 - 0.5, total + stride / 2 - 0.5, stride)[:wanted]
    theirs = np.round(theirs).clip(0, total - 1)
    assert (spread_frames(total, count=wanted) == theirs).all()


def test_short_training_videos_are_cut_to_a_length_of_the_published_range() -> None:
    lengths = set()
    for seed in range(400):
        window, _ = training_window(
            57,
            Annotations(),
            window_frames=768,
            seconds_per_frame=0.1,
            min_visible=0.75,
            shorten=(0.9, 1.0),
            rng=np.random.default_rng(seed),
        )
        assert 0 <= window.start <= window.stop <= 57
        lengths.add(len(window))
    assert lengths == set(range(round(0.9 * 57), 58))


def test_training_instances_stay_if_enough_of_them_is_inside() -> None:
    rng = np.random.default_rng(0)
    starts = rng.integers(0, 900, 12)
    segments = np.column_stack((starts, starts + rng.integers(4, 90, 12))).astype(float)
    annotations = Annotations(segments, np.arange(12))
    for seed in range(50):
        window, seen = training_window(
            1000,
            annotations,
            window_frames=300,
            seconds_per_frame=1.0,
            min_visible=0.75,
            shorten=(0.9, 1.0),
            rng=np.random.default_rng(seed),
        )
        left = np.maximum(segments[:, 0], window.start)
        right = np.minimum(segments[:, 1], window.stop)
        kept = (right - left).clip(0) / (segments[:, 1] - segments[:, 0]) >= 0.75
        assert seen.labels.tolist() == np.flatnonzero(kept).tolist()
        np.testing.assert_allclose(
            seen.segments_seconds, np.column_stack((left, right))[kept], atol=1e-9
        )


def test_annotations_cut_to_whole_frames() -> None:
    annotations = Annotations([[0.99, 2.34], [3.0, 9.99]], [0, 1])
    cut = truncate_to_frames(annotations, num_frames=250, duration_seconds=10.0, fps=25.0)
    frames = [[int(t / 10.0 * 250) for t in row] for row in [[0.99, 2.34], [3.0, 9.99]]]
    assert (cut.segments_seconds * 25).round(6).tolist() == frames


@pytest.mark.parametrize("num_frames", [1, 63, 64, 65, 100, 1000])
def test_windows_cover_every_frame(num_frames: int) -> None:
    windows = sliding_windows(num_frames, window_frames=64, overlap=0.25)
    seen = np.zeros(num_frames, dtype=int)
    for window in windows:
        assert len(window) <= 64
        seen[window.start : window.stop] += 1
    assert seen.min() >= 1
    assert (len(windows) == 1) == (num_frames <= 64)


def test_cut_instances_keep_the_times_of_the_video() -> None:
    annotations = Annotations([[0.0, 4.0], [2.5, 6.0], [7.0, 9.0]], [0, 1, 2])
    seen = visible_annotations(annotations, start_seconds=2, stop_seconds=6, min_visible=0.5)
    assert seen.segments_seconds.tolist() == [[2.0, 4.0], [2.5, 6.0]]
    assert seen.labels.tolist() == [0, 1]


def test_a_window_of_a_long_video_has_an_instance() -> None:
    annotations = Annotations([[50.0, 51.0]], [3])
    for seed in range(20):
        window, seen = training_window(
            3000,
            annotations,
            window_frames=300,
            seconds_per_frame=1 / 30,
            min_visible=0.75,
            shorten=(0.9, 1.0),
            rng=np.random.default_rng(seed),
        )
        assert len(window) == 300
        assert len(seen) == 1


def test_tails_are_kept_unless_asked_otherwise() -> None:
    kept = sliding_windows(1000, window_frames=768, overlap=0.25)
    lost = sliding_windows(1000, window_frames=768, overlap=0.25, keep_tail=False)
    assert [window.stop for window in kept] == [768, 1000]
    assert [window.stop for window in lost] == [768]
