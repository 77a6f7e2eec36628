"""Frame-exact reading with PyAV: decode in order, seek only if it saves work, verify by time."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from mmad.errors import VideoError
from mmad.video.closing import Closing
from mmad.video.index import (
    VideoIndex,
    decode_packet,
    iterate_packets,
    open_container,
    video_stream,
)
from mmad.video.reader import Frame, check_indices, gather

# A seek reopens the stream; if it saves fewer frames than this, decoding onwards is as fast.
_MIN_FRAMES_SAVED = 8


class PyAVReader(Closing):
    """Frames of one video, decoded by FFmpeg through PyAV. See `mmad.video.reader.VideoReader`."""

    def __init__(self, index: VideoIndex, *, size: tuple[int, int], threads: int = 0) -> None:
        self.index = index
        self.damaged: set[int] = set()
        self._size = size
        self._threads = threads
        self._reformatter = VideoReformatter()
        self._container: InputContainer | None = None
        self._frames: Iterator[tuple[int, VideoFrame]] = iter(())
        self._next_position = index.num_frames  # nothing is open, so the first read restarts
        self._pending: tuple[int, VideoFrame] | None = None
        self._last: tuple[int, Frame] | None = None
        self._can_seek = index.is_seekable

    def close(self) -> None:
        """Close the file; a later read opens it again."""
        self._frames = iter(())
        self._pending = self._last = None
        self._next_position = self.index.num_frames
        if self._container is not None:
            self._container.close()
            self._container = None

    def read(self, frame_indices: Sequence[int] | NDArray[np.int64]) -> Frame:
        """The frames at ``frame_indices`` (any order, repeats allowed), uint8 RGB (F, H, W, 3)."""
        return gather(self.stream, frame_indices, size=self._size)

    def stream(self, frame_indices: Iterable[int] | None = None) -> Iterator[Frame]:
        """The frames at ascending ``frame_indices`` (None: all), one uint8 (H, W, 3) at a time.

        Raises: VideoError if an index is outside the video or below the one before it, or nothing
        up to it can be decoded.
        """
        previous = 0
        for position in range(self.index.num_frames) if frame_indices is None else frame_indices:
            check_indices(self.index, np.array([position]))
            if position < previous:
                raise VideoError(
                    f"{self.index.path}: stream() goes forward only, but frame {position} was "
                    f"asked for after {previous}; use read()"
                )
            previous = position
            yield self._frame(position)

    def _frame(self, position: int) -> Frame:
        if self._last is not None and self._last[0] == position:
            return self._last[1]
        self._go_near(position)
        kept: VideoFrame | None = None
        while self._pending is None or self._pending[0] <= position:
            if self._pending is not None:
                kept_position, kept = self._pending
                self._pending = None
                self._next_position = kept_position + 1
                if kept_position == position:
                    break
            self._pending = next(self._frames, None)
            if self._pending is None:
                break
        if kept is not None:
            # The latest frame at or before the wanted one: that one itself unless it is damaged.
            image = self._convert(kept)
            if kept_position != position or kept.is_corrupt:
                self.damaged.add(position)
        elif self._last is not None and self._last[0] < position:
            image = self._last[1]
            self.damaged.add(position)
        else:
            image = self._earlier(position)
        self._last = (position, image)
        return image

    def _earlier(self, position: int) -> Frame:
        """The last frame before ``position``, decoding from the start; else the first after it."""
        if self._can_seek:
            # The seek did not land where the index says: do not seek in this file any more.
            self._can_seek = False
            self._restart(0)
            return self._frame(position)
        if self._pending is None:
            raise VideoError(
                f"{self.index.path}: frame {position} and those before it cannot be decoded; "
                "copy, download or export the video again"
            )
        self.damaged.add(position)
        return self._convert(self._pending[1])

    def _go_near(self, position: int) -> None:
        """Move to the start or a keyframe before ``position``, unless decoding on is as fast."""
        keyframe = 0
        if self._can_seek:
            before = self.index.keyframes[self.index.keyframes < position]
            keyframe = int(before[-1]) if len(before) else 0
        ahead = self._pending[0] if self._pending is not None else self._next_position
        is_behind = position < ahead and not (self._last is not None and self._last[0] < position)
        if is_behind or self._container is None or keyframe >= ahead + _MIN_FRAMES_SAVED:
            self._restart(keyframe)

    def _restart(self, keyframe: int) -> None:
        self.close()
        self._container = open_container(self.index.path)
        stream = video_stream(self._container)
        if self._threads == 1:
            stream.thread_count = 1
        else:
            stream.thread_type = "AUTO"
            stream.thread_count = self._threads
        self._next_position = keyframe
        self._frames = self._decode(self._container, stream, keyframe)

    def _decode(
        self, container: InputContainer, stream: VideoStream, keyframe: int
    ) -> Iterator[tuple[int, VideoFrame]]:
        """(position, frame) from ``keyframe`` on, ascending, without frames not in the index."""
        pts = self.index.pts
        order = 0
        highest = -1
        for packet in self._packets_from(container, stream, keyframe):
            for frame in decode_packet(packet):
                if len(pts):
                    position = (
                        int(np.searchsorted(pts, frame.pts)) if frame.pts is not None else len(pts)
                    )
                    known = position < len(pts) and pts[position] == frame.pts
                else:
                    position = order
                    known = position < self.index.num_frames
                order += 1
                if known and position > highest:
                    highest = position
                    yield position, frame

    def _packets_from(
        self, container: InputContainer, stream: VideoStream, keyframe: int
    ) -> Iterator[Packet]:
        """Packets from that of ``keyframe`` on; all of them if seeking does not find it."""
        if keyframe > 0:
            target = int(self.index.pts[keyframe])
            container.seek(target, stream=stream, backward=True)
            found = False
            for packet in iterate_packets(container, stream):
                if not found:
                    if packet.pts is None or (packet.is_keyframe and packet.pts > target):
                        break
                    found = packet.pts == target and packet.is_keyframe
                if found:
                    yield packet
            if found:
                return
            container.seek(0, backward=True)
        yield from iterate_packets(container, stream)

    def _convert(self, frame: VideoFrame) -> Frame:
        """``frame`` as an upright uint8 RGB array of the reader's size."""
        turns = self.index.rotation_degrees // 90
        height, width = self._size if turns % 2 == 0 else self._size[::-1]
        shrinks = frame.height > height or frame.width > width
        image = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format="rgb24",
            interpolation=Interpolation.AREA if shrinks else Interpolation.BILINEAR,
            threads=1,
        ).to_ndarray()
        if self.index.is_mirrored:
            image = image[:, ::-1]
        upright = np.rot90(image, turns) if turns else image
        return np.ascontiguousarray(upright, dtype=np.uint8)
