"""Opening a video, a file or an opened one, with a given reader and at a given size."""

import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from mmad.errors import VideoError
from mmad.video.decord_reader import DecordReader
from mmad.video.index import VideoIndex, index_video
from mmad.video.pyav_reader import PyAVReader
from mmad.video.reader import VideoReader, scaled_size

READERS: dict[str, Callable[..., VideoReader]] = {"pyav": PyAVReader, "decord": DecordReader}


class OpenedVideo(Protocol):
    """A video that is more than a file: frames in memory, or decoded by another process."""

    @property
    def index(self) -> VideoIndex:
        """Times, rate and size."""

    def open(self, *, size: tuple[int, int], reader: str, resizing: str) -> VideoReader:
        """A reader; the arguments are those of `open_video`."""


VideoSource = str | Path | OpenedVideo


def index_source(source: VideoSource) -> VideoIndex:
    """The index of a video.

    Raises: VideoError as `index_video`.
    """
    return index_video(source) if isinstance(source, str | Path) else source.index


def open_video(
    source: VideoSource,
    *,
    reader: str = "pyav",
    short_side: int | None = None,
    size: tuple[int, int] | None = None,
    resizing: str = "decoder",
    threads: int | None = None,
) -> VideoReader:
    """A reader of a video.

    Args:
        source: Video file, or an opened video.
        reader: "pyav", or "decord" for parity with pipelines that use it.
        short_side: Resize so that the shorter side has this many pixels.
        size: Resize to exactly (height, width) instead, without keeping the aspect.
        resizing: "decoder" averages pixels while decoding; "opencv" decodes at full size and
            resizes each image bilinearly with OpenCV, as the reference implementations do.
        threads: Decoder threads; 0 uses every core; None is 1 in a worker process and 0 elsewhere.

    Raises: VideoError if the file cannot be read, the reader is unknown or not installed, or a size
    is impossible.
    """
    if reader not in READERS:
        raise VideoError(f"reader: expected one of {', '.join(READERS)}; found {reader!r}")
    if short_side is not None and size is not None:
        raise VideoError("give short_side or size, not both")
    asked = size if size is not None else (1 if short_side is None else short_side,)
    if min(asked) < 1:
        raise VideoError(f"size: expected at least 1 pixel, found {min(asked)}")
    index = index_source(source)
    if reader == "decord" and index.is_mirrored:
        raise VideoError(f"{index.path}: is stored mirrored, which decord ignores; use reader=pyav")
    if threads is None:
        # Workers already share the cores among themselves.
        threads = 0 if multiprocessing.parent_process() is None else 1
    if short_side is not None:
        size = scaled_size(index.width, index.height, short_side=short_side)
    full = (index.height, index.width)
    if not isinstance(source, str | Path):
        return source.open(size=size or full, reader=reader, resizing=resizing)
    if resizing == "opencv" and size is not None and size != full:
        from mmad.video.opencv_resizing import ResizingReader  # OpenCV is slow to import

        return ResizingReader(READERS[reader](index, size=full, threads=threads), size=size)
    return READERS[reader](index, size=size or full, threads=threads)
