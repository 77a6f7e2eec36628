"""Small copies of videos for fast training: same frames, same times, upright, quick to decode."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from mmad.errors import VideoError, raise_problems
from mmad.video.index import VideoIndex, index_video
from mmad.video.reader import open_video, scaled_size
from mmad.video.writer import VideoWriter, exact_fps, remove_leftovers

MANIFEST_FILE = "prepared.json"

# Copies of variable rate keep each frame's time to this precision, the usual clock of video.
_TICK = Fraction(1, 90_000)


@dataclass(frozen=True)
class PrepareSettings:
    """What decides the content of a copy, besides its source.

    Attributes:
        short_side: pixels of the shorter side.
        crf: quality of x264, lower is better.
        gop_frames: most frames from one keyframe to the next.
    """

    short_side: int
    crf: int = 18
    gop_frames: int = 16


@dataclass(frozen=True)
class PreparedCopy:
    """A finished copy.

    Attributes:
        path: of the copy.
        num_frames: in the source and in the copy.
        notices: what the user should know about it, such as damage.
    """

    path: Path
    num_frames: int
    notices: tuple[str, ...] = ()


@dataclass
class PrepareSummary:
    """What `prepare_videos` did.

    Attributes:
        written: copies made now.
        skipped: copies that were finished before, with the same settings and source.
        failed: message for each video that gave no copy.
    """

    written: list[PreparedCopy] = field(default_factory=list)
    skipped: list[Path] = field(default_factory=list)
    failed: dict[Path, str] = field(default_factory=dict)

    @property
    def num_frames(self) -> int:
        """Number of frames written now."""
        return sum(copy.num_frames for copy in self.written)


def prepare_videos(
    videos: Sequence[Path],
    out: Path,
    *,
    short_side: int,
    num_workers: int = 1,
    crf: int = 18,
    gop_frames: int = 16,
    overwrite: bool = False,
    on_done: Callable[[Path], object] | None = None,
) -> PrepareSummary:
    """What was done to write a copy of each video as ``out / (stem + ".mp4")``.

    A copy has every frame of its source at its time, upright, with ``short_side`` pixels at the
    shorter side (both sides even) or the size of the source if that is smaller. A video that fails
    is reported and does not stop the others. Calling again makes what is missing: a finished copy
    is left alone if its settings and the size and time of its source are those noted in ``out /
    "prepared.json"``.

    Args:
        videos: files.
        out: folder of the copies.
        short_side: in pixels, at least 16.
        num_workers: processes.
        crf: quality of x264, lower is better.
        gop_frames: most frames from one keyframe to the next.
        overwrite: make finished copies again.
        on_done: called with each source when it is through.

    Raises: VideoError if two videos would give the same copy, a copy would overwrite a source, a
    setting is impossible or the manifest cannot be read.
    """
    _check(videos, out, short_side=short_side, crf=crf, gop_frames=gop_frames)
    settings = PrepareSettings(short_side, crf, gop_frames)
    out.mkdir(parents=True, exist_ok=True)
    manifest = _read_manifest(out)
    summary = PrepareSummary()
    jobs = []
    for video in videos:
        copy = _copy_path(video, out)
        if not overwrite and copy.is_file() and manifest.get(copy.name) == _state(video, settings):
            summary.skipped.append(copy)
            if on_done is not None:
                on_done(video)
        else:
            jobs.append(video)
    for video, state, result in _results(jobs, out, settings, num_workers=num_workers):
        if isinstance(result, PreparedCopy):
            summary.written.append(result)
            manifest[result.path.name] = state
            _write_manifest(out, manifest)
        else:
            summary.failed[video] = result
        if on_done is not None:
            on_done(video)
    return summary


def _results(
    videos: Sequence[Path], out: Path, settings: PrepareSettings, *, num_workers: int
) -> Iterator[tuple[Path, dict | None, PreparedCopy | str]]:
    """Source, its state before the copy, and the copy or a message; in order of completion."""
    if num_workers <= 1 or len(videos) <= 1:
        for video in videos:
            yield video, _state(video, settings), prepare_video(video, out, settings)
        return
    # Spawned, because FFmpeg's threads do not survive a fork.
    with ProcessPoolExecutor(num_workers, mp_context=get_context("spawn")) as pool:
        jobs = {
            pool.submit(prepare_video, video, out, settings): (video, _state(video, settings))
            for video in videos
        }
        for job in as_completed(jobs):
            video, state = jobs[job]
            try:
                yield video, state, job.result()
            except BrokenProcessPool:
                message = f"{video}: a worker process was killed (out of memory?); run again"
                yield video, state, message


def prepare_video(video: Path, out: Path, settings: PrepareSettings) -> PreparedCopy | str:
    """The copy of one video, or the message of the error that prevented it."""
    copy = _copy_path(video, out)
    remove_leftovers(copy)
    try:
        index = index_video(video)
        height, width, notices = _copy_size(index, short_side=settings.short_side)
        ticks = _ticks(index)
        with (
            open_video(video, size=(height, width), threads=1) as reader,
            VideoWriter(
                copy,
                fps=exact_fps(index.fps),
                width=width,
                height=height,
                crf=settings.crf,
                gop_frames=settings.gop_frames,
                time_base=None if ticks is None else _TICK,
            ) as writer,
        ):
            for position, frame in enumerate(reader.stream()):
                writer.write(frame, time=None if ticks is None else ticks[position])
        if index.num_missing_frames:
            notices.append(
                f"{video}: the file is cut off, {index.num_missing_frames} of "
                f"{index.num_frames + index.num_missing_frames} frames are not in it"
            )
        if reader.num_damaged:
            notices.append(f"{video}: {reader.num_damaged} damaged packets or frames were filled")
    except VideoError as error:
        return str(error)
    except OSError as error:
        return f"{video}: its copy {copy} cannot be written ({error.strerror or error})"
    return PreparedCopy(copy, index.num_frames, tuple(notices))


def _copy_size(index: VideoIndex, *, short_side: int) -> tuple[int, int, list[str]]:
    """Height and width of the copy, both even, and a notice if the source is smaller."""
    notices = []
    height, width = index.height, index.width
    if min(height, width) > short_side:
        height, width = scaled_size(width, height, short_side=short_side)
    elif min(height, width) < short_side:
        notices.append(
            f"{index.path}: {width} x {height} pixels is less than short side {short_side}; "
            "not enlarged"
        )
    return max(2, height // 2 * 2), max(2, width // 2 * 2), notices


def _ticks(index: VideoIndex) -> list[int] | None:
    """Time of each frame in ticks, or None if frames at the constant rate have the same times."""
    spacing_seconds = 1 / float(exact_fps(index.fps))
    regular = np.arange(index.num_frames) * spacing_seconds
    if np.abs(index.times_seconds - regular).max() < 0.1 * spacing_seconds:
        return None
    ticks = np.round(index.times_seconds / float(_TICK)).astype(np.int64)
    # Two frames within one tick would have one time; the container needs rising ones.
    steps = np.arange(len(ticks))
    return [int(tick) for tick in np.maximum.accumulate(ticks - steps) + steps]


def _check(
    videos: Sequence[Path], out: Path, *, short_side: int, crf: int, gop_frames: int
) -> None:
    problems = []
    if short_side < 16:
        problems.append(f"short_side: expected at least 16 pixels, found {short_side}")
    if not 0 <= crf <= 51:
        problems.append(f"crf: expected 0 (lossless) to 51, found {crf}")
    if gop_frames < 1:
        problems.append(f"gop_frames: expected at least 1, found {gop_frames}")
    sources: dict[str, Path] = {}
    for video in videos:
        copy = _copy_path(video, out)
        if copy.name in sources:
            problems.append(f"{sources[copy.name]} and {video} would both become {copy}")
        if copy.resolve() == video.resolve():
            problems.append(f"{video} would be overwritten by its copy; choose another folder")
        sources[copy.name] = video
    raise_problems(VideoError, source="prepare", problems=problems)


def _copy_path(video: Path, out: Path) -> Path:
    return out / f"{video.stem}.mp4"


def _state(video: Path, settings: PrepareSettings) -> dict | None:
    """What a finished copy must agree with; None if the source is not there."""
    try:
        stat = video.stat()
    except OSError:
        return None
    return {
        "source": str(video.resolve()),
        "source_bytes": stat.st_size,
        "source_mtime_ns": stat.st_mtime_ns,
        **asdict(settings),
    }


def _read_manifest(out: Path) -> dict[str, dict | None]:
    path = out / MANIFEST_FILE
    if not path.exists():
        return {}
    try:
        copies: dict[str, dict | None] = json.loads(path.read_text(encoding="utf-8"))["copies"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise VideoError(
            f"{path}: expected the list of finished copies, found something else ({error}); "
            "delete it to make all copies again"
        ) from error
    return copies


def _write_manifest(out: Path, copies: dict[str, dict | None]) -> None:
    temporary = out / f".{MANIFEST_FILE}.{os.getpid()}"
    temporary.write_text(
        json.dumps({"copies": copies}, indent=1, sort_keys=True) + "\n", encoding="utf-8"
    )
    os.replace(temporary, out / MANIFEST_FILE)
