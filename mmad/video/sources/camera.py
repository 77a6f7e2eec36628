"""Frames of a camera, of a network address, or of a file in place of one, read by OpenCV.

A camera does not wait: a thread takes its frames as they come, each with the time of its arrival,
and keeps them, at the size that the model sees, until they are asked for.
"""

import os
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from mmad.errors import VideoError
from mmad.video.closing import Closing
from mmad.video.find import SUFFIXES
from mmad.video.reader import Frame
from mmad.video.sources.given import given_frames
from mmad.wording import count

# At 30 frames/s what arrives in a quarter of a minute.
_MOST_WAITING = 512
_LONGEST_WAIT_MS = 10_000
_POLL_SECONDS = 0.2


class Capture(Protocol):
    """What is used of ``cv2.VideoCapture``."""

    def read(self) -> tuple[bool, Any]:
        """Whether there is a frame, and that frame, BGR uint8 (H, W, 3)."""

    def release(self) -> None:
        """Close it."""


class Camera(Closing):
    """A source of frames that OpenCV opens.

    Args:
        source: Number of a camera ("0"), an address ("rtsp://...") or a video file.
        shrink: Applied to each frame, RGB uint8 (H, W, 3), before it is kept.
        capture: Opened in its stead, as a live one.
        clock: Time in seconds, for what has no times.

    Attributes:
        name: Name of the source without user and password.
        fps: Constant rate of a file; None for what is live, whose frames have times.
        num_dropped: Frames that came while too many were waiting.

    Raises: VideoError if it cannot be opened, or a file does not state its rate.
    """

    def __init__(
        self,
        source: str,
        *,
        shrink: Callable[[Frame], Frame] | None = None,
        capture: Capture | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.name, self.video_id = _names(source)
        self.shrink = shrink
        self.fps: float | None = None
        self.num_dropped = 0
        self._num_read = 0
        self._clock = clock
        self._asked_to_stop = threading.Event()
        self._waiting: queue.Queue[tuple[float, Frame]] = queue.Queue(_MOST_WAITING)
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None
        self._is_live = capture is not None or not Path(source).is_file()
        self._capture = capture or self._open(source)

    def _open(self, source: str) -> Capture:
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
        import cv2  # slow

        cv2.utils.logging.setLogLevel(0)  # what fails is said below, in one message
        if source.isdecimal():
            opened = cv2.VideoCapture(int(source))
        elif "://" in source:
            limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _LONGEST_WAIT_MS]
            limits += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, _LONGEST_WAIT_MS]
            opened = cv2.VideoCapture(source, cv2.CAP_FFMPEG, limits)
        else:
            opened = cv2.VideoCapture(source)
        if not opened.isOpened():
            opened.release()
            if Path(source).suffix.lower() in SUFFIXES and "://" not in source:
                is_there = Path(source).is_file()
                reason = "OpenCV cannot open this file" if is_there else "there is no such file"
                raise VideoError(
                    f"{self.name}: {reason}; detect in a video file without --camera, and pass "
                    "--camera the number of a camera (0 is the first) or an address"
                )
            raise VideoError(
                f"{self.name}: OpenCV cannot open it; pass the number of a connected camera (0 is "
                "the first) that no other program uses, or an address that "
                "a player opens, such as rtsp://HOST/PATH"
            )
        if not self._is_live:
            self.fps = opened.get(cv2.CAP_PROP_FPS)
            if not 0 < self.fps <= 1000:
                opened.release()
                raise VideoError(
                    f"{self.name}: does not state its frame rate; detect in the file without "
                    "--camera"
                )
        return opened

    def stop(self) -> None:
        """End the frames; those that wait are still given."""
        self._asked_to_stop.set()

    def close(self) -> None:
        """Close the source."""
        self.stop()
        # A read that hangs must not lose its capture; the thread ends with the process.
        if self._thread is None or not self._thread.is_alive():
            self._capture.release()

    def frames(self, *, seconds: float | None = None) -> Iterator[tuple[float, Frame]]:
        """Time since the first frame in seconds, and image, RGB uint8 (H, W, 3), of each frame.

        Args:
            seconds: Stop after so many; None goes on until the source ends or `stop` is called.

        Raises: VideoError if the source gives no frame, or frames of several sizes.
        """
        for moment, image in self._live() if self._is_live else self._prepared():
            if seconds is not None and moment >= seconds:
                break
            yield moment, image
        self.stop()
        if not self._num_read:
            raise VideoError(
                f"{self.name}: was opened but gives no frame; check the device or the address in a "
                "player"
            )

    def notices(self) -> list[str]:
        """What the user should know: frames that were dropped."""
        if not self.num_dropped:
            return []
        return [
            f"{self.name}: {count(self.num_dropped, 'frame', 'was')} dropped, because detection is "
            "slower than the camera; use a GPU, a smaller model or less overlap of windows"
        ]

    def _prepared(self) -> Iterator[tuple[float, Frame]]:
        frames = given_frames(self._captured(), colours="bgr", name=self.name)
        for moment, image in frames:
            yield moment, self.shrink(image) if self.shrink else image.copy()

    def _captured(self) -> Iterator[tuple[float, Any]]:
        first: float | None = None
        while not self._asked_to_stop.is_set():
            is_there, image = self._capture.read()
            if not is_there:
                return
            now = self._num_read / self.fps if self.fps else self._clock()
            first = now if first is None else first
            self._num_read += 1
            yield now - first, image

    def _live(self) -> Iterator[tuple[float, Frame]]:
        thread = threading.Thread(target=self._keep, name=self.name, daemon=True)
        self._thread = thread
        thread.start()
        try:
            while True:
                has_ended = not thread.is_alive()
                if self._asked_to_stop.is_set():
                    thread.join(timeout=_LONGEST_WAIT_MS / 1000)
                    has_ended = True
                try:
                    # Without a limit Windows would not hear Ctrl-C.
                    yield self._waiting.get(timeout=0.001 if has_ended else _POLL_SECONDS)
                except queue.Empty:
                    if has_ended:
                        break
        finally:
            self.stop()
            thread.join(timeout=_LONGEST_WAIT_MS / 1000)
        if self._failure is not None:
            raise self._failure

    def _keep(self) -> None:
        """Take frames from the camera, in the thread."""
        try:
            for item in self._prepared():
                try:
                    self._waiting.put_nowait(item)
                except queue.Full:
                    self.num_dropped += 1
        except Exception as error:  # raised where the frames are asked for
            self._failure = error


def _names(source: str) -> tuple[str, str]:
    """The name of a source in messages, and an id for files."""
    if source.isdecimal():
        return f"camera {source}", f"camera{source}"
    if "://" in source:
        try:
            parts = urlsplit(source)
            port = f":{parts.port}" if parts.port is not None else ""
        except ValueError:  # without the address, which may hold a password
            raise VideoError(
                "camera: the address is not valid; expected rtsp://HOST/PATH"
            ) from None
        place = f"{parts.hostname or ''}{port}{parts.path}"
        return f"{parts.scheme}://{place}", re.sub(r"[^\w.-]+", "_", place).strip("_.") or "stream"
    return source, re.sub(r"[^\w.-]+", "_", Path(source).stem).strip("_.") or "stream"
