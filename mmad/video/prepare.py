"""Prepared videos for fast training: small, upright, quick to decode, same frames and times."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmad.errors import VideoError, raise_problems
from mmad.shares import WHOLE, Share
from mmad.video.copies import (
    PREPARE_MANIFEST,
    CopySummary,
    FinishedCopy,
    check_copies,
    copy_size,
    make_copies,
    write_frames,
)
from mmad.video.index import index_video
from mmad.video.open import open_video
from mmad.video.reading import describe_reading
from mmad.video.writer import check_encoding
from mmad.workers import Workers

MANIFEST_FILE = PREPARE_MANIFEST


@dataclass(frozen=True)
class PrepareSettings:
    """What decides the content of a copy, besides its source.

    Attributes:
        short_side: Pixels of the shorter side.
        crf: Quality of x264; lower is better.
        gop_frames: Maximum number of frames between keyframes.
    """

    short_side: int
    crf: int = 18
    gop_frames: int = 16


def prepare_videos(
    videos: Sequence[Path],
    out: Path,
    *,
    short_side: int,
    workers: Workers | None = None,
    share: Share = WHOLE,
    crf: int = 18,
    gop_frames: int = 16,
    overwrite: bool = False,
    on_done: Callable[[Path], object] | None = None,
) -> CopySummary:
    """Write a copy of each video as ``out / (stem + ".mp4")`` and return what was done.

    A copy has every frame of its source at its time, upright, with ``short_side`` pixels at the
    shorter side (both sides even) or the size of the source if that is smaller. A video that fails
    is reported and does not stop the others. Calling again makes only what is missing: a finished
    copy is kept if its settings and the size and time of its source are those noted in ``out /
    "prepared.json"``.

    Args:
        videos: Video files.
        out: Folder of the copies.
        short_side: Pixels of the shorter side, at least 16.
        workers, share: As in `make_copies`.
        crf: Quality of x264; lower is better.
        gop_frames: Maximum number of frames between keyframes.
        overwrite: Whether to make finished copies again.
        on_done: Called with each source once it is done.

    Raises: VideoError if two videos would give the same copy, a copy would overwrite a source, a
    setting is impossible, the manifest cannot be read, or ``out`` holds cropped copies or flow.
    """
    problems = check_encoding(short_side=short_side, crf=crf, gop_frames=gop_frames)
    problems += check_copies(videos, out, manifest_file=MANIFEST_FILE)
    raise_problems(VideoError, source="prepare", problems=problems)
    settings = PrepareSettings(short_side, crf, gop_frames)
    return make_copies(
        dict.fromkeys(videos, settings),
        out,
        prepare_video,
        manifest_file=MANIFEST_FILE,
        workers=workers,
        share=share,
        overwrite=overwrite,
        on_done=on_done,
    )


def prepare_video(video: Path, copy: Path, settings: PrepareSettings) -> FinishedCopy:
    """The small copy of one video.

    Raises: VideoError or OSError if the video cannot be read or the copy cannot be written.
    """
    index = index_video(video)
    height, width, notices = copy_size(
        index.width, index.height, short_side=settings.short_side, name=str(index.path)
    )
    with open_video(video, size=(height, width), threads=1) as reader:
        write_frames(reader.stream(), copy, index, crf=settings.crf, gop_frames=settings.gop_frames)
        notices += describe_reading(reader.index, damaged=reader.damaged).file_notices()
    return FinishedCopy(copy, index.num_frames, tuple(notices))
