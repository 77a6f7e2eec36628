"""Resizing as in the reference implementations: decoding at full size, then bilinear by OpenCV."""

from collections.abc import Collection, Iterable, Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from mmad.video.closing import Closing
from mmad.video.reader import Frame, VideoReader, gather


def resize_image(image: Frame, size: tuple[int, int]) -> Frame:
    """The image at ``size`` (height, width), bilinear."""
    height, width = size
    resized = cv2.resize(
        np.ascontiguousarray(image), (width, height), interpolation=cv2.INTER_LINEAR
    )
    return np.asarray(resized, dtype=np.uint8)


class ResizingReader(Closing):
    """Frames of another reader, resized one by one. See `mmad.video.reader.VideoReader`.

    Args:
        reader: Reader of the frames at full size.
        size: Size (height, width) in pixels.
    """

    def __init__(self, reader: VideoReader, *, size: tuple[int, int]) -> None:
        self.index = reader.index
        self._reader = reader
        self._size = size

    @property
    def damaged(self) -> Collection[int]:
        """The damaged frames of the wrapped reader."""
        return self._reader.damaged

    def close(self) -> None:
        """Close the file."""
        self._reader.close()

    def read(self, frame_indices: Sequence[int] | NDArray[np.int64]) -> Frame:
        """The frames at ``frame_indices`` (any order, repeats allowed), uint8 RGB (F, H, W, 3)."""
        return gather(self.stream, frame_indices, size=self._size)

    def stream(self, frame_indices: Iterable[int] | None = None) -> Iterator[Frame]:
        """The frames at ascending ``frame_indices`` (None: all), one uint8 (H, W, 3) at a time."""
        for frame in self._reader.stream(frame_indices):
            yield resize_image(frame, self._size)
