"""Frames of videos as the settings want them, decoded once if they may be kept."""

from collections import OrderedDict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmad.config.data import DataSettings
from mmad.config.recognition import ClipDataSettings
from mmad.video.reader import VideoReader, open_video


class FrameCache:
    """Decoded frames of whole videos, kept up to a budget; the least recently used go first.

    Args:
        budget_gb: gigabytes; 0 keeps nothing.
    """

    def __init__(self, *, budget_gb: float) -> None:
        self._budget = int(budget_gb * 1e9)
        self._used = 0
        self._videos: OrderedDict[tuple, NDArray[np.uint8]] = OrderedDict()

    def get(self, key: tuple) -> NDArray[np.uint8] | None:
        """The frames stored under ``key``, or None."""
        if key in self._videos:
            self._videos.move_to_end(key)
        return self._videos.get(key)

    def put(self, key: tuple, frames: NDArray[np.uint8]) -> None:
        """Store ``frames`` if they fit the budget at all."""
        if frames.nbytes > self._budget or key in self._videos:
            return
        self._videos[key] = frames
        self._used += frames.nbytes
        while self._used > self._budget:
            _, dropped = self._videos.popitem(last=False)
            self._used -= dropped.nbytes


class FrameSource:
    """Opens videos as the settings say, and remembers frames.

    Args:
        settings: of the data.
        training: whether frames are decoded with a margin for random crops.
        cache: shared by training and validation, so that one budget holds.
    """

    def __init__(
        self, settings: DataSettings | ClipDataSettings, *, training: bool, cache: FrameCache
    ) -> None:
        self._settings = settings
        self._cache = cache
        self.short_side: int | None = settings.decoded_side(training=training)
        self.size: tuple[int, int] | None = None
        if settings.resize == "squash":
            side = self.short_side
            assert side is not None
            self.short_side, self.size = None, (side, side)

    def open(self, path: Path) -> VideoReader:
        """The open video, whose frames come in the size that is decoded."""
        return open_video(
            path,
            reader=self._settings.reader,
            short_side=self.short_side,
            size=self.size,
            resizing=self._settings.resizing,
        )

    def read(
        self, path: Path, frames: NDArray[np.int64], wanted: slice | NDArray[np.int64]
    ) -> NDArray[np.uint8]:
        """The ``wanted`` of ``frames``, which are the positions of all that may be wanted."""
        if not self._settings.cache_gb:
            with self.open(path) as video:
                return video.read(frames[wanted].tolist())
        key = (str(path), self.short_side, self.size, frames.tobytes())
        stored = self._cache.get(key)
        if stored is None:
            with self.open(path) as video:
                stored = video.read(frames.tolist())
            self._cache.put(key, stored)
        return stored[wanted]
