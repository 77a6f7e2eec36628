"""A process that decodes videos for this one.

A file from a broken camera can make a C library read wild memory, loop or allocate without end.
In a process of its own that ends the reading of this file; the next one gets a new process. Frames
come through shared memory, and are decoded ahead of their use.
"""

import os
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import connection as connections
from multiprocessing import get_context
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmad.errors import VideoError
from mmad.video.closing import Closing
from mmad.video.guarded.child import (
    Answer,
    Decoding,
    Done,
    Failed,
    FramesRequest,
    Freed,
    IndexRequest,
    Ready,
    serve,
)
from mmad.video.guarded.limits import DecoderLimits
from mmad.video.index import VideoIndex
from mmad.video.reader import Frame, check_indices, gather
from mmad.workers import interrupts_held_back

# Shared memory for frames. Containers often have no more than 64 MB of it for all processes.
_MEMORY_BYTES = 16 * 2**20
_FEWEST_SLOTS, _MOST_SLOTS = 2, 32
# An index is read at least this fast, also over a network.
_BYTES_PER_SECOND = 2**20
_SECONDS_TO_END = 5.0


class DecoderProcess(Closing):
    """Decodes one video at a time; started when it is first needed, and again after it died.

    Args:
        limits: What decoding may use.
        decoding: How videos are opened.
    """

    def __init__(self, limits: DecoderLimits, decoding: Decoding | None = None) -> None:
        self._limits = limits
        self._decoding = decoding or Decoding()
        self._process: Any = None
        self._connection: connections.Connection | None = None
        self._lifeline: connections.Connection | None = None
        self._is_answering = False

    def open(self, path: Path) -> "GuardedVideo":
        """A video, whose index is read now and whose frames are decoded when they are asked for.

        Raises: VideoError if it cannot be read within the limits.
        """
        self._ask(IndexRequest(path, os.getcwd()))
        try:
            size = path.stat().st_size
        except (OSError, ValueError):
            size = 0
        answer = self._answer(path, seconds=self._limits.seconds + size / _BYTES_PER_SECOND)
        assert isinstance(answer, VideoIndex)
        self._is_answering = False
        return GuardedVideo(answer, self)

    def frames(
        self,
        index: VideoIndex,
        positions: NDArray[np.int64],
        *,
        size: tuple[int, int],
        reader: str,
        resizing: str,
        damaged: set[int],
    ) -> Iterator[Frame]:
        """Frames of a video in ascending order, uint8 RGB (height, width, 3), as they are decoded.

        Args:
            index: The video.
            positions: Their positions, ascending.
            size, reader, resizing: As in `open_video`.
            damaged: Gets the positions of those that could not be decoded.

        Raises: VideoError if it cannot be read within the limits.
        """
        height, width = size
        fitting = _MEMORY_BYTES // (height * width * 3)
        slots = min(max(fitting, _FEWEST_SLOTS), _MOST_SLOTS)
        memory = _shared(slots * height * width * 3)
        try:
            self._ask(
                FramesRequest(
                    *(index.path, os.getcwd(), positions, size, reader, resizing),
                    *(memory.name, slots),
                )
            )
            slot = 0
            while not isinstance(answer := self._answer(index.path), Done):
                assert isinstance(answer, Ready)
                damaged |= answer.damaged
                for _ in range(answer.count):
                    place = slot * height * width * 3
                    shared = np.ndarray((height, width, 3), np.uint8, memory.buf, place)
                    image = shared.copy()  # before the slot is used again
                    del shared
                    slot = (slot + 1) % slots
                    yield image
                self._send(Freed(answer.count))
            self._is_answering = False
        finally:
            if self._is_answering:
                self._end_answer()
            memory.close()
            memory.unlink()

    def close(self) -> None:
        """End the process."""
        if self._process is None:
            return
        assert self._connection is not None
        assert self._lifeline is not None
        self._connection.close()
        self._lifeline.close()
        self._process.join(0 if self._is_answering else _SECONDS_TO_END)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()
        self._process = None
        self._is_answering = False

    def _ask(self, request: IndexRequest | FramesRequest) -> None:
        if self._is_answering:  # nobody wanted the rest of the last answer
            self._end_answer()
        if self._process is None:
            self._start()
        self._is_answering = True
        self._send(request)

    def _start(self) -> None:
        # Spawned, because FFmpeg's threads do not survive a fork.
        context = get_context("spawn")
        self._connection, theirs = context.Pipe()
        ends_with_us, self._lifeline = context.Pipe(duplex=False)
        self._process = context.Process(
            target=serve,
            args=(theirs, ends_with_us, self._limits, self._decoding),
            name="mmad-decoder",
            daemon=True,
        )
        with interrupts_held_back():
            self._process.start()
        theirs.close()
        ends_with_us.close()

    def _send(self, message: IndexRequest | FramesRequest | Freed) -> None:
        assert self._connection is not None
        try:
            self._connection.send(message)
        except OSError:  # it has died, which the next answer tells
            return

    def _answer(self, path: Path, *, seconds: float | None = None) -> Answer:
        """The next answer.

        Raises: VideoError if the video cannot be read, or the process died or stalled.
        """
        assert self._connection is not None
        limit = self._limits.seconds if seconds is None else seconds
        answer: Answer | None = None
        ready = connections.wait([self._connection, self._process.sentinel], timeout=limit)
        try:
            if self._connection in ready:
                answer = self._connection.recv()
        except (EOFError, OSError):
            pass
        if answer is None:
            reason = self._end_dead() if ready else self._end_stalled(limit)
            raise VideoError(f"{path}: {reason}")
        if isinstance(answer, Failed):
            self._is_answering = False
            raise VideoError(answer.message)
        return answer

    def _end_dead(self) -> str:
        self._process.join(_SECONDS_TO_END)
        code = self._process.exitcode
        self.close()
        return (
            f"its decoder died ({_death(code)}); the file is probably damaged: make a copy with "
            "mmad prepare or another program, or leave it out"
        )

    def _end_stalled(self, seconds: float) -> str:
        self.close()
        return (
            f"its decoder made no progress for {seconds:.0f} s and was stopped; copy the file to "
            "this machine, leave it out, or allow more with --decoder-limits seconds=N"
        )

    def _end_answer(self) -> None:
        """Read the answers to a request that nobody waits for any more."""
        if self._process is None:
            self._is_answering = False
            return
        self._send(Freed(-1))
        try:
            while self._is_answering and not isinstance(self._answer(Path()), Done | VideoIndex):
                pass
        except VideoError:
            pass
        self._is_answering = False


@dataclass(frozen=True, eq=False)
class GuardedVideo:
    """A video file that is decoded in another process.

    Attributes:
        index: Times, rate and size.
        process: The process.
    """

    index: VideoIndex
    process: DecoderProcess

    def open(self, *, size: tuple[int, int], reader: str, resizing: str) -> "GuardedReader":
        """A reader; the arguments are those of `open_video`."""
        return GuardedReader(self, size=size, reader=reader, resizing=resizing)


class GuardedReader(Closing):
    """Frames that another process decodes. See `mmad.video.reader.VideoReader`."""

    def __init__(
        self, video: GuardedVideo, *, size: tuple[int, int], reader: str, resizing: str
    ) -> None:
        self.index = video.index
        self.damaged: set[int] = set()
        self._process = video.process
        self._size = size
        self._reader, self._resizing = reader, resizing
        self._open: list[Iterator[Frame]] = []

    def close(self) -> None:
        """End the decoding of frames that nobody has asked for."""
        for stream in self._open:
            stream.close()  # type: ignore[attr-defined]
        self._open = []

    def read(self, frame_indices: Sequence[int] | NDArray[np.int64]) -> Frame:
        """The frames at ``frame_indices`` (any order, repeats allowed), uint8 RGB (F, H, W, 3)."""
        return gather(self.stream, frame_indices, size=self._size)

    def stream(self, frame_indices: Iterable[int] | None = None) -> Iterator[Frame]:
        """The frames at ascending ``frame_indices`` (None: all), one uint8 (H, W, 3) at a time."""
        wanted = range(self.index.num_frames) if frame_indices is None else list(frame_indices)
        positions = np.asarray(wanted, dtype=np.int64)
        check_indices(self.index, positions)
        if not len(positions):
            return iter(())
        frames = self._process.frames(
            self.index,
            positions,
            size=self._size,
            reader=self._reader,
            resizing=self._resizing,
            damaged=self.damaged,
        )
        self._open.append(frames)
        return frames


def _shared(num_bytes: int) -> SharedMemory:
    """Shared memory.

    Raises: VideoError if there is not enough of it.
    """
    place = Path("/dev/shm")
    try:
        if sys.platform.startswith("linux") and place.is_dir():
            import shutil

            # Writing to memory that is promised and not there would kill the process.
            if shutil.disk_usage(place).free < num_bytes:
                raise OSError(f"{place} is full")
        return SharedMemory(create=True, size=num_bytes)
    except OSError as error:
        raise VideoError(
            f"no {num_bytes // 2**20 + 1} MiB of shared memory for frames ({error}); free some "
            "(docker run --shm-size 1g), or pass --decoder-limits off"
        ) from None


def _death(code: int | None) -> str:
    """How a process has ended.

    >>> _death(-11), _death(3)
    ('SIGSEGV', 'exit code 3')
    """
    if code is None:
        return "no exit code"
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return f"{name}, perhaps because memory ran out" if name == "SIGKILL" else name
    return f"exit code {code}" if code < 2**16 else f"exit code {code:#x}"
