"""Frames of cameras: OpenCV reads a file, and something drawn takes its place for the rest."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmad.errors import VideoError
from mmad.video.open import open_video
from mmad.video.sources import camera as module
from mmad.video.sources.camera import Camera


class Drawn:
    """A capture of images that it draws, blue in OpenCV's order; each may call a function."""

    def __init__(
        self, count: int, *, sizes: tuple[int, ...] = (4,), then: Callable[[int], Any] = id
    ) -> None:
        self.count = count
        self.sizes = sizes
        self.then = then
        self.number = 0
        self.is_released = False

    def read(self) -> tuple[bool, Any]:
        if self.number == self.count:
            return False, None
        self.then(self.number)
        image = np.zeros((4, self.sizes[self.number % len(self.sizes)], 3), dtype=np.uint8)
        image[..., 0] = self.number
        self.number += 1
        return True, image

    def release(self) -> None:
        self.is_released = True


def ticking() -> Callable[[], float]:
    moments = iter(range(100, 10**6))
    return lambda: next(moments) / 10


def test_frames_come_in_rgb_with_the_time_since_the_first() -> None:
    capture = Drawn(5)
    with Camera("0", capture=capture, clock=ticking()) as camera:
        assert camera.fps is None
        frames = list(camera.frames())
    np.testing.assert_allclose([moment for moment, _ in frames], [0, 0.1, 0.2, 0.3, 0.4])
    assert [image[0, 0].tolist() for _, image in frames] == [[0, 0, n] for n in range(5)]
    assert capture.is_released
    assert camera.notices() == []


def test_it_stops_after_so_many_seconds_or_when_asked() -> None:
    camera = Camera("0", capture=Drawn(-1), clock=ticking())
    assert len(list(camera.frames(seconds=1.25))) == 13
    camera = Camera("0", capture=Drawn(-1, then=lambda n: n < 7 or camera.stop()), clock=ticking())
    assert len(list(camera.frames())) == 8


def test_what_comes_too_fast_is_dropped_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_WAITING", 10)
    camera = Camera("0", capture=Drawn(25), clock=ticking())
    frames = camera.frames()
    next(frames)
    assert camera._thread is not None
    camera._thread.join()
    kept = 1 + len(list(frames))
    assert 10 <= kept <= 11
    assert camera.num_dropped == 25 - kept
    (told,) = camera.notices()
    assert told.startswith(f"camera 0: {25 - kept} frames were dropped, because detection is slow")


def test_a_file_stands_in_for_a_camera(videos: Path) -> None:
    file = min((videos / "videos").glob("val*.mp4"))
    with open_video(file) as video:
        wanted = video.read([0, 1, 2])
        times = video.index.times_seconds
    with Camera(str(file), shrink=lambda image: image[::2, ::2].copy()) as camera:
        frames = list(camera.frames())
        assert camera.fps == pytest.approx(15)
    np.testing.assert_allclose([moment for moment, _ in frames], times, atol=1e-6)
    for (_, image), expected in zip(frames, wanted[:, ::2, ::2].astype(int), strict=False):
        assert np.abs(image.astype(int) - expected).mean() < 8


def test_a_bad_source_is_one_message() -> None:
    with pytest.raises(VideoError, match=r"^camera 97: OpenCV cannot open it; pass the number of"):
        Camera("97")
    with pytest.raises(VideoError, match=r"^nowhere\.mp4: there is no such file; detect in"):
        Camera("nowhere.mp4")
    with pytest.raises(
        VideoError, match=r"^rtsp://127\.0\.0\.1:9/live: OpenCV cannot open it"
    ) as said:
        Camera("rtsp://user:secret@127.0.0.1:9/live")
    assert "secret" not in str(said.value)
    for address in ("rtsp://[user", "rtsp://127.0.0.1:99999/live"):
        with pytest.raises(VideoError, match="address is not valid"):
            Camera(address)
    with pytest.raises(VideoError, match="camera 0: was opened but gives no frame"):
        list(Camera("0", capture=Drawn(0)).frames())
    frames = Camera("0", capture=Drawn(3, sizes=(4, 6)), clock=ticking()).frames()
    with pytest.raises(VideoError, match="camera 0: frame 1 is 6x4, but those before it are 4x4"):
        list(frames)
