"""Frames that a caller gives: what is taken, and one message for each mistake."""

from typing import Any

import numpy as np
import pytest
import torch

from mmad.errors import VideoError
from mmad.video.sources.given import given_frames
from mmad.video.sources.memory import hold_frames

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 4, 6, 3), dtype=np.uint8)


def test_arrays_tensors_and_iterators_give_the_same_frames() -> None:
    wanted = list(given_frames(IMAGES, fps=10))
    assert [seconds for seconds, _ in wanted] == [0.0, 0.1, 0.2, 0.3, 0.4]
    for given in (
        torch.from_numpy(IMAGES),
        iter(IMAGES),
        list(torch.from_numpy(IMAGES)),
        (image for image in IMAGES),
    ):
        for (seconds, image), (wanted_seconds, wanted_image) in zip(
            given_frames(given, fps=10), wanted, strict=True
        ):
            assert seconds == wanted_seconds
            np.testing.assert_array_equal(image, wanted_image)


def test_times_come_beside_the_frames_or_with_them() -> None:
    times = [7.0, 7.1, 7.15, 7.4, 8.0]
    beside = list(given_frames(IMAGES, times=times))
    along = list(given_frames(zip(times, IMAGES, strict=True)))
    assert [seconds for seconds, _ in beside] == [seconds for seconds, _ in along] == times


def test_opencv_order_is_turned_round() -> None:
    turned = [image for _, image in given_frames(IMAGES[..., ::-1], fps=10, colours="bgr")]
    np.testing.assert_array_equal(turned, IMAGES)


@pytest.mark.parametrize(
    ("frames", "options", "message"),
    [
        (IMAGES, {}, "nothing says when each frame was taken; pass fps=.* or times="),
        (IMAGES, {"fps": 0}, "fps: expected a number above 0"),
        (IMAGES, {"fps": 5, "times": range(5)}, "found fps and times; pass one"),
        (IMAGES, {"times": range(4)}, r"more frames than times \(4\)"),
        (IMAGES, {"times": range(6)}, r"more times than frames \(5\)"),
        (IMAGES, {"times": [0, 1, 0.5, 2, 3]}, r"frame 2 is at 0.500 s, not after .*\(1.000 s\)"),
        (IMAGES, {"times": [0, float("nan"), 1, 2, 3]}, "frame 1: expected its time in seconds"),
        (
            zip(range(5), IMAGES, strict=True),
            {"fps": 3},
            "frame 0 has a time of its own",
        ),
        (IMAGES, {"fps": 5, "colours": "yuv"}, "expected 'rgb' or 'bgr', found 'yuv'"),
        (IMAGES / 255, {"fps": 5}, r"expected uint8 from 0 to 255, found float64; convert with"),
        (list(IMAGES / 255), {"fps": 5}, "frame 0: expected uint8"),
        (IMAGES.transpose(0, 3, 1, 2), {"fps": 5}, r"\(5, 3, 4, 6\); .*permute\(0, 2, 3, 1\)"),
        (IMAGES[0], {"fps": 5}, r"expected an array \(T, H, W, 3\), found \(4, 6, 3\)"),
        ([IMAGES[0, ..., 0]], {"fps": 5}, r"frame 0: expected an image \(H, W, 3\)"),
        ([IMAGES[0], IMAGES[0, 1:]], {"fps": 5}, "frame 1 is 6x3, but those before it are 6x4"),
        (7, {"fps": 5}, "found int"),
        ([], {"fps": 5}, "is empty; give at least one frame"),
        (IMAGES[:1], {"times": [0.0]}, "one frame with a time has no rate"),
    ],
)
def test_a_mistake_is_one_message(frames: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(VideoError, match=f"my frames: .*{message}"):
        hold_frames(frames, name="my frames", **options)
