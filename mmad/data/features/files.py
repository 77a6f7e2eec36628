"""Features on disk: one HDF5 file with a manifest, written atomically from parts.

Shapes: T stored steps of a video, C channels of a step.
"""

import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from mmad.config.base import (
    Count,
    FirstFrame,
    PositiveCount,
    PositiveFrames,
    PositiveRate,
    PositiveSeconds,
    validated,
)
from mmad.data.features.manifest import FeatureManifest, read_manifest
from mmad.errors import FeatureError, OutputError
from mmad.files import cannot_write, replaced
from mmad.limits import require_unpacked, survives
from mmad.names import problem_of_id
from mmad.parsing import json_value, reading

MANIFEST = "manifest"
_VIDEOS = "videos"


@dataclass(frozen=True)
class StoredVideo:
    """Facts about the features of one video.

    Attributes:
        num_rows: Number of stored steps.
        num_steps: Number of steps within the video; the rest are of its repeated last frame.
        stride_frames, offset_frames, fps: Grid of the steps, as in `FeatureGrid`.
        num_frames: Number of frames used, if known.
        duration_seconds: Duration of the video, if known.
        source_bytes, source_mtime_ns: Size and time of the video file, to detect changes.
        notices: What the user should know about it, such as damage.
    """

    num_rows: PositiveCount
    num_steps: PositiveCount
    stride_frames: PositiveFrames
    fps: PositiveRate | None
    offset_frames: FirstFrame = 0.0
    num_frames: Count | None = None
    duration_seconds: PositiveSeconds | None = None
    source_bytes: int | None = None
    source_mtime_ns: int | None = None
    notices: tuple[str, ...] = field(default=())


class FeatureSource(Protocol):
    """Stored features of many videos.

    Attributes:
        path: Path of the file or folder.
        manifest: How the features were made.
    """

    path: Path
    manifest: FeatureManifest

    def video_ids(self) -> list[str]:
        """Ids of the videos, sorted."""

    def video(self, video_id: str) -> StoredVideo:
        """Facts about the features of a video.

        Raises: FeatureError if it has none.
        """

    def read(self, video_id: str, start: int, stop: int) -> NDArray[np.float32]:
        """Rows ``start`` to ``stop``, or up to the last, as (T, C)."""


STORED_VIDEO = TypeAdapter(StoredVideo)
_WHOLE = "a complete file of mmad extract-features; extract the features again"


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    with reading(path, expected=_WHOLE, error=FeatureError):
        file = h5py.File(path, "r", locking=False)
        with file:
            yield file


class _Target(io.FileIO):
    """The file that HDF5 writes to; the first disk error is raised when it is closed.

    The library crashes at the end of the process if a write failed, so from the first error on
    every write is reported as successful, and nothing is written any more.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+")
        self.error: OSError | None = None

    def write(self, content: Any) -> int:
        rest = memoryview(content)
        try:
            while self.error is None and len(rest):
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.error = error
        return len(content)

    def truncate(self, size: int | None = None) -> int:
        try:
            if self.error is None:
                super().truncate(size)
        except OSError as error:
            self.error = error
        return size or 0

    def check(self) -> None:
        """Raise the first disk error, if there was one."""
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        if not self.closed:
            super().close()
            self.check()


@contextmanager
def _created(path: Path) -> Iterator[tuple[h5py.File, _Target]]:
    """A new file, which gets its name when the block ends without an exception.

    Raises: OutputError if it cannot be written.
    """
    with (
        replaced(path, sync=True) as partial,
        _Target(partial) as target,
        h5py.File(target, "w", libver="v110") as file,
    ):
        yield file, target


def _in_this_file(group: h5py.Group, name: str) -> Any:
    """The object of that name in this file.

    Raises: ValueError if it is a link to another place.
    """
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{name!r} is a link; it is not followed")
    return group[name]


def _facts(path: Path, group: h5py.Group, name: str, manifest: FeatureManifest) -> StoredVideo:
    """Facts about the features of a video, checked against its array and the manifest.

    Raises: FeatureError or ValueError if they disagree or the array is not in this file.
    """
    source = f"{path}: video {name!r:.60}"
    if problem := problem_of_id(name):
        raise FeatureError(f"{path}: the id of a video {problem}")
    array = _in_this_file(group, name)
    if not isinstance(array, h5py.Dataset) or array.external or array.is_virtual:
        raise FeatureError(f"{source}: expected an array in this file, found something else")
    content = json_value(source, str(array.attrs["video"]), error=FeatureError)
    video = validated(STORED_VIDEO, content, source=source, error=FeatureError)
    shape = (video.num_rows, *manifest.step_shape)
    if array.shape != shape or array.dtype.kind != "f" or video.num_steps > video.num_rows:
        raise FeatureError(
            f"{source}: expected numbers of shape {shape}, found {array.dtype} of shape "
            f"{array.shape}, {video.num_steps} of them in the video; extract the features again"
        )
    # HDF5 decompresses whole chunks.
    for part in (array.shape, array.chunks or ()):
        require_unpacked(
            source,
            math.prod(part) * array.dtype.itemsize,
            stored_bytes=array.id.get_storage_size(),
            error=FeatureError,
        )
    return video


def _cpu_seconds(path: Path) -> int:
    """An upper limit for reading the facts of a file: a second per megabyte, and more."""
    return 5 + path.stat().st_size // 2**20


class FeatureFile:
    """The features in an HDF5 file; it is opened for each read, so processes may share this.

    Args:
        path: Path of the file.

    Raises: FeatureError if it is missing, damaged or not a file of features.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise FeatureError(
                f"{path}: file of features not found; mmad extract-features makes one"
            )
        if not survives(self._read_facts, cpu_seconds=_cpu_seconds(self.path)):
            raise FeatureError(f"{path}: is damaged; expected {_WHOLE}")
        self.manifest, self._videos = self._read_facts()

    def _read_facts(self) -> tuple[FeatureManifest, dict[str, StoredVideo]]:
        with _opened(self.path) as file:
            if MANIFEST not in file.attrs or _VIDEOS not in file:
                raise FeatureError(f"{self.path}: is HDF5, but not of mmad extract-features")
            manifest = read_manifest(str(file.attrs[MANIFEST]), source=str(self.path))
            group = _in_this_file(file, _VIDEOS)
            return manifest, {name: _facts(self.path, group, name, manifest) for name in group}

    def video_ids(self) -> list[str]:
        """As in `FeatureSource`."""
        return sorted(self._videos)

    def video(self, video_id: str) -> StoredVideo:
        """As in `FeatureSource`."""
        if video_id not in self._videos:
            raise FeatureError(f"{self.path}: has no features of video '{video_id}'")
        return self._videos[video_id]

    def read(self, video_id: str, start: int, stop: int) -> NDArray[np.float32]:
        """As in `FeatureSource`."""
        self.video(video_id)
        with _opened(self.path) as file:
            rows = file[_VIDEOS][video_id][start:stop]
        return np.asarray(rows, dtype=np.float32).reshape(len(rows), -1)

    def raw(self, video_id: str) -> NDArray:
        """All rows of a video as they are stored."""
        self.video(video_id)
        with _opened(self.path) as file:
            return np.asarray(file[_VIDEOS][video_id][()])


class _Dropped(Exception):  # noqa: N818
    """Aborts the writing of a part."""


class PartWriter:
    """Writes the features of one video; the file gets its name only once it is complete.

    Args:
        path: Path of the part.
        manifest: Manifest of the extraction.
        video_id, video: The video and the facts about its features; its rows are written in order.
        dtype: Type of the stored numbers.

    Raises: OutputError, also in `write` and `publish`, if it cannot be written.
    """

    def __init__(
        self,
        path: Path,
        *,
        manifest: FeatureManifest,
        video_id: str,
        video: StoredVideo,
        dtype: str,
    ) -> None:
        self._path = path
        self._video = video
        self.num_written = 0
        self._open = ExitStack()
        file, self._target = self._open.enter_context(_created(path))
        file.attrs[MANIFEST] = manifest.to_json()
        # Contiguous and of known length, so that rows are not buffered, however long the video.
        self._rows = file.create_group(_VIDEOS).create_dataset(
            video_id,
            shape=(video.num_rows, *manifest.step_shape),
            dtype=dtype,
            track_times=False,
        )

    def write(self, rows: NDArray) -> None:
        """Append rows."""
        self._rows[self.num_written : self.num_written + len(rows)] = rows
        self.num_written += len(rows)
        if self._target.error is not None:
            raise cannot_write(self._path, self._target.error)

    def publish(self, *, notices: Sequence[str] = ()) -> None:
        """Give the file its name."""
        assert self.num_written == self._video.num_rows, "rows are missing"
        facts = {**asdict(self._video), "notices": list(notices)}
        self._rows.attrs["video"] = json.dumps(facts)
        self._open.close()

    def close(self) -> None:
        """Abort and remove the partial file unless it was published."""
        with suppress(_Dropped, OutputError), self._open.pop_all():
            raise _Dropped


def require_storable(rows: NDArray, *, dtype: str, video_id: str) -> None:
    """Raise `FeatureError` unless the numbers are finite in the stored type."""
    with np.errstate(over="ignore"):
        stored = rows.astype(dtype)
    if not np.isfinite(stored).all():
        largest = np.abs(rows[np.isfinite(rows)]).max(initial=0.0)
        raise FeatureError(
            f"video '{video_id}': its features are not finite as {dtype} (largest {largest:.3g}); "
            "pass --dtype float32 and --precision fp32"
        )


def merge_parts(
    parts: Mapping[str, Path],
    out: Path,
    *,
    manifest: FeatureManifest,
) -> None:
    """Merge parts into one file, in order of video id; the same parts give the same bytes.

    Args:
        parts: File that contains each video.
        out: Merged file; it may be among the parts.
        manifest: Manifest of all.

    Raises: FeatureError if a part cannot be read, OutputError if the file cannot be written.
    """
    with _created(out) as (file, target):
        file.attrs[MANIFEST] = manifest.to_json()
        group = file.create_group(_VIDEOS)
        for video_id in sorted(parts):
            with _opened(parts[video_id]) as part:
                part.copy(part[_VIDEOS][video_id], group, name=video_id)
            target.check()
