import numpy as np
import pytest

from mmad.config.backbones.family import STATISTICS
from mmad.data.transforms import (
    Box,
    centre_box,
    colour_map,
    random_box,
    subtract_background,
)
from mmad.data.windows import sliding_windows, training_window, visible_annotations
from mmad.structures import Annotations, FeatureGrid

IMAGENET = STATISTICS["imagenet"]


@pytest.mark.parametrize("num_frames", [1, 63, 64, 65, 100, 1000])
def test_windows_cover_every_frame(num_frames: int) -> None:
    windows = sliding_windows(num_frames, window_frames=64, overlap=0.25)
    seen = np.zeros(num_frames, dtype=int)
    for window in windows:
        assert len(window) <= 64
        seen[window.start : window.stop] += 1
    assert seen.min() >= 1
    assert (len(windows) == 1) == (num_frames <= 64)


def test_seconds_to_grid_and_back() -> None:
    grid = FeatureGrid(fps=29.97, stride_frames=2.0, num_steps=40, offset_frames=17.0)
    segments = np.array([[0.1, 3.7], [2.0, 2.0]])
    np.testing.assert_allclose(grid.to_seconds(grid.to_grid(segments)), segments, rtol=1e-12)
    np.testing.assert_allclose(grid.to_grid([[17 / 29.97, 19 / 29.97]]), [[0.0, 1.0]], atol=1e-12)


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


def test_boxes_stay_inside() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        box = random_box(120, 200, area=(0.08, 1.0), aspect=(0.75, 1.33), rng=rng)
        assert 0 <= box.top <= box.top + box.height <= 120
        assert 0 <= box.left <= box.left + box.width <= 200
    assert centre_box(200, 120) == Box(40, 0, 120, 120)


def test_colours_without_jitter_are_normalised() -> None:
    table = colour_map(np.zeros((1, 2, 2, 3), np.uint8), IMAGENET)
    colour = np.array([10.0, 20.0, 30.0])
    np.testing.assert_allclose(
        table[:, :3] @ colour + table[:, 3],
        (colour - np.array(IMAGENET.mean)) / IMAGENET.std,
        rtol=1e-5,
    )


def test_jitter_keeps_grey_grey() -> None:
    frames = np.full((1, 8, 8, 3), 90, np.uint8)
    table = colour_map(
        frames,
        IMAGENET,
        brightness=0.0,
        contrast=0.5,
        saturation=0.5,
        hue=0.1,
        rng=np.random.default_rng(0),
    )
    normalised = table[:, :3] @ np.full(3, 90.0) + table[:, 3]
    np.testing.assert_allclose(normalised * IMAGENET.std + IMAGENET.mean, 90.0, atol=0.2)


def test_background_is_grey_and_movement_is_not() -> None:
    frames = np.full((20, 4, 4, 3), 200, np.uint8)
    frames[3, 1, 1] = 210
    frames[4, 2, 2] = 20
    out = subtract_background(frames)
    assert out[3, 1, 1].tolist() == [128 + 10] * 3
    assert out[4, 2, 2].tolist() == [0] * 3  # 128 - 180, cut
    out[3, 1, 1] = out[4, 2, 2] = 128
    assert (out == 128).all()
