"""Features on disk: one HDF5 file with a manifest, and parts of it, written whole or not at all.

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
    """What is known of the features of one video.

    Attributes:
        num_rows: steps that are stored.
        num_steps: steps that belong to the video; what follows is of its repeated last frame.
        stride_frames, offset_frames, fps: the grid, as `FeatureGrid`.
        num_frames: frames that were looked at, if that is known.
        duration_seconds: of the video, if that is known.
        source_bytes, source_mtime_ns: of the video file, to see whether it has changed.
        notices: what the user should know of it, such as damage.
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
        path: of the file or folder.
        manifest: how they were made.
    """

    path: Path
    manifest: FeatureManifest

    def video_ids(self) -> list[str]:
        """The videos, sorted."""

    def video(self, video_id: str) -> StoredVideo:
        """What is known of a video. Raises: FeatureError if it is not there."""

    def read(self, video_id: str, start: int, stop: int) -> NDArray[np.float32]:
        """Rows ``start`` to ``stop`` (at most those there are) as (T, C)."""


STORED_VIDEO = TypeAdapter(StoredVideo)
_WHOLE = "a whole file of mmad extract-features; extract the features again"


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    with reading(path, expected=_WHOLE, error=FeatureError):
        file = h5py.File(path, "r", locking=False)
        with file:
            yield file


class _Target(io.FileIO):
    """The file that HDF5 writes to; raises the first error of the disk when it is closed.

    The library crashes at the end of the process if it could not write all it had to, so from the
    first error on it is told that all is well, and nothing is written any more.
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
        """Raise the error of the disk, if there was one."""
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        if not self.closed:
            super().close()
            self.check()


@contextmanager
def _created(path: Path) -> Iterator[tuple[h5py.File, _Target]]:
    """A new file, which gets its name when the block ends well.

    Raises: OutputError if the disk does not take it.
    """
    with (
        replaced(path, sync=True) as partial,
        _Target(partial) as target,
        h5py.File(target, "w", libver="v110") as file,
    ):
        yield file, target


def _in_this_file(group: h5py.Group, name: str) -> Any:
    """The object of that name, unless it is a link that leads elsewhere.

    Raises: ValueError if it is one.
    """
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{name!r} is a link; it is not followed")
    return group[name]


def _facts(path: Path, group: h5py.Group, name: str, manifest: FeatureManifest) -> StoredVideo:
    """What is known of a video, if its array is what that and the manifest say.

    Raises: FeatureError or ValueError if it is not, or not in this file.
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
    # A chunk is unpacked as a whole.
    for part in (array.shape, array.chunks or ()):
        require_unpacked(
            source,
            math.prod(part) * array.dtype.itemsize,
            stored_bytes=array.id.get_storage_size(),
            error=FeatureError,
        )
    return video


def _cpu_seconds(path: Path) -> int:
    """More than reading the facts of a file can take; a second for each megabyte."""
    return 5 + path.stat().st_size // 2**20


class FeatureFile:
    """The features in an HDF5 file; it is opened for each read, so any process may share this.

    Args:
        path: of the file.

    Raises: FeatureError if it is missing, damaged or no file of features.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise FeatureError(
                f"{path}: there is no such file of features; mmad extract-features makes one"
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
        """As `FeatureSource`."""
        return sorted(self._videos)

    def video(self, video_id: str) -> StoredVideo:
        """As `FeatureSource`."""
        if video_id not in self._videos:
            raise FeatureError(f"{self.path}: has no features of video '{video_id}'")
        return self._videos[video_id]

    def read(self, video_id: str, start: int, stop: int) -> NDArray[np.float32]:
        """As `FeatureSource`."""
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
    """Ends the writing of a part that is not wanted."""


class PartWriter:
    """Writes the features of one video; the file has its name only once it is whole.

    Args:
        path: of the part.
        manifest: of the extraction.
        video_id, video: whose features; rows are written in order until there are all of them.
        dtype: of the stored numbers.

    Raises: OutputError here and in `write` and `publish` if the disk does not take it.
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
        # Contiguous and of known length: rows go straight to the disk, however long the video.
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
        """Leave nothing behind if the file has not got its name."""
        with suppress(_Dropped, OutputError), self._open.pop_all():
            raise _Dropped


def require_storable(rows: NDArray, *, dtype: str, video_id: str) -> None:
    """Do nothing if the numbers are finite in the type that is stored.

    Raises: FeatureError if not.
    """
    with np.errstate(over="ignore"):
        stored = rows.astype(dtype)
    if not np.isfinite(stored).all():
        largest = np.abs(rows[np.isfinite(rows)]).max(initial=0.0)
        raise FeatureError(
            f"video '{video_id}': its features are not finite as {dtype} (largest {largest:.3g}); "
            "use --dtype float32 and --precision fp32"
        )


def merge_parts(
    parts: Mapping[str, Path],
    out: Path,
    *,
    manifest: FeatureManifest,
) -> None:
    """One file of all parts, in the order of their names; the same parts give the same bytes.

    Args:
        parts: file that holds each video.
        out: the joined file; it may be among the parts.
        manifest: of all.

    Raises: FeatureError if a part cannot be read, OutputError if the disk does not take the file.
    """
    with _created(out) as (file, target):
        file.attrs[MANIFEST] = manifest.to_json()
        group = file.create_group(_VIDEOS)
        for video_id in sorted(parts):
            with _opened(parts[video_id]) as part:
                part.copy(part[_VIDEOS][video_id], group, name=video_id)
            target.check()
