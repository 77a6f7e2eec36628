"""Temporal gradients: which frames, and how much they change."""

from pathlib import Path

import numpy as np
import pytest

from mmad.errors import VideoError
from mmad.report.data_figures.temporal_gradient import draw_temporal_gradients
from mmad.video.gradient import temporal_gradients
from mmad.video.writer import VideoWriter
from support.figures import is_whole, texts_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten frames, one in a tenth of a second, each brighter by 20 than the one before."""
    path = tmp_path_factory.mktemp("videos") / "brighter.mp4"
    with VideoWriter(path, fps=10, width=32, height=32) as writer:
        for number in range(10):
            writer.write(np.full((32, 32, 3), 20 + 20 * number, np.uint8))
    return path


def test_gradients_are_differences_to_a_later_frame(video: Path) -> None:
    found = temporal_gradients(video, num_frames=2, gap=1)
    # The middles of both halves of a second are 0.25 and 0.75 s.
    assert found.positions.tolist() == [2, 7]
    np.testing.assert_allclose(found.gradients.mean(axis=(1, 2)), 20, atol=4)
    found = temporal_gradients(video, num_frames=1, gap=3, start_seconds=0.0, end_seconds=0.2)
    assert found.positions.tolist() == [1]
    np.testing.assert_allclose(found.gradients.mean(), 60, atol=4)
    # The last frame has none after it.
    assert temporal_gradients(video, num_frames=10, gap=2).positions.max() == 7


def test_what_is_outside_of_the_video_is_told(video: Path) -> None:
    with pytest.raises(VideoError, match=r"--to <= 1.00 s, the end of the video; found 0 and 2"):
        temporal_gradients(video, num_frames=2, end_seconds=2.0)
    with pytest.raises(VideoError, match="has 10 frames; --gap 10 needs more"):
        temporal_gradients(video, num_frames=2, gap=10)


def test_frames_above_their_gradients(video: Path) -> None:
    found = temporal_gradients(video, num_frames=2)
    titles = ["(a) " + "long " * 40, "(b) $x"]
    drawn = draw_temporal_gradients([found, found], titles=titles, width_inches=3.5)
    shown = [axis.images[0].get_array() for axis in drawn.figure.axes]
    assert len(shown) == 2 * 2
    assert (np.asarray(shown[1]) < 128).all()  # all of the image changes alike, so it is dark
    assert {"(b) $x", "0.20 s", "0.70 s"} <= set(texts_of(drawn.figure))
    assert is_whole(drawn.figure)
    assert [row[:3] for row in drawn.rows] == [
        ("brighter.mp4", position, pytest.approx(position / 10)) for position in (2, 7, 2, 7)
    ]
