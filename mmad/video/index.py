"""When each frame of a video is shown and where decoding can begin, from its packets."""

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import av.error
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from mmad.errors import VideoError

# A demuxer that fails this often in a row has nothing more to give (the end of a truncated file).
_MAX_FAILURES_IN_A_ROW = 16

# Frame spacings that differ from the median by more than this share of the mean, and by more than
# the rounding to milliseconds that Matroska does, are a variable rate.
_VARIABLE_RATE_SHARE = 0.1
_ROUNDING_SECONDS = 0.0025

# AVI stores no presentation times: FFmpeg numbers frames as they are stored, so only the order
# counts.
_FORMATS_WITHOUT_TIMES = frozenset({"avi"})
# Elsewhere (MPEG-TS, MPEG-PS) a seek lands on whatever is near, so reading starts at the beginning.
_FORMATS_WITH_EXACT_SEEK = frozenset({"mov", "mp4", "matroska", "webm"})


@dataclass(frozen=True, eq=False)
class VideoIndex:
    """What is known of a video without decoding it.

    Attributes:
        path: the file.
        times_seconds: float64 (F,), when each frame is shown, ascending, the first at 0.
        keyframes: int64 (K,), positions (as presented) of the frames where decoding can begin.
        fps: mean frame rate.
        is_variable_rate: whether the spacing of the frames changes.
        width, height: in pixels, after rotation.
        rotation_degrees: 0, 90, 180 or 270, the turn counter-clockwise that makes pictures upright.
        codec: name of the video codec, such as "h264".
        num_missing_frames: frames that the file announces and does not hold (it was truncated).
        is_seekable: whether a reader may jump to a keyframe.
        pts: int64 (F,), presentation times in ticks of the stream; empty if only the order is
            known.
    """

    path: Path
    times_seconds: NDArray[np.float64]
    keyframes: NDArray[np.int64]
    fps: float
    is_variable_rate: bool
    width: int
    height: int
    rotation_degrees: int
    codec: str
    num_missing_frames: int = 0
    is_seekable: bool = True
    pts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    @property
    def num_frames(self) -> int:
        """Number of frames that the file holds."""
        return len(self.times_seconds)

    @property
    def duration_seconds(self) -> float:
        """Time of the last frame plus one mean frame interval."""
        return float(self.times_seconds[-1]) + 1 / self.fps


def index_video(path: str | Path) -> VideoIndex:
    """The index of the video at ``path``, kept for this process until the file changes.

    Raises: VideoError if the file is missing, empty, no video, has sound only or not one frame.
    """
    path = Path(path)
    try:
        stat = path.stat()
    except OSError as error:
        raise VideoError(f"{path}: video not found ({error.strerror}); check the path") from error
    if not path.is_file():
        raise VideoError(f"{path}: expected a video file, found a folder")
    if stat.st_size == 0:
        raise VideoError(f"{path}: the file is empty (0 bytes); copy or download it again")
    return _index_cached(str(path), stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=4096)
def _index_cached(path: str, _size: int, _mtime_ns: int) -> VideoIndex:
    with open_container(Path(path)) as container:
        return _build_index(Path(path), container, container.streams.video[0])


def announced_frames(path: Path) -> int:
    """How many frames the file says that it has, without reading it; 0 if it does not say."""
    try:
        with open_container(path) as container:
            stream = container.streams.video[0]
            if stream.frames:
                return int(stream.frames)
            seconds = (container.duration or 0) / av.time_base
            return round(seconds * float(stream.average_rate or 0))
    except (VideoError, OSError, av.error.FFmpegError):
        return 0


def open_container(path: Path) -> InputContainer:
    """The opened file, which is sure to have a video stream.

    Raises: VideoError if it cannot be opened or has no video stream.
    """
    try:
        # A title in another encoding is no reason not to look at the pictures.
        container = av.open(str(path), metadata_errors="replace")
    except (OSError, av.error.FFmpegError) as error:
        raise VideoError(
            f"{path}: cannot be read as a video ({os.path.getsize(path)} bytes, {error.strerror}); "
            "it is cut off before its index or no video: copy, download or export it again"
        ) from error
    if not container.streams.video:
        kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        container.close()
        raise VideoError(f"{path}: holds no video, only {kinds}; give a file with pictures")
    return container


def iterate_packets(
    container: InputContainer, stream: VideoStream, *, on_damage: list[int] | None = None
) -> Iterator[Packet]:
    """The packets of ``stream`` from here on, then the empty one that flushes the decoder.

    Packets that cannot be read are skipped; each adds 1 to ``on_damage[0]``.
    """
    failures = 0
    while failures < _MAX_FAILURES_IN_A_ROW:
        try:
            for packet in container.demux(stream):
                if packet.size:
                    failures = 0
                yield packet
            return
        except av.error.FFmpegError:
            failures += 1
            if on_damage is not None and failures == 1:
                on_damage[0] += 1


def decode_packet(packet: Packet, *, damage: list[int]) -> list[VideoFrame]:
    """The frames that ``packet`` completes; none, and 1 more in ``damage[0]``, if it is damaged."""
    try:
        frames = packet.decode()
    except av.error.EOFError:
        return []
    except av.error.FFmpegError:
        damage[0] += 1
        return []
    return frames


def _build_index(path: Path, container: InputContainer, stream: VideoStream) -> VideoIndex:
    packets = [
        (packet.pts, packet.is_keyframe, packet.is_discard)
        for packet in iterate_packets(container, stream)
        if packet.size
    ]
    num_packets = len(packets)
    first = _first_frame(path)
    formats = set(container.format.name.split(","))
    only_order = bool(formats & _FORMATS_WITHOUT_TIMES)
    known = [(pts, key, discard) for pts, key, discard in packets if pts is not None]
    if only_order:
        pts = np.arange(num_packets, dtype=np.int64)
        keys = np.array([key for _, key, _ in packets], dtype=bool)
    elif len({pts for pts, _, _ in known}) == num_packets:
        pts, keys = _times_of_packets(path, known)
    else:
        # Times are missing or stand twice: only decoding all of it tells.
        pts, keys, only_order = _decoded_times(path, until=None)
    tick_seconds = float(
        1 / (stream.average_rate or stream.guessed_rate or Fraction(25))
        if only_order
        else stream.time_base or Fraction(1)
    )
    times: NDArray[np.float64] = (pts - pts[0]).astype(np.float64) * tick_seconds
    fps, is_variable = _rate(times, stream)
    rotation = round(first.rotation / 90) * 90 % 360
    width, height = first.width, first.height
    if rotation in (90, 270):
        width, height = height, width
    times.flags.writeable = False
    return VideoIndex(
        path=path,
        times_seconds=times,
        keyframes=np.flatnonzero(keys),
        fps=fps,
        is_variable_rate=is_variable,
        width=width,
        height=height,
        rotation_degrees=rotation,
        codec=stream.codec_context.name,
        num_missing_frames=max(0, stream.frames - num_packets),
        is_seekable=not only_order and bool(formats & _FORMATS_WITH_EXACT_SEEK),
        pts=np.zeros(0, dtype=np.int64) if only_order else pts,
    )


def _times_of_packets(
    path: Path, packets: list[tuple[int, bool, bool]]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Times and keyframe flags of the frames that will be shown, in order of presentation."""
    shown = [(pts, key) for pts, key, discard in packets if not discard]
    key_times = sorted(pts for pts, key, _ in packets if key)
    starts_cleanly = len(shown) == len(packets) and packets[0][1] and min(shown)[0] == packets[0][0]
    head: list[tuple[int, bool]] = []
    if not starts_cleanly:
        # A cut without encoding anew: the first packets are hidden by an edit list or lean on
        # pictures that were cut off. Which of them are shown is the decoder's choice, so ask it,
        # up to the second keyframe that is shown.
        later = [time for time in key_times[1:] if shown and time > shown[0][0]]
        until = later[0] if later else None
        times, keys, _ = _decoded_times(path, until=until)
        head = list(zip(times.tolist(), keys.tolist(), strict=True))
        shown = [] if until is None else [entry for entry in shown if entry[0] >= until]
    entries = sorted(head + shown)
    pts = np.array([entry[0] for entry in entries], dtype=np.int64)
    return pts, np.array([entry[1] for entry in entries], dtype=bool)


def _decoded_times(
    path: Path, *, until: int | None
) -> tuple[NDArray[np.int64], NDArray[np.bool_], bool]:
    """Times and keyframe flags of the frames decoded before ``until`` (None: all of them).

    The last value is True if times were missing or not ascending, so that only the order is known;
    then they are 0, 1, 2, ...
    """
    times: list[int | None] = []
    keys: list[bool] = []
    for frame in decode_from_start(path):
        if until is not None and frame.pts is not None and frame.pts >= until:
            break
        times.append(frame.pts)
        keys.append(bool(frame.key_frame))
    known = [time for time in times if time is not None]
    ascending = len(known) == len(times) and all(np.diff(known) > 0)
    if ascending:
        return np.array(known, dtype=np.int64), np.array(keys, dtype=bool), False
    return np.arange(len(times), dtype=np.int64), np.array(keys, dtype=bool), True


def decode_from_start(path: Path) -> Iterator[VideoFrame]:
    """All frames that can be decoded, in order of presentation, with every core."""
    damage = [0]
    with open_container(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for packet in iterate_packets(container, stream):
            yield from decode_packet(packet, damage=damage)


def _first_frame(path: Path) -> VideoFrame:
    """The first frame: proof that there is one; it alone tells the rotation."""
    damage = [0]
    with open_container(path) as container:
        stream = container.streams.video[0]
        stream.thread_count = 1
        for packet in iterate_packets(container, stream):
            for frame in decode_packet(packet, damage=damage):
                return frame
    raise VideoError(
        f"{path}: not a single frame could be decoded ({os.path.getsize(path)} bytes); "
        "copy, download or export it again"
    )


def _rate(times_seconds: NDArray[np.float64], stream: VideoStream) -> tuple[float, bool]:
    """Mean frames per second, and whether the spacing varies."""
    if len(times_seconds) < 2:
        rate = stream.average_rate or stream.guessed_rate
        return (float(rate) if rate else 25.0), False
    spacing = np.diff(times_seconds)
    num_steps = len(times_seconds) - 1
    mean = float(times_seconds[-1]) / num_steps
    announced = stream.average_rate
    if announced and abs(num_steps / announced - times_seconds[-1]) < _ROUNDING_SECONDS:
        # The same rate without the rounding of the times: 30, not 30.0006.
        mean = 1 / float(announced)
    allowed = _VARIABLE_RATE_SHARE * mean + _ROUNDING_SECONDS
    return 1 / mean, bool(np.abs(spacing - np.median(spacing)).max() > allowed)


logging.getLogger("libav").setLevel(logging.ERROR)
