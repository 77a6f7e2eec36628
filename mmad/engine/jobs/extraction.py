"""Features of the videos of a corpus on a cluster; each becomes a part of the file."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from mmad.config.features import ExtractionSettings
from mmad.data.features.manifest import read_manifest
from mmad.data.features.parts import FeatureParts
from mmad.engine.distributed import choose_device
from mmad.engine.features.backbone import open_backbone
from mmad.engine.features.extraction import Computation, Extracted, extract_parts, plan_computation
from mmad.engine.features.plan import FeatureBackbone
from mmad.engine.features.videos import FinishedExtraction, extraction_progress
from mmad.engine.precision import choose_precision
from mmad.errors import RESUME_HINT, told_if_interrupted
from mmad.workers import Workers


@dataclass(frozen=True)
class UsedBackbone:
    """A backbone as it is used, for other processes to open.

    Attributes:
        source, change, random: As in `open_backbone`.
        settings: Extraction settings, without a rate if videos are resampled to the backbone's.
        has_rate: Whether the rate of the settings counts; null: each video's own.
        device: As in `choose_device`.
        precision: As in `choose_precision`.
        block_clips: As in `plan_computation`.
    """

    source: Path
    change: tuple[str, ...]
    random: bool
    settings: ExtractionSettings
    has_rate: bool
    device: str
    precision: str
    block_clips: int | None

    def computation(self, backbone: FeatureBackbone) -> Computation:
        """What is computed with the opened backbone.

        Raises: FeatureError as `plan_computation`.
        """
        settings = self.settings
        if not self.has_rate:
            settings = settings.model_copy(update={"fps": backbone.fps})
        precision = choose_precision(self.precision, next(backbone.backbone.parameters()).device)
        return plan_computation(
            backbone, settings, precision=precision, block_clips=self.block_clips
        )


@dataclass(frozen=True)
class ExtractionJob:
    """One video to extract.

    Attributes:
        backbone: The backbone.
        out: File that the features of all videos are merged into.
        video: Id and path.
        num_workers: As in `extract_parts`.
    """

    backbone: UsedBackbone
    out: Path
    video: tuple[str, Path]
    num_workers: int | None

    def __str__(self) -> str:
        return self.video[0]


def extract_video(job: ExtractionJob) -> Extracted:
    """Write the part of one video; the backbone stays in memory for the next one.

    Raises: MmadError as `open_backbone`, OutputError if the part cannot be written.
    """
    computation = _open(job.backbone)
    parts = FeatureParts(job.out, computation.manifest, [job.video], overwrite=True)
    done = Extracted()
    extract_parts([job.video], parts, computation, done, num_workers=job.num_workers)
    return done


def extract_corpus(
    used: UsedBackbone,
    videos: Sequence[tuple[str, Path]],
    out: Path,
    workers: Workers,
    *,
    num_workers: int | None,
    overwrite: bool,
    on_begin: Callable[[FeatureParts, Sequence[str]], object] = lambda *_: None,
) -> FinishedExtraction:
    """Extract the videos without features, and merge the parts into one file.

    Args:
        used: The backbone.
        videos: Id and path of each video.
        out: File of features.
        workers: Where the work is done.
        num_workers: As in `extract_parts`, for each worker.
        overwrite: As in `FeatureParts`.
        on_begin: Called with the parts and the ids of the videos that are to be done.

    Raises: MmadError as `Workers.run`, `open_backbone` and `FeatureParts`.
    """
    began = time.perf_counter()
    manifests: list[str] = []
    # On a worker, since the precision is that of its device.
    workers.run(describe, [used], lambda _, manifest: manifests.append(manifest))
    parts = FeatureParts(
        out, read_manifest(manifests[0], source=str(out)), videos, overwrite=overwrite
    )
    done = Extracted()
    with told_if_interrupted(RESUME_HINT), parts.at_work(lambda: done.messages) as waiting:
        on_begin(parts, waiting)
        files = parts.files(waiting)
        jobs = [ExtractionJob(used, out, video, num_workers) for video in files]
        with extraction_progress(files) as progress:

            def keep(_: ExtractionJob, result: Extracted) -> None:
                done.add(result)
                progress.update(result.num_frames)

            workers.run(extract_video, jobs, keep)
    return FinishedExtraction(done, time.perf_counter() - began, parts.join())


def describe(used: UsedBackbone) -> str:
    """The manifest of what will be extracted, as JSON."""
    return _open(used).manifest.to_json()


@lru_cache(maxsize=1)
def _open(used: UsedBackbone) -> Computation:
    device = choose_device(used.device)
    backbone = open_backbone(used.source, device=device, change=used.change, random=used.random)
    return used.computation(backbone)
