"""Extraction of a share of many videos, alone, beside other processes, or on a cluster."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import torch.distributed as dist

from mmad.data.features.parts import FeatureParts
from mmad.engine.features.extraction import Computation, Extracted, extract_parts
from mmad.errors import RESUME_HINT, told_if_interrupted
from mmad.progress import Listener, Progress, watched
from mmad.video.index import announced_frames


@dataclass(frozen=True, eq=False)
class FinishedExtraction:
    """The outcome of an extraction.

    Attributes:
        done: Result of this process.
        seconds: Duration.
        is_joined: Whether the features of all shares are merged into one file; None if another
            process merges.
    """

    done: Extracted
    seconds: float
    is_joined: bool | None


def extract_videos(
    parts: FeatureParts,
    computation: Computation,
    *,
    num_workers: int | None = None,
    rank: int | None = None,
    on_begin: Callable[[Sequence[str]], object] = lambda _: None,
    progress: bool | Listener = True,
) -> FinishedExtraction:
    """Extract the videos of a share, and merge the files of all videos if complete.

    Args:
        parts: Output files of the features of each video.
        computation: Backbone and settings.
        num_workers: As in `extract_parts`.
        rank: Rank of this process, if each process of torchrun has a share. They wait for each
            other, since torchrun stops all when one fails, and the first one merges the files.
        on_begin: Called with the ids of the videos that are to be done.
        progress: Show the progress, or a function of the fraction done.
    """
    together = rank is not None
    if together:
        dist.init_process_group("gloo", timeout=timedelta(days=30))
    began = time.perf_counter()
    done = Extracted()
    with told_if_interrupted(RESUME_HINT), parts.at_work(lambda: done.messages) as waiting:
        on_begin(waiting)
        files = parts.files(waiting)
        with extraction_progress(files, False if rank else progress) as shown:
            extract_parts(
                files,
                parts,
                computation,
                done,
                num_workers=num_workers,
                progress=shown.update,
            )
    seconds = time.perf_counter() - began
    if together:
        dist.barrier()
    is_joined = None if rank else parts.join()
    if together:
        dist.barrier()
        dist.destroy_process_group()
    return FinishedExtraction(done, seconds, is_joined)


def extraction_progress(
    files: Sequence[tuple[str, Path]], progress: bool | Listener = True
) -> Progress:
    """Progress in frames of videos, as the containers state them; see `watched`."""
    total = sum(announced_frames(path) for _, path in files)
    return watched("extract", progress, total=total, unit="frames")
