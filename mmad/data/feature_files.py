"""Features on disk: one HDF5 file with a manifest, and parts of it, written whole or not at all.

Shapes: T stored steps of a video, C channels of a step.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
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
        self._partial = path.with_name(f".{path.name}.{os.getpid()}.part")
        self._file = h5py.File(self._partial, "w", libver="v110", locking=False)
        self._file.attrs[MANIFEST] = manifest.to_json()
        group = self._file.create_group(_VIDEOS)
        # Contiguous and of known length: rows go straight to the disk, whatever the video's length.
        self._rows = group.create_dataset(
            video_id, shape=(video.num_rows, *manifest.step_shape), dtype=dtype, track_times=False
        )
        self._video = video
        self.num_written = 0

    def write(self, rows: NDArray) -> None:
        """Append rows."""
        self._rows[self.num_written : self.num_written + len(rows)] = rows
        self.num_written += len(rows)

    def close(self, *, notices: Sequence[str] = ()) -> None:
        """Give the file its name."""
        assert self.num_written == self._video.num_rows, "rows are missing"
        facts = {**asdict(self._video), "notices": list(notices)}
        self._rows.attrs["video"] = json.dumps(facts)
        self._file.close()
        with self._partial.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(self._partial, self._path)

    def drop(self) -> None:
        """Give up: nothing is left."""
        self._file.close()
        self._partial.unlink(missing_ok=True)


def merge_parts(parts: Mapping[str, Path], out: Path, *, manifest: FeatureManifest) -> None:
    """One file of all parts, in the order of their names; the same parts give the same bytes."""
    partial = out.with_name(f".{out.name}.{os.getpid()}.part")
    with h5py.File(partial, "w", libver="v110", locking=False) as file:
        file.attrs[MANIFEST] = manifest.to_json()
        group = file.create_group(_VIDEOS)
        for video_id in sorted(parts):
            with _opened(parts[video_id]) as part:
                part.copy(part[_VIDEOS][video_id], group, name=video_id)
    with partial.open("rb") as written:
        os.fsync(written.fileno())
    os.replace(partial, out)
