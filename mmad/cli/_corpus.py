"""Detections of a corpus in shares or on a cluster, for ``mmad detect`` and ``mmad predict``."""

from collections.abc import Callable, Mapping
from pathlib import Path

import typer

from mmad.cli._notices import tell_notices
from mmad.engine.inference import DetectedVideos
from mmad.engine.jobs.detection import DetectionParts, FoundInCorpus, UsedRun, detect_corpus
from mmad.evaluation.predictions import write_predictions_csv, write_predictions_json
from mmad.labels import LabelMap
from mmad.progress import Progress
from mmad.shares import Share, names_of
from mmad.structures import Detections, VideoRecord
from mmad.workers import Workers


def find_in_corpus(
    task: str,
    run: UsedRun,
    videos: Mapping[str, Path],
    *,
    path: Path,
    labels: LabelMap,
    share: Share,
    workers: Workers,
    costs: Mapping[str, float],
    record_of: Callable[[str], VideoRecord],
    on_video: Callable[[VideoRecord, Detections], object] = lambda *_: None,
) -> tuple[DetectedVideos, FoundInCorpus | None]:
    """Detect in the videos of a share; write those of all videos if this is the last share.

    Returns what this process has found now, and the detections of all videos, None if other shares
    are missing.

    Args:
        task: Name of the work.
        run: The run.
        videos: Id and file of each video.
        path: CSV to write, with a JSON beside it.
        labels: Labels of the run.
        share: Share of this process.
        workers: Where the work is done.
        costs: Frames or seconds of each video, by which shares are balanced.
        record_of, on_video: As in `detect_corpus`.

    Raises: MmadError as `detect_corpus`.
    """
    written: list[FoundInCorpus] = []

    def write(found: FoundInCorpus) -> None:
        write_predictions_csv(path, found.detections)
        write_predictions_json(
            path.with_suffix(".json"), found.detections, labels, videos=found.readings
        )
        written.append(found)

    mine = names_of(share, costs)
    parts = DetectionParts(path, videos, mine, share=share, made_by=run.fingerprint(), write=write)
    with Progress(task, total=len(mine), unit="videos") as progress:
        found, _ = detect_corpus(
            run,
            parts,
            workers,
            record_of=record_of,
            on_video=on_video,
            progress=progress.update,
        )
    tell_notices(found.notices())
    if not written:
        typer.echo(f"{parts.folder}: waiting for the other shares")
    return found, written[0] if written else None
