"""Index of a video, read from its packets: presentation times and keyframes."""

import itertools
import logging
import math
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.sidedata.sidedata import Type
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from mmad.errors import VideoError

# A demuxer that fails this often in a row has reached the end of a truncated file.
_MAX_FAILURES_IN_A_ROW = 16

# Frame spacings that differ from the median by more than this share of the mean, and by more than
# the rounding to milliseconds that Matroska does, are a variable rate.
_VARIABLE_RATE_SHARE = 0.1
_ROUNDING_SECONDS = 0.0025

# AVI stores no presentation times: FFmpeg numbers frames as they are stored, so only the order
# is known.
_FORMATS_WITHOUT_TIMES = frozenset({"avi"})
# Streams without a container have no times either, and most do not state a rate.
_RAW_FORMATS = frozenset({"h264", "hevc", "vvc", "m4v", "mpegvideo", "mjpeg", "vc1", "av1", "obu"})
# Elsewhere (MPEG-TS, MPEG-PS) a seek lands on whatever is near, so reading starts at the beginning.
_FORMATS_WITH_EXACT_SEEK = frozenset({"mov", "mp4", "matroska", "webm"})

# A longer gap between two frames is a clock that jumped, not a scene without motion.
LONGEST_GAP_SECONDS = 600.0
# Containers round durations, and the last frame may be shown longer: less than this is not missing.
_LEAST_MISSING_SECONDS = 0.5
# Formats that make FFmpeg open other files or addresses than the one that was named.
_FORMATS_OF_OTHER_FILES = frozenset(
    {"concat", "dash", "hls", "image2", "imf", "lavfi", "rtsp", "sap", "sdp", "webm_dash_manifest"}
)
_PLAYLIST_MARKS = (b"#EXTM3U", b"ffconcat", b"<MPD")
# Enough to tell a video from a cover image in a container that does not count its frames.
_PROBED_PACKETS = 500


@dataclass(frozen=True, eq=False)
class VideoIndex:
    """What is known of a video without decoding it.

    Attributes:
        path: Video file.
        times_seconds: float64 (F,), presentation time of each frame, ascending, the first at 0.
        keyframes: int64 (K,), positions (as presented) of the frames where decoding can begin.
        fps: Mean frame rate.
        is_variable_rate: Whether the spacing of the frames changes.
        width, height: Size in pixels, after rotation.
        rotation_degrees: 0, 90, 180 or 270, the turn counter-clockwise that makes frames upright.
        codec: Name of the video codec, such as "h264".
        num_missing_frames: Frames that the file announces but does not contain (truncated).
        is_mirrored: Whether frames are mirrored left to right before that turn.
        stream_index: Number of the stream in the file.
        notices: What was assumed where the file is unclear, in full sentences.
        is_seekable: Whether a reader may jump to a keyframe.
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
    is_mirrored: bool = False
    stream_index: int = 0
    notices: tuple[str, ...] = ()
    is_seekable: bool = True
    pts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    @property
    def num_frames(self) -> int:
        """Number of frames in the file."""
        return len(self.times_seconds)

    @property
    def duration_seconds(self) -> float:
        """Time of the last frame plus one mean frame interval."""
        return float(self.times_seconds[-1]) + 1 / self.fps


def index_video(path: str | Path) -> VideoIndex:
    """The index of the video at ``path``, cached in this process until the file changes.

    Raises: VideoError if the file is missing, empty, not a video, or has only sound or no frame.
    """
    path = Path(path)
    try:
        stat = path.stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise VideoError(f"{path}: video not found ({reason}); check the path") from error
    if not path.is_file():
        raise VideoError(f"{path}: expected a video file, found a folder")
    if stat.st_size == 0:
        raise VideoError(f"{path}: the file is empty (0 bytes); copy or download it again")
    return _index_cached(str(path), stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=4096)
def _index_cached(path: str, _size: int, _mtime_ns: int) -> VideoIndex:
    with open_container(Path(path)) as container:
        return _build_index(Path(path), container, video_stream(container))


def announced_frames(path: Path) -> int:
    """The number of frames stated by the container, without reading it; 0 if not stated."""
    try:
        with open_container(path) as container:
            stream = video_stream(container)
            if stream.frames:
                return int(stream.frames)
            seconds = _announced_seconds(container, stream) or 0.0
            return round(seconds * float(stream.average_rate or 0))
    except (VideoError, OSError, av.error.FFmpegError):
        return 0


def open_container(path: Path) -> InputContainer:
    """The opened file, which is guaranteed to have a video stream.

    Raises: VideoError if it cannot be opened, has no video stream, or is a playlist.
    """
    try:
        # As a local file, whatever its name looks like ("pipe:0", "http:...", "a:b").
        # A title in another encoding must not keep us from the frames.
        container = av.open(
            f"file:{path.absolute()}",
            metadata_errors="replace",
            options={"format_whitelist": _allowed_formats(), "protocol_whitelist": "file"},
        )
    except (OSError, av.error.FFmpegError) as error:
        if _is_playlist(path):
            raise VideoError(
                f"{path}: is a playlist, which names other files; give the video files themselves"
            ) from error
        raise VideoError(
            f"{path}: cannot be read as a video ({os.path.getsize(path)} bytes, {error.strerror}); "
            "it is cut off before its index or no video: copy, download or export it again"
        ) from error
    if not container.streams.video:
        kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        container.close()
        raise VideoError(f"{path}: has no video stream, only {kinds}; give a file with frames")
    return container


@lru_cache(maxsize=1)
def _allowed_formats() -> str:
    return ",".join(sorted(av.formats_available - _FORMATS_OF_OTHER_FILES))


def _is_playlist(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(4096)
    return any(mark in head for mark in _PLAYLIST_MARKS)


def video_stream(container: InputContainer) -> VideoStream:
    """The main video stream: not a cover image, and preferably the default stream."""
    streams = container.streams.video
    if len(streams) == 1:
        return streams[0]
    counts: Mapping[int, int] = {stream.index: stream.frames for stream in streams}
    if not all(counts.values()):
        counts = _first_packets(container.name)

    def rank(stream: VideoStream) -> tuple[bool, bool, bool]:
        is_image = bool(stream.disposition & (Disposition.attached_pic | Disposition.still_image))
        is_default = bool(stream.disposition & Disposition.default)
        return not is_image, counts.get(stream.index, 0) > 1, is_default

    return max(streams, key=rank)


@lru_cache(maxsize=256)
def _first_packets(name: str) -> Mapping[int, int]:
    """How many of the first packets of a file belong to each of its streams."""
    with av.open(name, metadata_errors="replace") as container:
        packets = itertools.islice(container.demux(*container.streams.video), _PROBED_PACKETS)
        return Counter(packet.stream_index for packet in packets if packet.size)


def iterate_packets(
    container: InputContainer, stream: VideoStream, *, on_damage: list[int] | None = None
) -> Iterator[Packet]:
    """The packets of ``stream`` from here on, then the empty one that flushes the decoder.

    Packets that cannot be read are skipped; each run of them adds 1 to ``on_damage[0]``.
    """
    failures = 0
    while failures < _MAX_FAILURES_IN_A_ROW:
        try:
            for packet in container.demux(stream):
                if packet.size:
                    failures = 0
                yield packet
            return
        except (av.error.FFmpegError, IndexError):
            # PyAV raises IndexError for a packet whose stream the header does not list.
            failures += 1
            if on_damage is not None and failures == 1:
                on_damage[0] += 1


def decode_packet(packet: Packet) -> list[VideoFrame]:
    """The frames that ``packet`` completes; none if it is damaged."""
    try:
        return packet.decode()
    except av.error.FFmpegError:
        return []


def _build_index(path: Path, container: InputContainer, stream: VideoStream) -> VideoIndex:
    unreadable = [0]
    packets = [
        (packet.pts, packet.is_keyframe, packet.is_discard)
        for packet in iterate_packets(container, stream, on_damage=unreadable)
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
        # Times are missing or repeated: only decoding the whole file gives the order.
        pts, keys, only_order = _decoded_times(path, until=None)
    if not len(pts):
        raise VideoError(f"{path}: no frame of it can be decoded; export or download it again")
    notices: list[str] = []
    stated = stream.average_rate
    if formats & _RAW_FORMATS:
        # FFmpeg's average is 25 whatever the stream states.
        stated = stream.codec_context.framerate
        if not stated:
            notices.append(
                f"{path}: the stream does not state its frame rate; "
                f"{float(stream.average_rate or 25):g} frames/s is a guess, and so are all times"
            )
    rate = stated or stream.average_rate or stream.guessed_rate or Fraction(25)
    tick_seconds = float(1 / rate if only_order else stream.time_base or Fraction(1))
    times: NDArray[np.float64] = (pts - pts[0]).astype(np.float64) * tick_seconds
    times, jumps = without_jumps(times)
    notices += [f"{path}: {jump}" for jump in jumps]
    fps, is_variable = rate_of(times, rate)
    mirrored, turns, unclear = _orientation(first)
    if unclear:
        notices.append(f"{path}: its display matrix is empty; frames are shown as they are stored")
    width, height = first.width, first.height
    if turns % 2:
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
        rotation_degrees=90 * turns,
        codec=stream.codec_context.name,
        num_missing_frames=max(
            _missing_frames(container, stream, num_packets, float(times[-1]) + 1 / fps, fps),
            unreadable[0],
        ),
        is_mirrored=mirrored,
        stream_index=stream.index,
        notices=tuple(notices),
        is_seekable=not only_order and bool(formats & _FORMATS_WITH_EXACT_SEEK),
        pts=np.zeros(0, dtype=np.int64) if only_order else pts,
    )


def _missing_frames(
    container: InputContainer,
    stream: VideoStream,
    num_packets: int,
    held_seconds: float,
    fps: float,
) -> int:
    """Frames that the container announces, by number or by length, but does not contain."""
    if stream.frames:
        return max(0, stream.frames - num_packets)
    announced = _announced_seconds(container, stream)
    if announced is None or announced - held_seconds < _LEAST_MISSING_SECONDS:
        return 0
    return round((announced - held_seconds) * fps)


def _announced_seconds(container: InputContainer, stream: VideoStream) -> float | None:
    """The duration of the stream as stated by its container; None if it is not stated."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    begin = 0.0
    if "matroska" in container.format.name and stream.start_time and stream.time_base:
        # Matroska's durations are counted from time 0, also if the stream begins later.
        begin = max(0.0, float(stream.start_time * stream.time_base))
    tag = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    if tag:
        return 3600 * int(tag[1]) + 60 * int(tag[2]) + float(tag[3]) - begin
    # The duration of the container also covers its sound, which may be longer.
    if container.duration and len(container.streams) == 1:
        return container.duration / av.time_base - begin
    return None


def without_jumps(
    times_seconds: NDArray[np.float64],
) -> tuple[NDArray[np.float64], list[str]]:
    """Times without jumps of the clock, each replaced by one usual step, and a description."""
    spacing = np.diff(times_seconds)
    jumps = np.flatnonzero(spacing > LONGEST_GAP_SECONDS)
    # A time-lapse camera may take one frame an hour; then such a gap is the usual one.
    usual = float(np.median(spacing)) if len(spacing) else 0.0
    if not len(jumps) or usual > LONGEST_GAP_SECONDS:
        return times_seconds, []
    told = [
        f"the time stamp after {times_seconds[jump]:.2f} s jumps by {spacing[jump]:.0f} s; taken "
        "as one frame later"
        for jump in jumps
    ]
    spacing[jumps] = usual
    return np.concatenate(([0.0], np.cumsum(spacing))), told


def _orientation(frame: VideoFrame) -> tuple[bool, int, bool]:
    """Whether to mirror a frame left to right, quarter turns counter-clockwise after that, and
    whether its display matrix is empty.
    """
    side_data: Any = frame.side_data
    matrix = side_data.get(Type.DISPLAYMATRIX)
    if matrix is None:
        return False, 0, False
    # x' = a x + c y and y' = b x + d y, to the right and downwards, in units of 1 / 65536.
    a, b, _, c, d, *_ = np.frombuffer(matrix, dtype=np.int32).astype(float) / 65536
    determinant = a * d - b * c
    if abs(determinant) < 1e-6:
        return False, 0, True
    mirrored = bool(determinant < 0)
    if mirrored:
        a, b = -a, -b
    return mirrored, round(-math.degrees(math.atan2(b, a)) / 90) % 4, False


def _times_of_packets(
    path: Path, packets: list[tuple[int, bool, bool]]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Times and keyframe flags of the frames that will be shown, in order of presentation."""
    shown = [(pts, key) for pts, key, discard in packets if not discard]
    key_times = sorted(pts for pts, key, _ in packets if key)
    starts_cleanly = len(shown) == len(packets) and packets[0][1] and min(shown)[0] == packets[0][0]
    head: list[tuple[int, bool]] = []
    if not starts_cleanly:
        # A cut without re-encoding: the first packets are hidden by an edit list or refer to
        # frames that were cut off. Which of them are shown is the decoder's choice, so decode
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
    with open_container(path) as container:
        stream = video_stream(container)
        stream.thread_type = "AUTO"
        for packet in iterate_packets(container, stream):
            yield from decode_packet(packet)


def _first_frame(path: Path) -> VideoFrame:
    """The first frame: it proves that there is one, and only it tells the rotation."""
    with open_container(path) as container:
        stream = video_stream(container)
        stream.thread_count = 1
        for packet in iterate_packets(container, stream):
            for frame in decode_packet(packet):
                return frame
    raise VideoError(
        f"{path}: not a single frame could be decoded ({os.path.getsize(path)} bytes); "
        "copy, download or export it again"
    )


def rate_of(times_seconds: NDArray[np.float64], announced: Fraction | None) -> tuple[float, bool]:
    """Mean frames per second, and whether the spacing varies.

    One frame has the rate that is ``announced``, which is then needed.
    """
    if len(times_seconds) < 2:
        assert announced is not None
        return float(announced), False
    spacing = np.diff(times_seconds)
    num_steps = len(times_seconds) - 1
    mean = float(times_seconds[-1]) / num_steps
    if announced is not None and abs(num_steps / announced - times_seconds[-1]) < _ROUNDING_SECONDS:
        # The announced rate, without the rounding of the times: 30, not 30.0006.
        mean = 1 / float(announced)
    allowed = _VARIABLE_RATE_SHARE * mean + _ROUNDING_SECONDS
    return 1 / mean, bool(np.abs(spacing - np.median(spacing)).max() > allowed)


logging.getLogger("libav").setLevel(logging.ERROR)
