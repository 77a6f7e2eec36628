"""Extraction of a share of many videos, alone or beside other processes."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist

from mmad.config.features import ExtractionSettings
from mmad.data.features.blocks import ClipLayout
from mmad.data.features.parts import FeatureParts
from mmad.engine.features.extraction import Extracted, extract_parts
from mmad.engine.features.plan import FeatureBackbone, describe_features, plan_clips
from mmad.errors import RESUME_HINT, told_if_interrupted
from mmad.progress import Progress
from mmad.video.index import announced_frames


@dataclass(frozen=True, eq=False)
class ExtractionPlan:
    """Everything that an extraction needs.

    Attributes:
        backbone: Backbone, on its device.
        settings: Extraction settings.
        layout: Layout of the clips.
        precision: Type of autocast, or None.
        parts: Output files of the features of each video.
        waiting: Id and path of each video of the share without features so far.
        rank: Rank of this process.
    """

    backbone: FeatureBackbone
    settings: ExtractionSettings
    layout: ClipLayout
    precision: torch.dtype | None
    parts: FeatureParts
    waiting: list[tuple[str, Path]]
    rank: int


def plan_extraction(
    videos: Sequence[tuple[str, Path]],
    out: Path,
    backbone: FeatureBackbone,
    settings: ExtractionSettings,
    *,
    share: tuple[int, int],
    precision: torch.dtype | None,
    block_clips: int | None,
    overwrite: bool,
) -> ExtractionPlan:
    """The plan of a share of the videos, with its output folder created.

    Args:
        videos: Id and path of each video.
        out: Features file.
        backbone: Backbone, on its device.
        settings: Extraction settings.
        share: Index of this share, from 0, and number of shares.
        precision: Type of autocast, or None.
        block_clips: Clips per forward pass; None is 8 on a CPU and 64 on a GPU.
        overwrite: Replace existing features.

    Raises: FeatureError if the settings do not fit the backbone, or existing features.
    """
    usual = 64 if _device(backbone).type == "cuda" else 8
    layout = plan_clips(backbone, settings, block_clips=block_clips or usual)
    manifest = describe_features(backbone, settings, layout=layout, precision=precision)
    parts = FeatureParts(out, manifest, list(videos), share=share, overwrite=overwrite)
    return ExtractionPlan(
        backbone, settings, layout, precision, parts, waiting=list(parts.begin()), rank=share[0]
    )


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
    plan: ExtractionPlan, *, num_workers: int | None = None, together: bool = False
) -> FinishedExtraction:
    """Extract the waiting videos, and merge the files of all videos if complete.

    Args:
        plan: Plan of the extraction.
        num_workers: Processes that decode ahead; None is 0 on a CPU and 8 with a GPU.
        together: Each process of torchrun has a share. They wait for each other, since torchrun
            stops all when one fails, and the first one merges the files.
    """
    if num_workers is None:
        num_workers = 8 if _device(plan.backbone).type == "cuda" else 0
    if together:
        dist.init_process_group("gloo", timeout=timedelta(days=30))
    began = time.perf_counter()
    total = sum(announced_frames(path) for _, path in plan.waiting)
    with (
        told_if_interrupted(RESUME_HINT),
        Progress(
            "extract", total=total, unit="frames", quiet=together and plan.rank > 0
        ) as progress,
    ):
        done = extract_parts(
            plan.waiting,
            plan.parts,
            plan.backbone,
            plan.settings,
            layout=plan.layout,
            precision=plan.precision,
            num_workers=num_workers,
            progress=progress.update,
        )
    seconds = time.perf_counter() - began
    if together:
        dist.barrier()
    is_joined = plan.parts.join() if not together or plan.rank == 0 else None
    if together:
        dist.barrier()
        dist.destroy_process_group()
    return FinishedExtraction(done, seconds, is_joined)


def _device(backbone: FeatureBackbone) -> torch.device:
    return next(backbone.backbone.parameters()).device
