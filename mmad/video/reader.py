"""Interface of the readers of video frames, whichever library decodes them."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mmad.errors import VideoError
from mmad.video.index import VideoIndex

Frame = NDArray[np.uint8]


class VideoReader(Protocol):
    """Frames of one video, by their position in order of presentation.

    Attributes:
        index: Times, rate and size of the video.
    """

    index: VideoIndex

    @property
    def damaged(self) -> Collection[int]:
        """Positions of frames read so far that could not be decoded and were replaced by others."""

    def read(self, frame_indices: Sequence[int] | NDArray[np.int64]) -> Frame:
        """The frames at ``frame_indices`` (any order, repeats allowed), uint8 RGB (F, H, W, 3)."""

    def stream(self, frame_indices: Iterable[int] | None = None) -> Iterator[Frame]:
        """The frames at ascending ``frame_indices`` (None: all), one uint8 (H, W, 3) at a time."""

    def close(self) -> None:
        """Close the file."""

    def __enter__(self) -> "VideoReader": ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


def scaled_size(width: int, height: int, *, short_side: int) -> tuple[int, int]:
    """(height, width) with ``short_side`` as the shorter side and the other in proportion, halves
    rounded up as in OpenMMLab.

    >>> scaled_size(1920, 1080, short_side=160)
    (160, 284)
    >>> scaled_size(480, 640, short_side=240)
    (320, 240)
    """
    scale = short_side / min(width, height)
    return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))


def gather(
    frames: Callable[[Iterable[int]], Iterator[Frame]],
    frame_indices: Sequence[int] | NDArray[np.int64],
    *,
    size: tuple[int, int],
) -> Frame:
    """Frames in any order, read from a stream of ascending ones; uint8 (F, height, width, 3).

    Args:
        frames: `VideoReader.stream`.
        frame_indices: Indices in any order, repeats allowed.
        size: (height, width) of a frame.
    """
    wanted = np.asarray(frame_indices, dtype=np.int64).reshape(-1)
    unique, where = np.unique(wanted, return_inverse=True)
    images = np.empty((len(unique), *size, 3), dtype=np.uint8)
    for row, image in enumerate(frames(unique.tolist())):
        images[row] = image
    if len(unique) == len(wanted) and (where == np.arange(len(wanted))).all():
        return images
    return images[where.reshape(-1)]


def check_indices(index: VideoIndex, frame_indices: NDArray[np.int64]) -> None:
    """Raise a `VideoError` that names the first of ``frame_indices`` outside the video, if any."""
    outside = (frame_indices < 0) | (frame_indices >= index.num_frames)
    if outside.any():
        raise VideoError(
            f"{index.path}: frame {int(frame_indices[outside][0])} was asked for, but the video "
            f"has frames 0 to {index.num_frames - 1}"
        )
