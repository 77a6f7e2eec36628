"""Detections of a corpus, for ``mmad detect`` and ``mmad predict``: kept as they are found."""

from collections.abc import Callable, Mapping
from pathlib import Path

import typer

from mmad.cli._notices import tell_notices
from mmad.engine.inference import DetectedVideos
from mmad.engine.jobs.detection import DetectionParts, FoundInCorpus, Shown, UsedRun, detect_corpus
from mmad.progress import Progress
from mmad.shares import Share, names_of
from mmad.structures import VideoRecord
from mmad.workers import Workers


def find_in_corpus(
    task: str,
    run: UsedRun,
    videos: Mapping[str, Path],
    *,
    path: Path,
    write: Callable[[FoundInCorpus], object],
    share: Share,
    workers: Workers,
    costs: Mapping[str, float],
    records: Mapping[str, VideoRecord],
    shown: Shown | None = None,
) -> tuple[DetectedVideos, FoundInCorpus | None]:
    """Detect in the videos of a share; write those of all videos if this is the last share.

    Returns what this process has found now, and the detections of all videos, None if other shares
    are missing.

    Args:
        task: Name of the work.
        run: The run.
        videos: Id and file of each video.
        path: File that ``write`` writes, in whose name the parts are kept.
        write: Writes the detections of all videos.
        share: Share of this process.
        workers: Where the work is done.
        costs: Frames, seconds or bytes of each video, by which shares are balanced.
        records, shown: As in `detect_corpus`.

    Raises: MmadError as `detect_corpus`.
    """
    mine = names_of(share, costs)
    parts = DetectionParts(path, videos, mine, share=share, made_by=run.fingerprint(), write=write)
    with Progress(task, total=len(mine), unit="videos") as progress:
        found = detect_corpus(
            run, parts, workers, records=records, shown=shown or Shown(), progress=progress
        )
    tell_notices(found.notices())
    if parts.merged is None:
        typer.echo(f"{parts.folder}: waiting for the other shares")
    elif parts.folder.is_dir() and parts.merged.failed:
        typer.echo(
            f"{parts.folder}: kept, so that the same command takes up the failed videos alone"
        )
    return found, parts.merged
