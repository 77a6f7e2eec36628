"""One way to read frames of a video, whichever library decodes them."""

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
