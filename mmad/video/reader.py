"""Reading frames of a video file: the right ones, upright, already small, in little memory."""

import importlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import av
import av.error
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from mmad.errors import VideoError
from mmad.video.index import VideoIndex, index_video, open_container

Frame = NDArray[np.uint8]
_log = logging.getLogger(__name__)

# Decoding this many frames costs less than seeking.
_SEEK_FRAMES = 24


class VideoReader(Protocol):
    """An open video.

    Attributes:
        index: its frames.
        num_damaged: frames that could not be decoded so far, and were replaced by the one before.
    """

    index: VideoIndex
    num_damaged: int

    def read(self, frame_indices: Sequence[int]) -> Frame:
        """The frames, uint8 (F, H, W, 3) RGB; any order, repeats allowed."""

    def stream(self, frame_indices: Iterable[int] | None = None) -> Iterator[Frame]:
        """The frames (all, by default) one by one; indices must not fall. Memory does not grow."""

    def close(self) -> None:
        """Let go of the file."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


def target_size(
    index: VideoIndex, *, short_side: int | None, size: tuple[int, int] | None
) -> tuple[int, int]:
    """Height and width of the frames that a reader gives."""
    if size is not None:
        return size
    if short_side is None:
        return index.height, index.width
    scale = short_side / min(index.height, index.width)
    return max(1, round(index.height * scale)), max(1, round(index.width * scale))


class PyAVReader:
    """Reads with PyAV; frame-exact by presentation time.

    Args:
        path: of the file.
        short_side: resize so that the shorter side has this many pixels.
        size: resize to this height and width instead.
        threads: of the decoder; 0 lets FFmpeg choose.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        short_side: int | None = None,
        size: tuple[int, int] | None = None,
        threads: int = 1,
    ) -> None:
        self.index = index_video(path)
        self.num_damaged = 0
        self._size = target_size(self.index, short_side=short_side, size=size)
        self._threads = threads
        self._container: av.container.InputContainer | None = None
        self._decoded: Iterator[av.VideoFrame] | None = None
        self._position = 0  # the frames from here on have not been decoded yet
        self._reported = False
        # One for all frames: it keeps the scaling tables.
        self._reformatter = VideoReformatter()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        if self._container is not None:
            self._container.close()
        self._container, self._decoded = None, None

    def read(self, frame_indices: Sequence[int]) -> Frame:
        """The frames, uint8 (F, H, W, 3) RGB; any order, repeats allowed.

        Raises: VideoError if an index is outside the video or nothing can be decoded.
        """
        wanted = np.asarray(frame_indices, dtype=np.int64)
        unique, back = np.unique(wanted, return_inverse=True)
        out = np.empty((len(unique), *self._size, 3), dtype=np.uint8)
        for place, frame in enumerate(self.stream(unique.tolist())):
            out[place] = frame
        if len(unique) == len(wanted) and (unique == wanted).all():
            return out
        return out[back]

    def stream(self, frame_indices: Iterable[int] | None = None) -> Iterator[Frame]:
        """The frames one by one; see `VideoReader`."""
        indices = range(self.index.num_frames) if frame_indices is None else frame_indices
        last_index, last = -1, None
        for index in indices:
            if not 0 <= index < self.index.num_frames:
                raise VideoError(
                    f"{self.index.path}: frame {index} was asked for, the video has {self.index.num_frames}"
                )
            if index != last_index or last is None:
                last = self._frame(index, fallback=last)
                last_index = index
            yield last

    def _frame(self, index: int, *, fallback: Frame | None) -> Frame:
        wanted = self.index.pts[index]
        if self._decoded is None or index < self._position or self._worth_seeking(index):
            self._seek(index)
        nearest: av.VideoFrame | None = None
        while (frame := self._next()) is not None:
            if frame.pts is None:
                continue
            if frame.pts > wanted:
                # Damaged or missing: what is shown at this time is the frame before.
                self._pushed_back = frame
                break
            nearest = frame
            if frame.pts == wanted:
                self._position = index + 1
                return self._picture(frame)
        self._position = index + 1
        self._count_damage()
        if nearest is not None:
            return self._picture(nearest)
        if fallback is not None:
            return fallback
        if self._pushed_back is not None:
            return self._picture(self._pushed_back)
        return self._last_decodable(index)

    def _last_decodable(self, index: int) -> Frame:
        """The nearest frame before ``index`` that can be decoded, by decoding all from the start."""
        self._open()
        nearest = None
        while (frame := self._next()) is not None:
            if frame.pts is not None and frame.pts <= self.index.pts[index]:
                nearest = frame
        self._decoded = None
        if nearest is None:
            raise VideoError(f"{self.index.path}: no frame can be decoded; the file is damaged")
        return self._picture(nearest)

    def _worth_seeking(self, index: int) -> bool:
        key = self._keyframe_before(index)
        return key - self._position > _SEEK_FRAMES

    def _keyframe_before(self, index: int) -> int:
        """A key frame strictly before the wanted frame, so that frames that refer across it decode rightly."""
        place = int(np.searchsorted(self.index.keyframes, index, side="left")) - 1
        return int(self.index.keyframes[place]) if place >= 0 else 0

    def _open(self) -> None:
        self.close()
        self._container = open_container(self.index.path)
        stream = self._container.streams.video[0]
        stream.codec_context.thread_count = self._threads
        stream.thread_type = "SLICE" if self._threads == 1 else "AUTO"
        self._decoded = self._decode_container(self._container)
        self._pushed_back: av.VideoFrame | None = None
        self._position = 0

    def _seek(self, index: int) -> None:
        """Stand at a frame at or before ``index``; from the start if the seek lands behind it."""
        key = self._keyframe_before(index)
        self._open()
        if key < _SEEK_FRAMES:
            return
        assert self._container is not None
        stream = self._container.streams.video[0]
        try:
            self._container.seek(int(self.index.pts[key]), stream=stream, backward=True)
            first = self._next()
        except av.error.FFmpegError:
            first = None
        if first is None or first.pts is None or first.pts > self.index.pts[index]:
            self._open()
            return
        self._pushed_back = first
        self._position = int(np.searchsorted(self.index.pts, first.pts))

    def _next(self) -> av.VideoFrame | None:
        """The next decoded frame, first one that was read too early; None at the end."""
        if self._pushed_back is not None:
            frame, self._pushed_back = self._pushed_back, None
            return frame
        assert self._decoded is not None
        return next(self._decoded, None)

    def _decode_container(self, container: av.container.InputContainer) -> Iterator[av.VideoFrame]:
        stream = container.streams.video[0]
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.error.FFmpegError:
                self._note_damage()
                return
            try:
                yield from packet.decode()  # type: ignore[misc]
            except av.error.FFmpegError:
                self._note_damage()

    def _count_damage(self) -> None:
        self.num_damaged += 1
        self._note_damage()

    def _note_damage(self) -> None:
        if not self._reported:
            self._reported = True
            _log.warning(
                "%s: damaged packets are skipped; the frame before is shown instead",
                self.index.path,
            )

    def _picture(self, frame: av.VideoFrame) -> Frame:
        height, width = self._size
        turns = self.index.rotation_degrees // 90
        if turns % 2:
            height, width = width, height
        shrinks = height < frame.height
        picture = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format="rgb24",
            interpolation="AREA" if shrinks else "BILINEAR",
        ).to_ndarray()
        return np.ascontiguousarray(np.rot90(picture, turns)) if turns else picture


class DecordReader:
    """Reads with decord, as the published pipelines do; random access is wrong on some files, see the docs."""

    def __init__(
        self,
        path: str | Path,
        *,
        short_side: int | None = None,
        size: tuple[int, int] | None = None,
        threads: int = 1,
    ) -> None:
        try:
            decord = importlib.import_module("decord")
        except ImportError:
            raise VideoError(
                'reader decord is not installed; run pip install "mmad[decord]" or use reader pyav'
            ) from None
        self.index = index_video(path)
        self.num_damaged = 0
        height, width = target_size(self.index, short_side=short_side, size=size)
        try:
            self._reader: Any = decord.VideoReader(
                str(path), width=width, height=height, num_threads=threads
            )
        except RuntimeError as error:
            raise VideoError(f"{path}: decord cannot open it ({error!s:.80})") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._reader = None

    def read(self, frame_indices: Sequence[int]) -> Frame:
        """The frames; see `VideoReader`."""
        highest = max(frame_indices, default=0)
        if highest >= len(self._reader):
            raise VideoError(
                f"{self.index.path}: frame {highest} was asked for, decord finds {len(self._reader)}"
            )
        return np.asarray(self._reader.get_batch(list(frame_indices)).asnumpy())

    def stream(self, frame_indices: Iterable[int] | None = None) -> Iterator[Frame]:
        """The frames one by one; see `VideoReader`."""
        for index in range(self.index.num_frames) if frame_indices is None else frame_indices:
            yield self.read([index])[0]


READERS: Mapping[str, Callable[..., VideoReader]] = {"pyav": PyAVReader, "decord": DecordReader}


def open_video(
    path: str | Path,
    *,
    reader: str = "pyav",
    short_side: int | None = None,
    size: tuple[int, int] | None = None,
    threads: int = 1,
) -> VideoReader:
    """An open video that gives frames of the size asked for.

    Args:
        path: of the file.
        reader: a name in `READERS`.
        short_side: pixels of the shorter side, the aspect kept.
        size: height and width, instead.
        threads: of the decoder.

    Raises: VideoError, see `mmad.video.index.open_container`.
    """
    return READERS[reader](path, short_side=short_side, size=size, threads=threads)
