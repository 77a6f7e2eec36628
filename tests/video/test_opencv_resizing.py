"""Frames resized as OpenCV does it."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from mmad.video.open import open_video


@pytest.mark.parametrize("short_side", [20, 50])
def test_resizing_as_opencv_does_it(videos: Path, short_side: int) -> None:
    path = sorted((videos / "videos").iterdir())[0]
    order = [5, 0, 0, 11]
    with open_video(path) as video:
        full = video.read(order)
    theirs = [cv2.resize(f, (short_side, short_side)) for f in full]
    with open_video(path, short_side=short_side, resizing="opencv") as video:
        assert (video.read(order) == np.stack(theirs)).all()
        streamed = list(video.stream([0, 5, 11]))
        assert (np.stack(streamed) == np.stack(theirs)[[1, 0, 3]]).all()
        assert not video.damaged
    with open_video(path, short_side=short_side) as video:
        assert (video.read(order) != np.stack(theirs)).any()
