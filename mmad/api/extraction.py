"""The features of videos, from Python."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from numpy import float32
from numpy.typing import NDArray

from mmad.api.calls import warn
from mmad.data.features.files import FeatureFile
from mmad.data.features.parts import FeatureParts
from mmad.engine.features.backbone import open_backbone
from mmad.engine.features.videos import extract_videos
from mmad.engine.jobs.extraction import UsedBackbone
from mmad.errors import VideoError, raise_problems
from mmad.files import check_output_file
from mmad.progress import Listener
from mmad.structures import FeatureGrid
from mmad.video.reading import notices
from mmad.video.records import (
    named_videos,
)


@dataclass(frozen=True, eq=False)
class Features:
    """The features of a video.

    Attributes:
        values: float32 (T, C), or (T, h, w, C) with ``spatial``; a row for each step, of which
            those after ``grid.num_steps`` are of the repeated last frame.
        grid: The times of the steps; None if the frame rate is not known.
    """

    values: NDArray[float32]
    grid: FeatureGrid | None


def extract_to(
    path: Path,
    used: UsedBackbone,
    files: Sequence[Path],
    *,
    overwrite: bool,
    progress: bool | Listener,
) -> None:
    """Write the features of videos to a file, resuming an interrupted extraction; issue notices.

    Raises: VideoError if a video cannot be read, FeatureError as `plan_computation` and
        `FeatureParts`, OutputError if the file cannot be written.
    """
    check_output_file(path)
    computation = used.computation(open_backbone(used.source, device=torch.device(used.device)))
    parts = FeatureParts(path, computation.manifest, named_videos(files), overwrite=overwrite)
    finished = extract_videos(parts, computation, progress=progress)
    warn(notices(finished.done.read))
    problems = [one.message for one in finished.done.failed]
    raise_problems(VideoError, source="extract", problems=problems)


def features_in(path: Path, files: Sequence[Path]) -> list[Features]:
    """The stored features of each video, in their order."""
    stored = FeatureFile(path)
    names = {video: name for name, video in named_videos(files)}
    return [_features(stored, names[video]) for video in files]


def _features(stored: FeatureFile, name: str) -> Features:
    video = stored.video(name)
    grid = None
    if video.fps is not None:
        grid = FeatureGrid(video.fps, video.stride_frames, video.num_steps, video.offset_frames)
    return Features(stored.raw(name), grid)
