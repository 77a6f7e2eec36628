"""Reading with decord, for parity with published pipelines that use it.

decord silently returns wrong frames for open groups of pictures, for stream-copied cuts and for
MPEG-TS, and its batch read can hang; the default reader does neither.
"""

import importlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmad.errors import VideoError
from mmad.video.closing import Closing
from mmad.video.index import VideoIndex
from mmad.video.reader import Frame, check_indices

# `stream` asks decord for this many frames at once: enough that the overhead of calls does not
# dominate, few enough to keep memory small.
_FRAMES_PER_CALL = 16


class DecordReader(Closing):
    """Frames of one video, decoded by decord. See `mmad.video.reader.VideoReader`.

    Raises: VideoError if decord is not installed or cannot open the file.
    """

    def __init__(self, index: VideoIndex, *, size: tuple[int, int], threads: int = 0) -> None:
        try:
            decord = importlib.import_module("decord")
        except ImportError as error:
            raise VideoError(
                'the reader "decord" is not installed: on Linux (x86-64) and Windows use '
                "pip install decord, elsewhere reader=pyav"
            ) from error
        self.index = index
        self.damaged: set[int] = set()
        height, width = size
        self._shape = (height, width, 3)
        try:
            self._reader: Any = decord.VideoReader(
                str(index.path), width=width, height=height, num_threads=threads
            )
        except (RuntimeError, decord.DECORDError) as error:
            raise VideoError(
                f"{index.path}: decord cannot open this video; use reader=pyav"
            ) from error
        self._num_found = len(self._reader)

    def close(self) -> None:
        """Close the file; the reader cannot be used afterwards."""
        self._reader = None

    def read(self, frame_indices: Sequence[int] | NDArray[np.int64]) -> Frame:
        """The frames at ``frame_indices`` (any order, repeats allowed), uint8 RGB (F, H, W, 3).

        Frames that decord lacks (it counts fewer in damaged files) repeat its last one and count
        as damaged.
        """
        wanted = np.asarray(frame_indices, dtype=np.int64).reshape(-1)
        check_indices(self.index, wanted)
        if len(wanted) == 0:
            return np.empty((0, *self._shape), dtype=np.uint8)
        beyond = wanted[wanted >= self._num_found].tolist()
        if beyond:
            self.damaged.update(beyond)
            wanted = np.minimum(wanted, self._num_found - 1)
        try:
            frames: Frame = self._reader.get_batch(wanted.tolist()).asnumpy()
        except RuntimeError as error:
            raise VideoError(
                f"{self.index.path}: decord cannot decode frames {int(wanted.min())} to "
                f"{int(wanted.max())}; use reader=pyav"
            ) from error
        return frames

    def stream(self, frame_indices: Iterable[int] | None = None) -> Iterator[Frame]:
        """The frames at ascending ``frame_indices`` (None: all), one uint8 (H, W, 3) at a time."""
        group: list[int] = []
        for position in range(self.index.num_frames) if frame_indices is None else frame_indices:
            group.append(position)
            if len(group) == _FRAMES_PER_CALL:
                yield from self.read(group)
                group = []
        yield from self.read(group)
