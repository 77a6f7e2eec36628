"""Writing H.264 video files with PyAV: nothing but the Python package is needed."""

import os
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from numpy.typing import NDArray

from mmad.errors import VideoError


class VideoWriter:
    """Context manager that writes one MP4; the file has its name only once it is whole.

    Args:
        path: of the file; its folder must be there.
        fps: frames per second.
        width, height: pixels, even.
        crf: quality, lower is better.
        preset: speed of the encoder.
        gop_frames: frames between two key frames; groups are closed, so that each can be decoded alone.
        threads: of the encoder; 1 gives the same bytes on every run.
        time_base: seconds of one unit of the times given to `write`; None counts frames.

    Raises: VideoError if a side is odd, or a frame has another size.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        fps: float | Fraction,
        width: int,
        height: int,
        crf: int = 23,
        preset: str = "veryfast",
        gop_frames: int = 30,
        threads: int = 1,
        time_base: Fraction | None = None,
    ) -> None:
        if width % 2 or height % 2 or width < 2 or height < 2:
            raise VideoError(f"{path}: H.264 needs even sides, found {width}x{height} pixels")
        self.path = Path(path)
        self._size = (height, width)
        self._partial = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        self._container = av.open(
            str(self._partial), "w", format="mp4", options={"movflags": "faststart"}
        )
        rate = Fraction(fps).limit_denominator(100_000)
        self._stream = self._container.add_stream("libx264", rate=rate)
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.thread_count = threads
        self._stream.codec_context.time_base = time_base or 1 / rate
        self._stream.options = {
            "crf": str(crf),
            "preset": preset,
            "g": str(gop_frames),
            "x264-params": "open-gop=0",
        }
        self._time_base = time_base or 1 / rate
        self._num_frames = 0

    def __enter__(self) -> Self:
        return self

    def write(self, frame: NDArray[np.uint8], *, time: int | None = None) -> None:
        """Append a frame, uint8 (H, W, 3) RGB; ``time`` is its presentation time in units of the time base."""
        if frame.shape != (*self._size, 3):
            height, width = self._size
            raise VideoError(
                f"{self.path}: expected frames {height}x{width}x3, found {frame.shape}"
            )
        picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
        picture.pts = self._num_frames if time is None else time
        picture.time_base = self._time_base
        for packet in self._stream.encode(picture):
            self._container.mux(packet)
        self._num_frames += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            for packet in self._stream.encode(None):
                self._container.mux(packet)
        self._container.close()
        if kind is None:
            os.replace(self._partial, self.path)
        else:
            self._partial.unlink(missing_ok=True)
