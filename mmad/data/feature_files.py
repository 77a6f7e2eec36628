"""Features on disk: one HDF5 file with a manifest, and parts of it, written whole or not at all.

Shapes: T stored steps of a video, C channels of a step.
"""

import contextlib
import itertools
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

from mmad.data.feature_manifest import FeatureManifest, read_manifest
from mmad.errors import FeatureError

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

    num_rows: int
    num_steps: int
    stride_frames: float
    fps: float | None
    offset_frames: float = 0.0
    num_frames: int | None = None
    duration_seconds: float | None = None
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


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    try:
        file = h5py.File(path, "r", locking=False)
    except OSError as error:
        raise FeatureError(
            f"{path}: not a whole file of features ({str(error).splitlines()[0]:.80}); "
            "extract them again"
        ) from None
    with file:
        yield file


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turns what h5py and the system raise for a full disk and the like into our error."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise FeatureError(
            f"{path}: cannot be written ({str(error).splitlines()[0]:.80}); is the disk full?"
        ) from None


def _publish(partial: Path, path: Path) -> None:
    """Give a file its name once it is on the disk."""
    with partial.open("r+b") as file:
        os.fsync(file.fileno())
    os.replace(partial, path)


def _facts(dataset: h5py.Dataset) -> StoredVideo:
    content = json.loads(dataset.attrs["video"])
    return StoredVideo(**{**content, "notices": tuple(content["notices"])})


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
        with _opened(self.path) as file:
            if MANIFEST not in file.attrs or _VIDEOS not in file:
                raise FeatureError(f"{path}: is HDF5, but not of mmad extract-features")
            self.manifest = read_manifest(file.attrs[MANIFEST], source=str(path))
            self._videos = {name: _facts(file[_VIDEOS][name]) for name in file[_VIDEOS]}

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


class PartWriter:
    """Writes the features of one video; the file has its name only once it is whole.

    Args:
        path: of the part.
        manifest: of the extraction.
        video_id, video: whose features; rows are written in order until there are all of them.
        dtype: of the stored numbers.

    Raises: FeatureError here and in `write` and `close` if the disk does not take it.
    """

    _count = itertools.count()

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
        # Not the name of the video, which may be as long as names can be.
        self._partial = path.with_name(f".{os.getpid()}.{next(self._count)}.part")
        self._video = video
        self.num_written = 0
        with _writing(path):
            self._file = h5py.File(self._partial, "w", libver="v110", locking=False)
            self._file.attrs[MANIFEST] = manifest.to_json()
            # Contiguous and of known length: rows go straight to the disk, however long the video.
            self._rows = self._file.create_group(_VIDEOS).create_dataset(
                video_id,
                shape=(video.num_rows, *manifest.step_shape),
                dtype=dtype,
                track_times=False,
            )

    def write(self, rows: NDArray) -> None:
        """Append rows."""
        with _writing(self._path):
            self._rows[self.num_written : self.num_written + len(rows)] = rows
        self.num_written += len(rows)

    def close(self, *, notices: Sequence[str] = ()) -> None:
        """Give the file its name."""
        assert self.num_written == self._video.num_rows, "rows are missing"
        facts = {**asdict(self._video), "notices": list(notices)}
        with _writing(self._path):
            self._rows.attrs["video"] = json.dumps(facts)
            self._file.close()
            _publish(self._partial, self._path)

    def drop(self) -> None:
        """Give up: nothing is left."""
        with contextlib.suppress(OSError, RuntimeError):
            self._file.close()
        self._partial.unlink(missing_ok=True)


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
    progress: Callable[[], object] | None = None,
) -> None:
    """One file of all parts, in the order of their names; the same parts give the same bytes.

    Args:
        parts: file that holds each video.
        out: the joined file; it may be among the parts.
        manifest: of all.
        progress: called after each video.

    Raises: FeatureError if a part cannot be read, or the disk does not take the file.
    """
    partial = out.with_name(f".{out.name}.{os.getpid()}.part")
    with _writing(out):
        with h5py.File(partial, "w", libver="v110", locking=False) as file:
            file.attrs[MANIFEST] = manifest.to_json()
            group = file.create_group(_VIDEOS)
            for video_id in sorted(parts):
                with _opened(parts[video_id]) as part:
                    part.copy(part[_VIDEOS][video_id], group, name=video_id)
                if progress is not None:
                    progress()
        _publish(partial, out)
