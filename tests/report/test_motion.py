"""The film strip: what is computed stays bright."""

import numpy as np

from mmad.report.motion import dimmed, motion_figure
from support.figures import is_whole, texts_of

KEPT = np.array([[True, False], [False, False]])


def test_what_is_not_computed_is_dark_and_grey() -> None:
    image = np.full((4, 4, 3), (30, 60, 90), dtype=np.uint8)
    shown = dimmed(image, KEPT)
    assert shown[:2, :2].tolist() == image[:2, :2].tolist()
    assert shown[3, 3].tolist() == [21, 21, 21]


def test_each_frame_names_its_time_and_share() -> None:
    image = np.zeros((32, 32, 3), dtype=np.uint8)
    figure = motion_figure(
        "a_$1_video.mp4",
        [(0.1, image, KEPT), (0.5, image, ~KEPT)],
        np.array([1.0, 0.25, 0.75, 0.0]),
        seconds_per_step=0.1,
        steps_per_clip=2,
    )
    texts = texts_of(figure)
    assert "a_$1_video.mp4" in texts
    assert {"0.10 s, 25 %", "0.50 s, 75 %"} <= set(texts)
    assert is_whole(figure)
