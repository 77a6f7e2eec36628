"""One way to read frames of a video, whichever library decodes them."""

import multiprocessing
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mmad.errors import VideoError
from mmad.video.index import VideoIndex, index_video

Frame = NDArray[np.uint8]


class VideoReader(Protocol):
    """Frames of one video, by their position in order of presentation.

    Attributes:
        index: times, rate and size of the video.
    """

    index: VideoIndex

    @property
    def damaged(self) -> Collection[int]:
        """Positions of the frames so far that could not be decoded, for which others stand in."""

    def read(self, frame_indices: Sequence[int] | NDArray[np.int64]) -> Frame:
        """The frames at ``frame_indices`` (any order, repeats allowed), uint8 RGB (F, H, W, 3)."""

    def stream(self, frame_indices: Iterable[int] | None = None) -> Iterator[Frame]:
        """The frames at ascending ``frame_indices`` (None: all), one uint8 (H, W, 3) at a time."""

    def close(self) -> None:
        """Give the file back."""

    def __enter__(self) -> "VideoReader": ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


def scaled_size(width: int, height: int, *, short_side: int) -> tuple[int, int]:
    """(height, width) with ``short_side`` as the shorter side and the other in proportion, halves
    rounded up as OpenMMLab's codes do.

    >>> scaled_size(1920, 1080, short_side=160)
    (160, 284)
    >>> scaled_size(480, 640, short_side=240)
    (320, 240)
    """
    scale = short_side / min(width, height)
    return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))


def _pyav(index: VideoIndex, size: tuple[int, int], threads: int) -> VideoReader:
    from mmad.video.pyav_reader import PyAVReader

    return PyAVReader(index, size=size, threads=threads)


def _decord(index: VideoIndex, size: tuple[int, int], threads: int) -> VideoReader:
    from mmad.video.decord_reader import DecordReader

    return DecordReader(index, size=size, threads=threads)


READERS: dict[str, Callable[[VideoIndex, tuple[int, int], int], VideoReader]] = {
    "pyav": _pyav,
    "decord": _decord,
}


def open_video(
    path: str | Path,
    *,
    reader: str = "pyav",
    short_side: int | None = None,
    size: tuple[int, int] | None = None,
    resizing: str = "decoder",
    threads: int | None = None,
) -> VideoReader:
    """A reader of the video at ``path``.

    Args:
        path: the file.
        reader: "pyav", or "decord" for parity with pipelines that use it.
        short_side: resize so that the shorter side has this many pixels.
        size: resize to exactly (height, width) instead, whatever the proportions.
        resizing: "decoder" averages pixels while decoding; "opencv" decodes at full size and
            resizes each picture bilinearly with OpenCV, as the published codes do.
        threads: decoder threads; 0 uses every core; None is 1 in a worker process and 0 elsewhere.

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
    index = index_video(path)
    if reader == "decord" and index.is_mirrored:
        raise VideoError(f"{path}: is stored mirrored, which decord ignores; use reader=pyav")
    if threads is None:
        # Workers already share the cores among themselves.
        threads = 0 if multiprocessing.parent_process() is None else 1
    if short_side is not None:
        size = scaled_size(index.width, index.height, short_side=short_side)
    full = (index.height, index.width)
    if resizing == "opencv" and size is not None and size != full:
        from mmad.video.opencv_resizing import ResizingReader

        return ResizingReader(READERS[reader](index, full, threads), size=size)
    return READERS[reader](index, size or full, threads)


def gather(
    frames: Callable[[Iterable[int]], Iterator[Frame]],
    frame_indices: Sequence[int] | NDArray[np.int64],
    *,
    size: tuple[int, int],
) -> Frame:
    """Frames in any order out of a stream of ascending ones, uint8 (F, height, width, 3).

    Args:
        frames: `VideoReader.stream`.
        frame_indices: any order, repeats allowed.
        size: (height, width) of a frame.
    """
    wanted = np.asarray(frame_indices, dtype=np.int64).reshape(-1)
    unique, where = np.unique(wanted, return_inverse=True)
    pictures = np.empty((len(unique), *size, 3), dtype=np.uint8)
    for row, picture in enumerate(frames(unique.tolist())):
        pictures[row] = picture
    if len(unique) == len(wanted) and (where == np.arange(len(wanted))).all():
        return pictures
    return pictures[where.reshape(-1)]


def check_indices(index: VideoIndex, frame_indices: NDArray[np.int64]) -> None:
    """Do nothing if the video has all ``frame_indices``.

    Raises: VideoError that names the first one outside.
    """
    outside = (frame_indices < 0) | (frame_indices >= index.num_frames)
    if outside.any():
        raise VideoError(
            f"{index.path}: frame {int(frame_indices[outside][0])} was asked for, but the video "
            f"has frames 0 to {index.num_frames - 1}"
        )
