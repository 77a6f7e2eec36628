"""Atomic writing of H.264 MP4 files."""

import contextlib
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import cast

import av
import av.error
import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from mmad.errors import MmadError, VideoError
from mmad.files import cannot_write, is_disk_error, make_folder, move, partial_path

_NTSC = Fraction(1000, 1001)


def exact_fps(fps: float | Fraction) -> Fraction:
    """``fps`` as a fraction; decimals of the NTSC rates become their exact values.

    Raises: VideoError if ``fps`` is not positive.

    >>> exact_fps(29.97), exact_fps(23.976), exact_fps(25), exact_fps(12.5)
    (Fraction(30000, 1001), Fraction(24000, 1001), Fraction(25, 1), Fraction(25, 2))
    """
    if not 0 < fps < float("inf"):
        raise VideoError(f"frame rate: expected a positive number, found {fps}")
    nominal = round(float(fps) * 1.001)
    if nominal and fps != int(fps) and abs(float(fps) - nominal / 1.001) < 1e-3:
        return nominal * _NTSC
    return Fraction(fps).limit_denominator(1001)


class VideoWriter:
    """A context manager that writes RGB frames to an H.264 MP4.

    The file has closed groups of pictures and its index in front. It is written under a temporary
    name, renamed at the end of a clean ``with`` block and removed after an exception.

    Args:
        path: Path of the file; its folder is created if missing.
        fps: Frames per second.
        width, height: Size in pixels, even, because 4:2:0 colour halves both.
        crf: Quality of x264; lower is better.
        preset: Speed preset of x264.
        gop_frames: Maximum number of frames between keyframes.
        codec: Name of the encoder; "libx264rgb" keeps red, green and blue apart, each in full.
        threads: Threads of the encoder; with 1 the same frames give the same bytes.
        time_base: Seconds per unit of the times given to `write`; None counts frames.

    Raises: VideoError if a side is odd, the rate is not positive, a frame has another shape or
    type, no frame was written, or the encoder fails; OutputError if the disk does.
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
        codec: str = "libx264",
        threads: int = 1,
        time_base: Fraction | None = None,
    ) -> None:
        self.path = Path(path)
        if width < 2 or height < 2 or width % 2 or height % 2:
            raise VideoError(
                f"{self.path}: expected an even width and height, found {width} x {height}; "
                "crop or resize the frames to even sides"
            )
        make_folder(self.path.parent)
        rate = exact_fps(fps)
        self._time_base = time_base or 1 / rate
        self._shape = (height, width, 3)
        self._temporary = partial_path(self.path)
        self.num_frames = 0
        try:
            self._container = av.open(
                str(self._temporary), "w", format="mp4", options={"movflags": "+faststart"}
            )
            self._stream = cast(VideoStream, self._container.add_stream(codec, rate=rate))
            self._stream.codec_context.time_base = self._time_base
            self._stream.width, self._stream.height = width, height
            self._pixels = "rgb24" if codec == "libx264rgb" else "yuv420p"
            self._stream.pix_fmt = self._pixels
            self._stream.codec_context.gop_size = gop_frames
            self._stream.codec_context.thread_count = threads
            if codec in ("libx264", "libx264rgb"):
                # Players seek by decoding times. With B-frames and uneven times these tell too
                # little of the times at which frames are shown.
                b_frames = "" if time_base is None else ":bframes=0"
                self._stream.options = {
                    "preset": preset,
                    "crf": str(crf),
                    # x264 starts look-ahead threads of its own unless told not to. Its macroblock
                    # tree makes about one file in ten differ although the frames are the same.
                    "x264-params": f"open-gop=0:threads={threads}:lookahead-threads=1:"
                    f"sync-lookahead=0:no-mbtree=1{b_frames}",
                }
        except (OSError, av.error.FFmpegError, ValueError) as error:
            self._discard()
            raise self._failure(error) from error

    def write(self, frame: NDArray[np.uint8], *, time: int | None = None) -> None:
        """Append ``frame``, uint8 RGB (height, width, 3), shown at ``time`` in time base units."""
        if frame.shape != self._shape or frame.dtype != np.uint8:
            raise VideoError(
                f"{self.path}: frame {self.num_frames}: expected uint8 of shape {self._shape}, "
                f"found {frame.dtype} of shape {frame.shape}"
            )
        pixels = np.ascontiguousarray(frame)
        if self._pixels == "yuv420p":
            # Converted here, so that the encoder gets the same bytes on every run.
            pixels = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2YUV_I420), dtype=np.uint8)
        try:
            image = VideoFrame.from_ndarray(pixels, format=self._pixels)
            image.pts = self.num_frames if time is None else time
            image.time_base = self._time_base
            self.num_frames += 1
            self._container.mux(self._stream.encode(image))
        except (OSError, av.error.FFmpegError) as error:
            raise self._failure(error) from error

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exc_type is not None:
            self._discard()
            return
        if self.num_frames == 0:
            self._discard()
            raise VideoError(f"{self.path}: no frame was written, so no video was made")
        try:
            self._container.mux(self._stream.encode(None))
            self._container.close()
            move(self._temporary, self.path)
        except (OSError, av.error.FFmpegError) as error:
            self._discard()
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> MmadError:
        if is_disk_error(error):
            return cannot_write(self.path, error)
        reason = getattr(error, "strerror", None) or error
        return VideoError(f"{self.path}: cannot be written as a video ({reason})")

    def _discard(self) -> None:
        container = getattr(self, "_container", None)
        if container is not None:
            # The reason for discarding is already on its way to the caller.
            with contextlib.suppress(OSError, av.error.FFmpegError):
                container.close()
        self._temporary.unlink(missing_ok=True)


def check_encoding(*, short_side: int | None, crf: int, gop_frames: int) -> list[str]:
    """Problems of these settings of copies; empty if there are none."""
    problems = []
    if short_side is not None and short_side < 16:
        problems.append(f"short_side: expected at least 16 pixels, found {short_side}")
    if not 0 <= crf <= 51:
        problems.append(f"crf: expected 0 (lossless) to 51, found {crf}")
    if gop_frames < 1:
        problems.append(f"gop_frames: expected at least 1, found {gop_frames}")
    return problems
