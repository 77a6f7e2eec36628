"""Detection in videos: windows, network, candidates in seconds, suppression per video."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset

from mmad.config.run import DetectionRun, FeatureRun, require_videos
from mmad.data.features.windows import (
    FeatureBatch,
    FeatureStream,
    WindowReader,
    open_features,
    stack_features,
)
from mmad.data.samples import Batch, FailedVideo, Packer
from mmad.data.videos import FrameCache, WindowStream
from mmad.errors import FeatureError
from mmad.evaluation.predictions import write_predictions_csv, write_predictions_json
from mmad.labels import LabelMap
from mmad.models.detectors.contract import Decoder
from mmad.models.detectors.families import build_decoder
from mmad.models.detectors.whole import Detector, EndToEndDetector
from mmad.progress import Listener, Progress, watched
from mmad.segments import clip
from mmad.structures import Detections, VideoRecord
from mmad.suppression import Candidates, suppress
from mmad.video.open import OpenedVideo
from mmad.video.reading import ReadVideo, notices

AnyBatch = Batch | FeatureBatch
OnOutputs = Callable[[AnyBatch, Any], object]
# Segments in seconds (N, 2), labels and scores (N,) of a window.
WindowPart = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class DetectedVideos:
    """Detections of videos.

    Attributes:
        detections: Detections of each readable video, by its id.
        failures: Videos that could not be read.
        read: What decoding the other files has shown; empty for stored features.
    """

    detections: dict[str, Detections]
    failures: list[FailedVideo]
    read: dict[str, ReadVideo] = field(default_factory=dict)

    def to_json(self) -> dict[str, dict[str, Any]]:
        """The reading of each video file, as JSON values."""
        found = {name: read.to_json() for name, read in self.read.items()}
        return found | {failed.video_id: {"error": failed.message} for failed in self.failures}

    def notices(self) -> list[str]:
        """Notices for the user: resampling with counts, damage, assumptions."""
        return notices(list(self.read.values()))


@torch.no_grad()
def detect_videos(
    model: Detector,
    records: Sequence[VideoRecord],
    config: DetectionRun,
    *,
    device: torch.device,
    precision: torch.dtype | None = None,
    fps: float | None = None,
    cache: FrameCache | None = None,
    reader: WindowReader | None = None,
    sources: Mapping[str, OpenedVideo] | None = None,
    progress: Callable[[float], object] | None = None,
    on_outputs: OnOutputs | None = None,
) -> DetectedVideos:
    """Detections of each video by descending score, and notices about the video files.

    Args:
        model: Detector; its mode is restored afterwards.
        records: Videos with their paths. Their durations bound the detections.
        config: Configuration of the model.
        device: Device to compute on.
        precision: Type of autocast, or None.
        fps: Frame rate of the model, to which other videos are resampled; None takes each video's
            own.
        cache: Cache of frames for repeated validation.
        reader: Reader of stored features, instead of video files.
        sources: Opened videos, by id, instead of files: frames in memory, or files that another
            process decodes.
        progress: Called after each batch with the seconds of video that it added.
        on_outputs: As in `window_candidates`.
    """
    decoder = build_decoder(config.detector, config.inference)
    parts: dict[str, list[WindowPart]] = {}
    failures: list[FailedVideo] = []
    read: dict[str, ReadVideo] = {}
    durations = {record.video_id: record.duration_seconds for record in records}
    reached: dict[str, float] = {}
    was_training = model.training
    model.eval()
    if isinstance(model, EndToEndDetector):
        model.features.backbone.use_tokens(require_videos(config).backbone.computed_tokens)
    batches = window_batches(records, config, fps=fps, cache=cache, reader=reader, sources=sources)
    for batch, failed in batches:
        failures += failed
        if batch is None:
            continue
        added = 0.0
        if isinstance(batch, Batch):
            read |= batch.read
        windows = window_candidates(
            model, batch, decoder, device=device, precision=precision, on_outputs=on_outputs
        )
        for video_id, grid, row in zip(batch.video_ids, batch.grids, windows, strict=True):
            # Windows overlap, and the last one may extend beyond the end of the video.
            end = min(grid.to_seconds([[0, grid.num_steps]])[0, 1], durations[video_id])
            added += max(0.0, end - reached.get(video_id, 0.0))
            reached[video_id] = max(end, reached.get(video_id, 0.0))
            parts.setdefault(video_id, []).append(row)
        if progress is not None:
            progress(added)
    model.train(was_training)
    failed_ids = {failure.video_id for failure in failures}
    detections = {
        record.video_id: merge_windows(
            parts.get(record.video_id, []), config, duration_seconds=record.duration_seconds
        )
        for record in records
        if record.video_id not in failed_ids
    }
    return DetectedVideos(detections, failures, read)


@torch.no_grad()
def window_candidates(
    model: Callable[..., Any],
    batch: AnyBatch,
    decoder: Decoder,
    *,
    device: torch.device,
    precision: torch.dtype | None = None,
    on_outputs: OnOutputs | None = None,
) -> list[WindowPart]:
    """The candidates of each window of a batch.

    Args:
        model, device, precision: As in `detect_videos`.
        batch: Windows.
        decoder: Decoder of the model.
        on_outputs: Called with the batch and the raw outputs of the model.
    """
    on_device = batch.to(device)
    with torch.autocast(device.type, dtype=precision, enabled=precision is not None):
        outputs = model(*on_device.inputs)
    if on_outputs is not None:
        on_outputs(batch, outputs)
    return [
        (
            grid.to_seconds(found.segments_grid.double().cpu().numpy()),
            found.labels.cpu().numpy(),
            found.scores.double().cpu().numpy(),
        )
        for grid, found in zip(batch.grids, decoder(outputs), strict=True)
    ]


def write_detected(path: Path, found: DetectedVideos, *, labels: LabelMap) -> None:
    """Write the challenge's CSV, and the JSON beside it, which also says how videos were read.

    Raises: OutputError if a file cannot be written.
    """
    write_predictions_csv(path, found.detections)
    json_path = path.with_suffix(".json")
    write_predictions_json(json_path, found.detections, labels, videos=found.to_json())


def video_progress(
    task: str, records: Sequence[VideoRecord], progress: bool | Listener = True
) -> Progress:
    """Progress in seconds of video, as `detect_videos` reports it; see `watched`."""
    seconds = round(sum(record.duration_seconds for record in records))
    return watched(task, progress, total=seconds, unit="s of video")


def window_batches(
    records: Sequence[VideoRecord],
    config: DetectionRun,
    *,
    fps: float | None = None,
    cache: FrameCache | None = None,
    reader: WindowReader | None = None,
    sources: Mapping[str, OpenedVideo] | None = None,
) -> Iterator[tuple[AnyBatch | None, list[FailedVideo]]]:
    """Windows of all videos, from frames or stored features, and the videos that failed."""
    stream: FeatureStream | WindowStream
    if isinstance(config, FeatureRun):
        reader = reader or feature_reader(config)
        stream, collate = FeatureStream(records, reader, config.data), stack_features
    else:
        data, backbone = config.data, config.backbone
        collate = Packer(clip_frames=backbone.clip_frames)  # type: ignore[assignment]
        stream = WindowStream(
            records,
            data,
            backbone=backbone,
            upsampling=config.upsampling,
            fps=fps,
            cache=cache,
            sources=sources,
        )
    batches = BatchesOfVideos(stream, collate, size=config.inference.batch_windows)
    # Another process would get a copy of what is in memory, and no decoder.
    workers = 0 if sources else min(config.data.num_workers, len(records))
    return iter(
        DataLoader(
            batches,
            batch_size=None,
            num_workers=workers,
        )
    )


class BatchesOfVideos(IterableDataset):
    """Batches of windows of one video each, so that its detections depend on no other video.

    Args:
        stream: Windows of videos, one video after another, and those that failed.
        collate: Makes a batch of windows and failures.
        size: Windows in a batch at most.
    """

    def __init__(
        self,
        stream: FeatureStream | WindowStream,
        collate: Callable[[list], tuple[AnyBatch | None, list[FailedVideo]]],
        *,
        size: int,
    ) -> None:
        self._stream, self._collate, self._size = stream, collate, size

    def __iter__(self) -> Iterator[tuple[AnyBatch | None, list[FailedVideo]]]:
        for _, items in groupby(self._stream, key=lambda item: item.video_id):
            while batch := list(islice(items, self._size)):
                yield self._collate(batch)


def feature_reader(config: FeatureRun) -> WindowReader:
    """The stored features of a run.

    Raises: FeatureError if they cannot be read, or do not match the settings.
    """
    settings = config.data
    source = open_features(
        settings.features,
        grid=settings.grid,
        file_name=settings.file_name,
        channels_first=settings.channels_first,
    )
    found = source.manifest.weights_sha256
    if settings.weights_sha256 is not None and found != settings.weights_sha256:
        raise FeatureError(
            f"{settings.features}: was made by weights {found}; data.weights_sha256 says "
            f"{settings.weights_sha256}"
        )
    return WindowReader(source, steps_per_stored=config.upsampling)


def merge_windows(
    parts: Sequence[WindowPart],
    config: DetectionRun,
    *,
    duration_seconds: float,
) -> Detections:
    """Detections of one video, in seconds, from the candidates of its windows."""
    if not parts:
        return Detections()
    segments, labels, scores = (np.concatenate(column) for column in zip(*parts, strict=True))
    settings = config.inference
    segments = round_to(segments, settings.round_seconds)
    scores = round_to(scores, settings.round_scores)
    kept = suppress(
        Candidates(segments, scores, labels, np.zeros(len(labels), dtype=np.int64)),
        method=settings.nms,
        iou_threshold=settings.iou_threshold,
        sigma=settings.sigma,
        min_score=settings.min_score,
        keep_best=settings.keep_best,
        # The limit is for one window; a longer video may have proportionally more.
        max_per_video=settings.max_detections * len(parts),
        per_class=settings.per_class,
        voting_threshold=settings.voting_threshold,
        voting_weight=settings.voting_weight,
    )
    return Detections(
        clip(round_to(kept.segments, settings.round_seconds), duration_seconds=duration_seconds),
        kept.labels,
        round_to(kept.scores, settings.round_scores),
    )


def round_to(values: np.ndarray, step: float | None) -> np.ndarray:
    """``values`` rounded to multiples of ``step``, as Python's round does; unchanged for None.

    >>> round_to(np.array([1.23456]), 0.01).tolist()
    [1.23]
    """
    if step is None:
        return values
    return np.round(values, max(0, round(-np.log10(step))))
