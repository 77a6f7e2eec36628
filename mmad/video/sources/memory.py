"""Videos in memory, read as those in files are."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmad.errors import VideoError
from mmad.structures import VideoRecord
from mmad.video.closing import Closing
from mmad.video.index import VideoIndex, rate_of, without_jumps
from mmad.video.reader import Frame, check_indices, gather
from mmad.video.sources.given import Colours, given_frames, whole_array
from mmad.video.sources.resizing import Resizer


@dataclass(frozen=True, eq=False)
class MemoryVideo:
    """A video whose frames are in memory.

    Attributes:
        index: Times, rate and size; its path is a name for messages, no file.
        images: RGB uint8 (H, W, 3) of each frame.
    """

    index: VideoIndex
    images: Sequence[Frame] | Frame

    def record(self, video_id: str) -> VideoRecord:
        """Its record, without annotations."""
        return VideoRecord(
            video_id=video_id,
            duration_seconds=self.index.duration_seconds,
            subset="none",
            fps=self.index.fps,
            num_frames=self.index.num_frames,
        )

    def open(self, *, size: tuple[int, int], reader: str, resizing: str) -> "MemoryReader":
        """A reader; the arguments are those of `open_video`, of which ``reader`` is for files."""
        return MemoryReader(self, size=size, resizing=resizing)


def hold_frames(
    frames: Any,
    *,
    fps: float | None = None,
    times: Iterable[float] | None = None,
    colours: Colours = "rgb",
    name: str = "frames",
    shrink: Callable[[Frame], Frame] | None = None,
) -> MemoryVideo:
    """A video of frames in memory; an array or tensor is not copied.

    Args:
        frames, fps, times, colours, name: As in `given_frames`.
        shrink: Applied to each frame of an iterable as it comes, so that a long one fits.

    Raises: VideoError as in `given_frames`, or if there is no frame.
    """
    array = whole_array(frames, name=name)
    stamps: list[float] = []
    images: list[Frame] = []
    for seconds, image in given_frames(
        frames if array is None else array, fps=fps, times=times, colours=colours, name=name
    ):
        stamps.append(seconds)
        # A camera may write each frame to the same memory.
        images.append(image if array is not None else shrink(image) if shrink else image.copy())
    if not images:
        raise VideoError(f"{name}: is empty; give at least one frame")
    seconds_F: NDArray[np.float64] = np.array(stamps) - stamps[0]
    notices: list[str] = []
    rate, is_variable = fps, False
    if rate is None:
        seconds_F, jumps = without_jumps(seconds_F)
        notices = [f"{name}: {jump}" for jump in jumps]
        if len(seconds_F) == 1:
            raise VideoError(f"{name}: one frame with a time has no rate; pass fps instead")
        rate, is_variable = rate_of(seconds_F, None)
    seconds_F.flags.writeable = False
    height, width = images[0].shape[:2]
    index = VideoIndex(
        path=Path(name),
        times_seconds=seconds_F,
        keyframes=np.arange(len(images)),
        fps=rate,
        is_variable_rate=is_variable,
        width=width,
        height=height,
        rotation_degrees=0,
        codec="none",
        notices=tuple(notices),
    )
    return MemoryVideo(index, images)


class MemoryReader(Closing):
    """Frames of a video in memory. See `mmad.video.reader.VideoReader`.

    Args:
        video: The video.
        size: Size (height, width) in pixels of the images that are read.
        resizing: How they are resized; see `Resizer`.
    """

    damaged: Collection[int] = ()

    def __init__(self, video: MemoryVideo, *, size: tuple[int, int], resizing: str) -> None:
        self.index = video.index
        self._images = video.images
        self._size = size
        self._resizer = Resizer(size=size, resizing=resizing)

    def close(self) -> None:
        """Nothing is open."""

    def read(self, frame_indices: Sequence[int] | NDArray[np.int64]) -> Frame:
        """The frames at ``frame_indices`` (any order, repeats allowed), uint8 RGB (F, H, W, 3)."""
        return gather(self.stream, frame_indices, size=self._size)

    def stream(self, frame_indices: Iterable[int] | None = None) -> Iterator[Frame]:
        """The frames at ascending ``frame_indices`` (None: all), one uint8 (H, W, 3) at a time."""
        last: tuple[int, Frame] | None = None
        for position in range(self.index.num_frames) if frame_indices is None else frame_indices:
            check_indices(self.index, np.array([position]))
            if last is None or last[0] != position:
                last = position, self._resizer(self._images[position])
            yield last[1]
