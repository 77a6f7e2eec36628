"""Folders with an array of features for each video, as ActionFormer and OpenTAD use them.

Shapes: T stored steps of a video, C channels of a step.
"""

import codecs
import csv
import io
import pickle
import pickletools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter

from mmad.checkpoint import load_pickled
from mmad.config.base import validated
from mmad.config.features import StoredGrid
from mmad.data.features.files import StoredVideo
from mmad.data.features.manifest import FeatureManifest, read_manifest
from mmad.errors import FeatureError
from mmad.files import replaced
from mmad.limits import require_unpacked
from mmad.names import problem_of_id, safe_name
from mmad.packed import read_npz
from mmad.parsing import json_value, read_text, reading

FOLDER_MANIFEST = "manifest.json"
FOLDER_VIDEOS = "videos.json"
_FACTS = TypeAdapter(dict[str, StoredVideo])
SUFFIXES = (".npy", ".npz", ".pt", ".csv", ".pkl")


class FeatureFolder:
    """A folder with one array for each video.

    Args:
        path: Path of the folder.
        grid: Grid of the steps; None uses that of the folder's own manifest.
        file_name: Names of the files without suffix; "{video_id}" stands for the id of the video.
        channels_first: Whether arrays are (C, T).

    Raises: FeatureError if there is no such folder, no array in it, or no grid is known.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        grid: StoredGrid | None = None,
        file_name: str = "{video_id}",
        channels_first: bool = False,
    ) -> None:
        self.path = Path(path)
        self._channels_first = channels_first
        facts = self.path / FOLDER_VIDEOS
        self._own = _read_facts(facts) if facts.is_file() else {}
        # Ids of videos that cannot be names of files.
        given = {safe_name(video_id): video_id for video_id in self._own}
        before, after = file_name.split("{video_id}", 1)
        self._files: dict[str, Path] = {}
        for file in sorted(self.path.iterdir()) if self.path.is_dir() else []:
            name = file.stem
            fits = name.startswith(before) and name.endswith(after)
            if file.suffix in SUFFIXES and fits and file.name[0] != ".":
                video_id = name.removeprefix(before).removesuffix(after)
                video_id = given.get(video_id, video_id)
                if problem := problem_of_id(video_id):
                    raise FeatureError(f"{self.path}: the id of a video {problem}")
                if video_id in self._files:
                    raise FeatureError(
                        f"{self._files[video_id]} and {file} would both be video '{video_id}'"
                    )
                self._files[video_id] = file
        if not self._files:
            raise FeatureError(
                f"{path}: expected a folder with arrays named '{file_name}' and one of "
                f"{', '.join(SUFFIXES)}, found none"
            )
        own = self.path / FOLDER_MANIFEST
        if own.is_file():
            self.manifest = read_manifest(read_text(own, error=FeatureError), source=str(own))
        else:
            if grid is None:
                raise FeatureError(
                    f"{path}: the positions of the steps are not known; set "
                    "data.grid={stride_frames: ..., offset_frames: ...}"
                )
            first = self._load(next(iter(self._files)))
            self.manifest = FeatureManifest(grid=grid, step_shape=list(first.shape[1:]))
        self._known: dict[str, StoredVideo] = {}

    def video_ids(self) -> list[str]:
        """As in `FeatureSource`."""
        return sorted(self._files)

    def video(self, video_id: str) -> StoredVideo:
        """As in `FeatureSource`."""
        if video_id not in self._files:
            raise FeatureError(f"{self.path}: has no features of video '{video_id}'")
        if video_id not in self._known:
            rows = len(self._load(video_id))
            grid = self.manifest.grid
            if video_id in self._own:
                known = replace(self._own[video_id], num_rows=rows, num_steps=rows)
            elif grid is None:
                raise FeatureError(f"{self.path}: videos.json lacks the grid of '{video_id}'")
            else:
                known = StoredVideo(rows, rows, grid.stride_frames, grid.fps, grid.offset_frames)
            self._known[video_id] = known
        return self._known[video_id]

    def read(self, video_id: str, start: int, stop: int) -> NDArray[np.float32]:
        """As in `FeatureSource`."""
        rows = self._load(video_id)[start:stop]
        # A copy, because a memory map is read-only.
        return np.array(rows, dtype=np.float32).reshape(len(rows), self.manifest.channels)

    def _load(self, video_id: str) -> NDArray:
        file = self._files[video_id]
        with reading(file, expected="an array", error=FeatureError):
            array = read_array(file)
        if self._channels_first:
            array = array.swapaxes(0, -1)
        if not np.issubdtype(array.dtype, np.number):
            raise FeatureError(f"{file}: expected numbers, found {array.dtype}")
        if not 2 <= array.ndim <= 8 or not array.size:
            raise FeatureError(
                f"{file}: expected (steps, channels), found an array of shape {array.shape}"
            )
        expected = self.manifest.channels if hasattr(self, "manifest") else None
        channels = int(np.prod(array.shape[1:]))
        if expected is not None and channels != expected:
            raise FeatureError(
                f"{file}: has {channels} channels, the others {expected}; if arrays are "
                "(channels, steps), set data.channels_first=true"
            )
        return array


def read_array(file: Path) -> NDArray:
    """The array in a .npy, .npz, .pt, .csv or .pkl file, read without executing code.

    Raises: FeatureError if it claims to be larger than allowed; whatever NumPy and torch raise if
        there is none.
    """
    array = _read_array(file)
    # Also for a view that repeats a few numbers.
    stored = file.stat().st_size
    require_unpacked(file, array.nbytes, stored_bytes=stored, error=FeatureError)
    return array


def _read_array(file: Path) -> NDArray:
    if file.suffix == ".npy":
        return np.lib.format.open_memmap(file, mode="r")
    if file.suffix == ".npz":
        arrays = read_npz(file, error=FeatureError)
        return arrays["feats" if "feats" in arrays or len(arrays) != 1 else next(iter(arrays))]
    if file.suffix == ".pt":
        tensor = load_pickled(file, error=FeatureError)
        if not isinstance(tensor, torch.Tensor):
            raise ValueError(f"expected a tensor, found {type(tensor).__name__}")
        return tensor.detach().float().numpy()
    if file.suffix == ".csv":
        with file.open(newline="", encoding="utf-8") as text:
            _, *rows = csv.reader(text)
        return np.array(rows, dtype=np.float32)
    return _read_pickle(file)


def _read_facts(path: Path) -> dict[str, StoredVideo]:
    content = json_value(path, read_text(path, error=FeatureError), error=FeatureError)
    return validated(_FACTS, content, source=path, error=FeatureError)


_PICKLED_ARRAYS: Mapping[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): codecs.encode,
    **{
        (module, "_reconstruct"): np.zeros(0).__reduce__()[0]
        for module in ("numpy.core.multiarray", "numpy._core.multiarray")
    },
    **{
        (module, "_frombuffer"): np.zeros(0).__reduce_ex__(5)[0]
        for module in ("numpy.core.numeric", "numpy._core.numeric")
    },
}


class _ArraysOnly(pickle._Unpickler):
    """Unpickles NumPy arrays and plain values; anything else is refused before it is created.

    In Python, because the C unpickler allocates whatever memo size a file claims.
    """

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _PICKLED_ARRAYS:
            raise pickle.UnpicklingError(
                f"contains {module}.{name}, not an array; it is not read, because it could run code"
            )
        return _PICKLED_ARRAYS[module, name]


def _read_pickle(file: Path) -> NDArray:
    content = file.read_bytes()
    for _ in pickletools.genops(content):  # raises if a file claims more than it contains
        pass
    array = _ArraysOnly(io.BytesIO(content)).load()
    if not isinstance(array, np.ndarray):
        raise ValueError(f"expected an array, found {type(array).__name__}")
    return array


def write_array(file: Path, array: NDArray) -> None:
    """Write an array in the format given by the suffix."""
    with replaced(file, errors=(RuntimeError,)) as partial, partial.open("wb") as out:
        if file.suffix == ".npy":
            np.save(out, array)
        elif file.suffix == ".npz":
            np.savez(out, feats=array)
        elif file.suffix == ".pt":
            torch.save(torch.from_numpy(array), out)
        elif file.suffix == ".pkl":
            pickle.dump(array, out, protocol=4)
        else:
            out.write(",".join(f"c{i}" for i in range(array.shape[1])).encode() + b"\n")
            np.savetxt(out, array, delimiter=",", fmt="%.9g")
