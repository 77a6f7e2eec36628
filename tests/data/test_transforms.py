"""Boxes, colours and backgrounds."""

import numpy as np
import pytest
import torch

from mmad.config.backbones.family import STATISTICS
from mmad.config.data import MultiScaleCrop
from mmad.data.transforms import (
    Box,
    centre_box,
    colour_map,
    multi_scale_box,
    random_box,
    subtract_background,
)
from mmad.video.reader import scaled_size


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (640, 480), (333, 500), (320, 320)])
def test_sizes_and_centre_crops_are_those_of_openmmlab(width: int, height: int) -> None:
    for short in (160, 182):
        scale = short / min(width, height)
        theirs = int(height * scale + 0.5), int(width * scale + 0.5)
        assert scaled_size(width, height, short_side=short) == theirs
    box = centre_box(*scaled_size(width, height, short_side=160))
    new_height, new_width = scaled_size(width, height, short_side=160)
    assert (box.left, box.top) == ((new_width - 160) // 2, (new_height - 160) // 2)
    assert (box.width, box.height) == (160, 160)


def test_colours_are_normalised_as_all_published_weights_expect() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (50, 3)).astype(np.float32)
    table = torch.from_numpy(colour_map(np.zeros((1, 2, 2, 3), np.uint8), STATISTICS["imagenet"]))
    ours = torch.from_numpy(pixels) @ table[:, :3].T + table[:, 3]
    mean, std = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
    np.testing.assert_allclose(ours, (pixels - mean) / std, atol=1e-5)
    assert STATISTICS["imagenet"] == (tuple(mean), tuple(std))


IMAGENET = STATISTICS["imagenet"]


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


def drawn_boxes(settings: MultiScaleCrop, *, height: int, width: int, times: int) -> set[Box]:
    return {
        multi_scale_box(
            height, width, settings=settings, hw=(224, 224), rng=np.random.default_rng(seed)
        )
        for seed in range(times)
    }


def test_multi_scale_crops_are_those_of_tsn() -> None:
    found = drawn_boxes(MultiScaleCrop(places="thirteen"), height=256, width=340, times=4000)
    sides = [256, 224, 192, 168]  # int(256 * 0.66) = 168
    expected = set()
    for i, height in enumerate(sides):
        for j, width in enumerate(sides):
            if abs(i - j) > 1:
                continue
            down, right = (256 - height) // 4, (340 - width) // 4
            fixed = [(0, 0), (0, 4), (4, 0), (4, 4), (2, 2), (2, 0), (2, 4), (4, 2), (0, 2)]
            fixed += [(1, 1), (1, 3), (3, 1), (3, 3)]
            expected |= {Box(down * y, right * x, height, width) for y, x in fixed}
    assert found == expected


def test_multi_scale_crops_of_one_aspect_and_nearly_the_result() -> None:
    # 0.87 of 256 is 222.7: 222 pixels, which are less than 3 from the 224 of the result.
    settings = MultiScaleCrop(scales=[1.0, 0.87], max_gap=0)
    found = drawn_boxes(settings, height=256, width=300, times=300)
    assert {(box.height, box.width) for box in found} == {(256, 256), (224, 224)}
    assert {(box.top, box.left) for box in found if box.height == 224} == {
        (8 * y, 19 * x) for y, x in ((0, 0), (0, 4), (4, 0), (4, 4), (2, 2))
    }


def test_multi_scale_crops_anywhere() -> None:
    settings = MultiScaleCrop(scales=[0.5], places="random")
    found = drawn_boxes(settings, height=8, width=10, times=500)
    assert found == {Box(top, left, 4, 4) for top in range(5) for left in range(7)}
