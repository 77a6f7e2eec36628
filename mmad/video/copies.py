"""Copies of videos: parallel, atomic, resumable.

Small copies, cropped copies, faces and optical flow are written this way.
"""

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import TypeAdapter

from mmad.config.base import validated
from mmad.errors import RESUME_HINT, VideoError, told_if_interrupted
from mmad.files import (
    check_writable,
    path_from,
    remove_partials,
    remove_partials_in,
    write_json,
)
from mmad.names import file_key
from mmad.parsing import json_value, read_text
from mmad.process_lock import ProcessLock, held
from mmad.shares import WHOLE, Share, names_of
from mmad.video.index import VideoIndex, announced_frames
from mmad.video.reader import Frame, scaled_size
from mmad.video.writer import VideoWriter, exact_fps
from mmad.workers import LocalWorkers, Workers

PREPARE_MANIFEST = "prepared.json"
CROP_MANIFEST = "cropped.json"
FLOW_MANIFEST = "flow.json"
FACES_MANIFEST = "faces.json"

# Copies of variable rate keep each frame's time to this precision, the usual clock of video.
_TICK = Fraction(1, 90_000)
# Writing the list of finished copies takes a while when there are thousands of them.
_MANIFEST = TypeAdapter(dict[Literal["copies"], dict[str, dict[str, Any] | None]])
_MANIFEST_EVERY_SECONDS = 1.0


@dataclass(frozen=True)
class FinishedCopy:
    """A finished copy.

    Attributes:
        path: File of the copy.
        num_frames: Number of frames, the same in the source and in the copy.
        notices: What the user should know about it, such as damage.
        found: Measurements for the manifest, such as the crop; JSON values.
    """

    path: Path
    num_frames: int
    notices: tuple[str, ...] = ()
    found: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class CopySummary:
    """Copies written, skipped and failed.

    Attributes:
        written: Copies made by this call.
        skipped: Copies that were finished before, with the same settings and source.
        failed: A message for each video without a copy.
    """

    written: list[FinishedCopy] = field(default_factory=list)
    skipped: list[Path] = field(default_factory=list)
    failed: dict[Path, str] = field(default_factory=dict)

    @property
    def num_frames(self) -> int:
        """Number of frames written by this call."""
        return sum(copy.num_frames for copy in self.written)


# Copies the video at the first path to the second path, as a dataclass of settings says. It must
# be a module-level function, so that it can be pickled for worker processes.
WriteCopy = Callable[[Path, Path, Any], FinishedCopy]
# The arguments of one copy: writer, source, folder, settings.
_Job = tuple[WriteCopy, Path, Path, Any]


def make_copies(
    settings: Mapping[Path, Any],
    out: Path,
    write: WriteCopy,
    *,
    manifest_file: str,
    workers: Workers | None = None,
    share: Share = WHOLE,
    overwrite: bool = False,
    on_done: Callable[[Path], object] | None = None,
) -> CopySummary:
    """Write a copy of each video as ``out / (stem + ".mp4")`` and return what was done.

    Several processes may write to the same folder, each its own share; each adds its copies to the
    list of finished ones when it ends.

    Args:
        settings: Settings of each video, a dataclass of JSON values; a finished copy is kept if
            these and the size and time of its source are those in the manifest.
        out: Folder of the copies; created if missing.
        write: Writes one copy; its VideoError is reported and does not stop the others.
        manifest_file: Name of the list of finished copies in ``out``.
        workers: Where copies are made; None: in this process.
        share: Share of the videos, balanced by their number of frames, that this process copies.
        overwrite: Whether to make finished copies again.
        on_done: Called with each source once it is done.

    Raises: VideoError if the manifest cannot be read, OutputError if a copy cannot be written
    or another process is writing to ``out`` (the same share, or all).
    """
    manifest_path = out / manifest_file
    arguments: dict[str, Any] = {
        "workers": workers or LocalWorkers(),
        "overwrite": overwrite,
        "on_done": on_done,
    }
    with held(out, share=share), told_if_interrupted(RESUME_HINT):
        check_writable(out)
        if share.count > 1:
            mine = _videos_of(share, settings)
            return _make_share(mine, out, write, manifest_path, share=share, **arguments)
        remove_partials_in(out)
        try:
            _join_lists(manifest_path)
            return _make_copies(settings, out, write, manifest_path=manifest_path, **arguments)
        finally:
            remove_partials_in(out)


def _videos_of(share: Share, settings: Mapping[Path, Any]) -> dict[Path, Any]:
    """The videos of a share with their settings, in order."""
    frames = {str(video): float(announced_frames(video)) for video in settings}
    mine = set(names_of(share, frames))
    return {video: wanted for video, wanted in settings.items() if str(video) in mine}


def _make_share(
    settings: Mapping[Path, Any],
    out: Path,
    write: WriteCopy,
    manifest_path: Path,
    *,
    share: Share,
    **arguments: Any,
) -> CopySummary:
    """As `make_copies` for the videos of a share, whose copies are listed in a file of its own
    until it ends.
    """
    own = _list_of(share, manifest_path)
    if not own.exists():
        names = {copy_path(video, out).name for video in settings}
        finished = read_manifest(manifest_path)
        _write_manifest(own, {name: one for name, one in finished.items() if name in names})
    for video in settings:
        remove_partials(copy_path(video, out))
    try:
        return _make_copies(settings, out, write, manifest_path=own, **arguments)
    finally:
        _join_lists(manifest_path, own)


def _list_of(share: Share, manifest_path: Path) -> Path:
    return manifest_path.with_name(f".{manifest_path.stem}.share-{share}.json")


def _join_lists(manifest_path: Path, *lists: Path) -> None:
    """Add the copies listed by shares to the list of all; by default those of killed shares."""
    lists = lists or tuple(manifest_path.parent.glob(f".{manifest_path.stem}.share-*.json"))
    if not lists:
        return
    lock = ProcessLock(manifest_path.with_name(f"{manifest_path.name}.joining"))
    while not lock.acquire():
        time.sleep(0.1)
    try:
        finished = read_manifest(manifest_path)
        for path in lists:
            finished |= read_manifest(path)
        _write_manifest(manifest_path, finished)
        for path in lists:
            path.unlink(missing_ok=True)
    finally:
        lock.release()


def _make_copies(
    settings: Mapping[Path, Any],
    out: Path,
    write: WriteCopy,
    *,
    manifest_path: Path,
    workers: Workers,
    overwrite: bool,
    on_done: Callable[[Path], object] | None,
) -> CopySummary:
    manifest = read_manifest(manifest_path)
    summary = CopySummary()
    jobs: list[_Job] = []
    for video, wanted in settings.items():
        copy = copy_path(video, out)
        noted = {k: v for k, v in (manifest.get(copy.name) or {}).items() if k != "found"}
        if noted:
            noted["source"] = _seen_from(out, Path(noted["source"]))
        if not overwrite and os.path.isfile(copy) and noted and noted == _state(video, out, wanted):
            summary.skipped.append(copy)
            if on_done is not None:
                on_done(video)
        else:
            jobs.append((write, video, out, wanted))
    # Forget the copies that will be made again first, in case this process is killed.
    remade = [manifest.pop(copy_path(video, out).name, None) for _, video, _, _ in jobs]
    if any(entry is not None for entry in remade):
        _write_manifest(manifest_path, manifest)
    last_written = float("-inf")

    def note(job: _Job, result: tuple[dict | None, FinishedCopy | str]) -> None:
        nonlocal last_written
        (_, video, _, _), (state, copy) = job, result
        if isinstance(copy, FinishedCopy):
            summary.written.append(copy)
            found = {"found": dict(copy.found)} if copy.found else {}
            manifest[copy.path.name] = {**(state or {}), **found}
            if time.monotonic() - last_written > _MANIFEST_EVERY_SECONDS:
                _write_manifest(manifest_path, manifest)
                last_written = time.monotonic()
        else:
            summary.failed[video] = copy
        if on_done is not None:
            on_done(video)

    try:
        workers.run(_copy_or_message, jobs, note)
    finally:
        if summary.written:
            _write_manifest(manifest_path, manifest)
    return summary


def _copy_or_message(job: _Job) -> tuple[dict | None, FinishedCopy | str]:
    """The state of a source before it was copied, and its copy or an error message."""
    write, video, out, settings = job
    state = _state(video, out, settings)
    try:
        return state, write(video, copy_path(video, out), settings)
    except VideoError as error:
        return state, str(error)


def write_frames(
    frames: Iterable[Frame],
    copy: Path,
    index: VideoIndex,
    *,
    crf: int,
    gop_frames: int,
    codec: str = "libx264",
) -> None:
    """Write ``frames``, one for each frame of the source, with the times of the source.

    Args:
        frames: Frames, uint8 RGB (H, W, 3), both sides even.
        copy: Path of the file to write.
        index: Index of the source.
        crf: Quality of x264; lower is better.
        gop_frames: Maximum number of frames between keyframes.
        codec: As in `VideoWriter`.

    Raises: VideoError if there is no frame or the file cannot be written.
    """
    ticks = _ticks(index)
    iterator = iter(frames)
    first = next(iterator, None)
    if first is None:
        raise VideoError(f"{index.path}: no frame could be read")
    with VideoWriter(
        copy,
        fps=exact_fps(index.fps),
        width=first.shape[1],
        height=first.shape[0],
        crf=crf,
        gop_frames=gop_frames,
        codec=codec,
        time_base=None if ticks is None else _TICK,
    ) as writer:
        writer.write(first, time=None if ticks is None else ticks[0])
        for position, frame in enumerate(iterator, start=1):
            writer.write(frame, time=None if ticks is None else ticks[position])


def copy_size(
    width: int, height: int, *, short_side: int | None, name: str
) -> tuple[int, int, list[str]]:
    """Height and width of a copy, both even, and a notice if the image is smaller than asked.

    >>> copy_size(1920, 1080, short_side=182, name="a.mp4")
    (182, 324, [])
    """
    notices = []
    if short_side is not None and min(height, width) > short_side:
        height, width = scaled_size(width, height, short_side=short_side)
    elif short_side is not None and min(height, width) < short_side:
        notices.append(
            f"{name}: {width} x {height} pixels is less than short side {short_side}; not enlarged"
        )
    return max(2, height // 2 * 2), max(2, width // 2 * 2), notices


def _ticks(index: VideoIndex) -> list[int] | None:
    """Time of each frame in ticks; None if a constant rate gives the same times."""
    spacing_seconds = 1 / float(exact_fps(index.fps))
    regular = np.arange(index.num_frames) * spacing_seconds
    if np.abs(index.times_seconds - regular).max() < 0.1 * spacing_seconds:
        return None
    ticks = np.round(index.times_seconds / float(_TICK)).astype(np.int64)
    # Two frames within one tick would get the same time; the container needs ascending ones.
    steps = np.arange(len(ticks))
    return [int(tick) for tick in np.maximum.accumulate(ticks - steps) + steps]


def check_copies(videos: Sequence[Path], out: Path, *, manifest_file: str) -> list[str]:
    """Why copies of ``videos`` cannot be written to ``out``; empty if they can."""
    problems = []
    sources: dict[str, Path] = {}
    for video in videos:
        copy = copy_path(video, out)
        if other := sources.get(file_key(copy.name)):
            problems.append(f"{other} and {video} would both become {copy}")
        if copy.resolve() == video.resolve():
            problems.append(f"{video} would be overwritten by its copy; choose another folder")
        sources[file_key(copy.name)] = video
    for manifest in (PREPARE_MANIFEST, CROP_MANIFEST, FLOW_MANIFEST, FACES_MANIFEST):
        if manifest != manifest_file and (out / manifest).exists():
            problems.append(
                f"{out} holds the copies of another command, listed in {manifest}; choose another "
                "folder"
            )
    return problems


def copy_path(video: Path, out: Path) -> Path:
    """The path of the copy of ``video``."""
    return out / f"{video.stem}.mp4"


def _seen_from(out: Path, path: Path) -> str:
    """A path relative to the folder, so that both can be moved together; absolute if it must be.

    Args:
        out: The folder.
        path: Absolute path, or relative to the folder.
    """
    whole = (out / path).resolve()
    return path_from(out, whole) or str(whole)


def _state(video: Path, out: Path, settings: Any) -> dict | None:
    """What a finished copy is compared with; None if the source does not exist."""
    try:
        stat = video.stat()
    except OSError:
        return None
    state = {
        "source": _seen_from(out, video.resolve()),
        "source_bytes": stat.st_size,
        "source_mtime_ns": stat.st_mtime_ns,
        **asdict(settings),
    }
    # As JSON returns it: lists instead of tuples.
    return dict(json.loads(json.dumps(state)))


def read_manifest(path: Path) -> dict[str, dict | None]:
    """The entry of each finished copy, by its name; empty if there is no such file.

    Raises: VideoError if the file holds something else.
    """
    if not path.exists():
        return {}
    try:
        content = json_value(path, read_text(path, error=VideoError), error=VideoError)
        return validated(_MANIFEST, content, source=path, error=VideoError)["copies"]
    except (VideoError, KeyError) as error:
        raise VideoError(
            f"{path}: expected the list of finished copies, found something else ({error}); "
            "delete it to make all copies again"
        ) from None


def _write_manifest(path: Path, copies: dict[str, dict | None]) -> None:
    write_json(path, {"copies": dict(sorted(copies.items()))})
