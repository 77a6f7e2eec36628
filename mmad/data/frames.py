"""Decoding of frames as the settings ask, with an optional cache."""

import itertools
from collections import OrderedDict, deque
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmad.config.data import ImageSettings
from mmad.data.windows import Window
from mmad.video.open import VideoSource, index_source, open_video
from mmad.video.reader import VideoReader, scaled_size
from mmad.video.reading import ReadVideo, describe_reading, require_whole
from mmad.video.sources.resizing import Resizer


def decoded_size(settings: ImageSettings, height: int, width: int) -> tuple[int, int]:
    """The (height, width) at which a video of this size is read for inference."""
    short_side, size = _size_to_read(settings, settings.image_hw, height, width)
    return size or scaled_size(width, height, short_side=short_side or 1)


def _size_to_read(
    settings: ImageSettings, hw: tuple[int, int], height: int, width: int
) -> tuple[int | None, tuple[int, int] | None]:
    """The short side or the (height, width) at which a video is read; the other is None."""
    if settings.resize == "squash":
        return None, hw
    if hw[0] == hw[1]:
        return hw[0], None
    # The smallest size of the same aspect that covers the crop.
    scale = max(hw[0] / height, hw[1] / width)
    return None, (max(round(height * scale), hw[0]), max(round(width * scale), hw[1]))


class Shrinker:
    """Brings the images of one video to the size at which it is read for inference.

    Args:
        settings: Image settings.
    """

    def __init__(self, settings: ImageSettings) -> None:
        self._settings = settings
        self._resizer: Resizer | None = None

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The image, RGB uint8 (H, W, 3); one of that size is passed on."""
        if self._resizer is None:
            size = decoded_size(self._settings, *image.shape[:2])
            self._resizer = Resizer(size=size, resizing=self._settings.resizing)
        return self._resizer(image)


class Decoded(NamedTuple):
    """Frames that were decoded together, (N, H, W, C), and the positions of damaged ones."""

    frames: NDArray[np.uint8]
    damaged: Collection[int]


class FrameCache:
    """An LRU cache of the decoded frames of whole videos.

    Args:
        budget_gb: Size in gigabytes; 0 keeps nothing.
    """

    def __init__(self, *, budget_gb: float) -> None:
        self._budget = int(budget_gb * 1e9)
        self._used = 0
        self._videos: OrderedDict[tuple, Decoded] = OrderedDict()

    def get(self, key: tuple) -> Decoded | None:
        """What is stored under ``key``, or None."""
        if key in self._videos:
            self._videos.move_to_end(key)
        return self._videos.get(key)

    def put(self, key: tuple, decoded: Decoded) -> None:
        """Store ``decoded`` if its frames fit the budget."""
        if decoded.frames.nbytes > self._budget or key in self._videos:
            return
        self._videos[key] = decoded
        self._used += decoded.frames.nbytes
        while self._used > self._budget:
            _, dropped = self._videos.popitem(last=False)
            self._used -= dropped.frames.nbytes


class FrameSource:
    """Opens and decodes videos as the settings ask.

    Args:
        settings: Image settings.
        training: Whether frames are decoded with a margin for random crops.
        cache: Cache of decoded frames; training and validation share it, and so its budget.
    """

    def __init__(self, settings: ImageSettings, *, training: bool, cache: FrameCache) -> None:
        self._settings = settings
        self._cache = cache
        self._damaged: dict[VideoSource, Collection[int]] = {}
        self._hw = settings.decoded_hw(training=training)

    def open(self, source: VideoSource) -> VideoReader:
        """A reader of the video at the decoded size."""
        short_side, size = self._decoded_size(source)
        return open_video(
            source,
            reader=self._settings.reader,
            short_side=short_side,
            size=size,
            resizing=self._settings.resizing,
        )

    def _decoded_size(self, source: VideoSource) -> tuple[int | None, tuple[int, int] | None]:
        index = index_source(source)
        return _size_to_read(self._settings, self._hw, index.height, index.width)

    def check(self, source: VideoSource) -> None:
        """Raise `VideoError` if a file lacks more frames than the settings allow; nothing is
        decoded.
        """
        index = describe_reading(index_source(source))
        require_whole(index, max_missing=self._settings.max_missing)

    def found(self, source: VideoSource, *, resampled_fps: float | None = None) -> ReadVideo:
        """What is known about a video, including what the last reading of it revealed.

        Raises: VideoError if a larger share is missing or damaged than the settings allow.
        """
        found = describe_reading(
            index_source(source),
            damaged=self._damaged.get(source, ()),
            resampled_fps=resampled_fps,
        )
        require_whole(found, max_missing=self._settings.max_missing)
        return found

    def stream(
        self, source: VideoSource, frames: NDArray[np.int64], windows: Iterable[Window]
    ) -> Iterator[NDArray[np.uint8]]:
        """The frames of each window; they are decoded once and kept only while a window needs them.

        Args:
            source: Video file, or an opened video.
            frames: Positions in the video, which windows are counted in.
            windows: Windows in order; neither starts nor stops decrease.
        """
        with self.open(source) as video:
            for part in stream_windows(video, frames, windows):
                self._damaged[source] = video.damaged
                yield part

    def read(
        self, path: Path, frames: NDArray[np.int64], wanted: slice | NDArray[np.int64]
    ) -> NDArray[np.uint8]:
        """The images at ``frames[wanted]``, where ``frames`` are all positions that are used."""
        if not self._settings.cache_gb:
            decoded = self._decode(path, frames[wanted])
            self._damaged[path] = decoded.damaged
            return decoded.frames
        key = (str(path), *self._decoded_size(path), frames.tobytes())
        decoded = self._cache.get(key) or self._decode(path, frames)
        self._cache.put(key, decoded)
        self._damaged[path] = decoded.damaged
        return decoded.frames[wanted]

    def _decode(self, path: Path, frames: NDArray[np.int64]) -> Decoded:
        with self.open(path) as video:
            return Decoded(video.read(frames.tolist()), video.damaged)


def stream_windows(
    video: VideoReader, frames: NDArray[np.int64], windows: Iterable[Window]
) -> Iterator[NDArray[np.uint8]]:
    """The frames of each window of an open video; as in `FrameSource.stream`."""
    decoded = video.stream(frames.tolist())
    kept: deque[NDArray[np.uint8]] = deque()
    start = stop = 0
    for window in windows:
        while start < window.start and kept:
            kept.popleft()
            start += 1
        if start < window.start:  # a gap between windows
            for _ in itertools.islice(decoded, window.start - start):
                pass
            start = stop = window.start
        kept.extend(itertools.islice(decoded, window.stop - stop))
        stop = window.stop
        yield np.stack(kept)
