"""What is in a video file, found by reading its packets once, without decoding."""

import functools
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from mmad.errors import VideoError

# Frame times are stored in coarse units (milliseconds in Matroska); smaller differences are rounding.
_JITTER_SHARE = 0.25


@dataclass(frozen=True, eq=False)
class VideoIndex:
    """Frames of a video in order of presentation.

    Attributes:
        path: the file.
        times_seconds: presentation time of each frame, relative to the first; ascending.
        keyframes: positions of the frames that can be decoded alone.
        pts: presentation times in units of the container, as in the decoded frames.
        fps: frames per second over the whole video.
        is_variable_rate: whether the distances of the frames differ by more than rounding.
        width, height: pixels, after the rotation is applied.
        rotation_degrees: that the file asks players to turn the picture by, counter-clockwise.
    """

    path: Path
    times_seconds: NDArray[np.float64]
    keyframes: NDArray[np.int64]
    pts: NDArray[np.int64]
    fps: float
    is_variable_rate: bool
    width: int
    height: int
    rotation_degrees: int

    @property
    def num_frames(self) -> int:
        """Number of frames that a player would show."""
        return len(self.times_seconds)

    @property
    def duration_seconds(self) -> float:
        """Length of the video: the last frame lasts as long as an average one."""
        return float(self.times_seconds[-1]) + 1.0 / self.fps


def open_container(path: Path) -> av.container.InputContainer:
    """The opened file.

    Raises: VideoError if it is missing, empty, not a video, or has no video stream.
    """
    if not path.exists():
        raise VideoError(f"{path}: there is no such video file")
    if path.is_dir():
        raise VideoError(f"{path}: is a folder; name the video files in it")
    if path.stat().st_size == 0:
        raise VideoError(f"{path}: the file is empty; copy or download it again")
    try:
        container = av.open(str(path))
    except (av.error.FFmpegError, ValueError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise VideoError(
            f"{path}: cannot be opened as a video ({reason}); the file is damaged or of another kind"
        ) from None
    if not container.streams.video:
        container.close()
        raise VideoError(f"{path}: has no video stream (sound only?)")
    return container


def index_video(path: str | Path) -> VideoIndex:
    """The index of a video file; remembered while the file does not change.

    Raises: VideoError as `open_container`, or if the video has no frame.
    """
    path = Path(path)
    if not path.is_file():
        open_container(path)
    state = path.stat()
    return _index(path, state.st_size, state.st_mtime_ns)


@functools.lru_cache(maxsize=4096)
def _index(path: Path, _size: int, _mtime: int) -> VideoIndex:
    with open_container(path) as container:
        stream = container.streams.video[0]
        times, keys = [], []
        try:
            for packet in container.demux(stream):
                if packet.pts is None or packet.size == 0 or packet.is_discard:
                    continue
                times.append(packet.pts)
                keys.append(packet.is_keyframe)
        except av.error.FFmpegError:
            pass  # the packets before the damage can be shown
        time_base = stream.time_base or Fraction(1, 1000)
        width, height = stream.codec_context.width, stream.codec_context.height
        rotation = _rotation(path) if times else 0
        rate = stream.average_rate
    if not times:
        raise VideoError(f"{path}: the video stream has no frame")
    if width == 0 or height == 0:
        raise VideoError(f"{path}: the picture has no size; the file is damaged")
    order = np.argsort(np.array(times), kind="stable")
    pts = np.array(times, dtype=np.int64)[order]
    pts, first = np.unique(pts, return_index=True)
    is_key = np.array(keys)[order][first]
    # What is presented before the first frame that can be decoded alone is never shown.
    start = int(np.argmax(is_key)) if is_key.any() else 0
    pts, is_key = pts[start:], is_key[start:]
    seconds = (pts - pts[0]) * float(time_base)
    fps, variable = _rate(seconds, unit_seconds=float(time_base), nominal=rate)
    if rotation % 180:
        width, height = height, width
    return VideoIndex(
        path, seconds, np.flatnonzero(is_key), pts, fps, variable, width, height, rotation
    )


def _rate(
    seconds: NDArray[np.float64], *, unit_seconds: float, nominal: Fraction | None
) -> tuple[float, bool]:
    """Frames per second, and whether the rate varies."""
    if len(seconds) < 2:
        return float(nominal) if nominal else 25.0, False
    steps = np.diff(seconds)
    mean = float(seconds[-1] / len(steps))
    variable = bool((np.abs(steps - mean) > _JITTER_SHARE * mean + unit_seconds).any())
    return 1.0 / mean, variable


def _rotation(path: Path) -> int:
    """Quarter turns of the first frame that can be decoded, in degrees."""
    with open_container(path) as container:
        try:
            for frame in container.decode(video=0):
                return round(frame.rotation / 90) * 90 % 360
        except av.error.FFmpegError:
            return 0
    return 0
