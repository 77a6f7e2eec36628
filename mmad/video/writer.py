"""Writing H.264 MP4 files that every reader opens and that appear under their name only when complete."""

import os
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import av.error
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from mmad.errors import VideoError

_NTSC = Fraction(1000, 1001)


def exact_fps(fps: float | Fraction) -> Fraction:
    """``fps`` as a fraction; decimals of the NTSC rates become their exact values.

    Raises: VideoError if ``fps`` is not positive.

    >>> exact_fps(29.97), exact_fps(23.976), exact_fps(25), exact_fps(12.5)
    (Fraction(30000, 1001), Fraction(24000, 1001), Fraction(25, 1), Fraction(25, 2))
    """
    if not 0 < fps < float("inf"):
        raise VideoError(f"frame rate: expected a positive number, found {fps}")
    nominal = round(fps / _NTSC)
    if nominal and fps != int(fps) and abs(fps - nominal * _NTSC) < 1e-3:
        return nominal * _NTSC
    return Fraction(fps).limit_denominator(1001)


def temporary_path(path: Path) -> Path:
    """The name beside ``path`` under which it is written until it is complete.

    The process id keeps two processes that write the same file from sharing it.
    """
    return path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")


class VideoWriter:
    """A context manager that writes RGB frames to an H.264 MP4 of constant rate.

    The file has closed groups of pictures and its index in front, and is written to a temporary name that
    is renamed at the end of a clean ``with`` block and removed after an exception. One encoder thread by
    default, so that the same frames give the same bytes.

    Raises: VideoError if the size is odd (4:2:0 colour halves both sides), the rate is not positive, a frame
    has another shape or type, no frame was written, or the file cannot be written.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        fps: float | Fraction,
        width: int,
        height: int,
        crf: int = 23,
        preset: str = "veryfast",
        gop_frames: int = 30,
        codec: str = "libx264",
        threads: int = 1,
    ) -> None:
        self.path = Path(path)
        if width < 2 or height < 2 or width % 2 or height % 2:
            raise VideoError(
                f"{self.path}: expected an even width and height, found {width} x {height}; "
                "crop or resize the frames to even sides"
            )
        self._rate = exact_fps(fps)
        self._shape = (height, width, 3)
        self._temporary = temporary_path(self.path)
        self.num_frames = 0
        try:
            self._container = av.open(
                str(self._temporary), "w", format="mp4", options={"movflags": "+faststart"}
            )
            self._stream = self._container.add_stream(codec, rate=self._rate)
            self._stream.width, self._stream.height = width, height
            self._stream.pix_fmt = "yuv420p"
            self._stream.codec_context.gop_size = gop_frames
            self._stream.codec_context.thread_count = threads
            if codec == "libx264":
                self._stream.options = {
                    "preset": preset,
                    "crf": str(crf),
                    # A threads value in x264's own options keeps its look-ahead single-threaded too.
                    "x264-params": f"open-gop=0:threads={threads}:lookahead-threads=1",
                }
        except (OSError, av.error.FFmpegError, ValueError) as error:
            self._discard()
            raise VideoError(
                f"{self.path}: cannot be written ({error}); check the folder, the free space and the "
                f"codec {codec!r}"
            ) from error

    def write(self, frame: NDArray[np.uint8]) -> None:
        """Append ``frame``, uint8 RGB of shape (height, width, 3)."""
        if frame.shape != self._shape or frame.dtype != np.uint8:
            raise VideoError(
                f"{self.path}: frame {self.num_frames}: expected uint8 of shape {self._shape}, "
                f"found {frame.dtype} of shape {frame.shape}"
            )
        picture = VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
        picture.pts = self.num_frames
        picture.time_base = 1 / self._rate
        self.num_frames += 1
        try:
            self._container.mux(self._stream.encode(picture))
        except (OSError, av.error.FFmpegError) as error:
            raise VideoError(f"{self.path}: cannot be written ({error})") from error

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
            os.replace(self._temporary, self.path)
        except (OSError, av.error.FFmpegError) as error:
            self._discard()
            raise VideoError(f"{self.path}: cannot be written ({error})") from error

    def _discard(self) -> None:
        container = getattr(self, "_container", None)
        if container is not None:
            try:
                container.close()
            except (OSError, av.error.FFmpegError):
                # The reason for discarding is already on its way to the caller.
                pass
        self._temporary.unlink(missing_ok=True)
