"""The process that decodes: answers requests until its parent ends or closes the connection."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmad.errors import VideoError
from mmad.video.guarded.limits import DecoderLimits, limit_memory
from mmad.video.index import VideoIndex, index_video, open_container, video_stream
from mmad.video.open import open_video
from mmad.video.reader import VideoReader
from mmad.workers import end_with_parent

# Frames in shared memory are announced together, since a message costs as much as a small frame.
BLOCK_FRAMES = 8


@dataclass(frozen=True)
class IndexRequest:
    """Asks for the index of a video, whose path may start at the folder."""

    path: Path
    folder: str


@dataclass(frozen=True)
class FramesRequest:
    """Asks for frames of a video, which are written to shared memory, one slot after another.

    Attributes:
        path, folder: As in `IndexRequest`.
        frames: Positions, ascending; int64 (F,).
        size: Height and width to read them at.
        reader, resizing: As in `open_video`.
        memory: Name of the shared memory.
        slots: Frames that fit into it.
    """

    path: Path
    folder: str
    frames: NDArray[np.int64]
    size: tuple[int, int]
    reader: str
    resizing: str
    memory: str
    slots: int


@dataclass(frozen=True)
class Freed:
    """The parent has read so many frames, whose slots are free again; -1 ends the request."""

    count: int


@dataclass(frozen=True)
class Ready:
    """So many more frames are in the memory; of all so far, these were damaged."""

    count: int
    damaged: frozenset[int]


@dataclass(frozen=True)
class Done:
    """The request has been answered."""


@dataclass(frozen=True)
class Failed:
    """The video cannot be read, and why."""

    message: str


Answer = VideoIndex | Ready | Done | Failed


@dataclass(frozen=True)
class Decoding:
    """How videos are opened; module-level functions, so that another process has them, too."""

    index: Callable[[Path], VideoIndex] = index_video
    open: Callable[..., VideoReader] = open_video


def serve(
    connection: Connection, lifeline: Connection, limits: DecoderLimits, decoding: Decoding
) -> None:
    """Answer requests.

    Args:
        connection: Requests come and answers go here.
        lifeline: Closed when the parent ends.
        limits: What decoding may use.
        decoding: How videos are opened.
    """
    end_with_parent(lifeline)
    limit_memory(limits.memory_mib)
    while True:
        try:
            request = connection.recv()
        except EOFError:
            return
        if isinstance(request, Freed):  # of a request that has been answered
            continue
        try:
            os.chdir(request.folder)
            if isinstance(request, IndexRequest):
                connection.send(_index(request.path, limits, decoding))
            else:
                _send_frames(connection, request, decoding)
                connection.send(Done())
        except VideoError as error:
            connection.send(Failed(str(error)))
        except MemoryError:
            connection.send(
                Failed(
                    f"{request.path}: decoding it needs more than {limits.memory_mib} MiB of "
                    "memory; if the file is trustworthy, allow more with --decoder-limits "
                    "memory_mib=N"
                )
            )
        except (BrokenPipeError, EOFError):
            return
        except Exception as error:
            connection.send(
                Failed(f"{request.path}: cannot be decoded ({type(error).__name__}: {error})")
            )


def _index(path: Path, limits: DecoderLimits, decoding: Decoding) -> VideoIndex:
    if path.is_file() and path.stat().st_size:
        with open_container(path) as container:
            codec = video_stream(container).codec_context
            _require_pixels(path, codec.width, codec.height, limits)
    index = decoding.index(path)
    _require_pixels(path, index.width, index.height, limits)
    return index


def _require_pixels(path: Path, width: int, height: int, limits: DecoderLimits) -> None:
    """Raise `VideoError` if frames are larger than allowed."""
    if width * height > limits.megapixels * 1_000_000:
        raise VideoError(
            f"{path}: its frames of {width} x {height} pixels are larger than the allowed "
            f"{limits.megapixels} megapixels; make a smaller copy with mmad prepare, or allow more "
            "with --decoder-limits megapixels=N"
        )


def _send_frames(connection: Connection, request: FramesRequest, decoding: Decoding) -> None:
    memory = SharedMemory(name=request.memory)
    num_bytes = request.size[0] * request.size[1] * 3
    free, slot, ready = request.slots, 0, 0
    try:
        with decoding.open(
            request.path,
            reader=request.reader,
            size=request.size,
            resizing=request.resizing,
            threads=0,
        ) as video:
            for image in video.stream(request.frames.tolist()):
                while not free or connection.poll():
                    freed = connection.recv()
                    if freed.count < 0:
                        return
                    free += freed.count
                place = slot * num_bytes
                np.ndarray(image.shape, np.uint8, memory.buf, place)[:] = image
                slot, free, ready = (slot + 1) % request.slots, free - 1, ready + 1
                if ready == BLOCK_FRAMES or not free:
                    connection.send(Ready(ready, frozenset(video.damaged)))
                    ready = 0
            if ready:
                connection.send(Ready(ready, frozenset(video.damaged)))
    finally:
        memory.close()
