"""Detection as a task of the training loop, and a detection run from settings to results."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mmad.annotations.attach import attach_videos
from mmad.annotations.check_videos import measure_videos
from mmad.annotations.elan.choice import ElanChoice
from mmad.annotations.formats import AnnotationSet, read_annotations
from mmad.annotations.levels import of_body_parts
from mmad.config.run import DetectionRun, FeatureRun
from mmad.data.features.windows import TrainingFeatures, WindowReader, stack_features
from mmad.data.samples import Packer
from mmad.data.videos import FrameCache, TrainingVideos
from mmad.engine.distributed import Processes
from mmad.engine.extra_clips import clips_of_features, clips_of_files
from mmad.engine.inference import (
    AnyBatch,
    detect_videos,
    feature_reader,
    video_progress,
)
from mmad.engine.precision import choose_precision
from mmad.engine.runs.folder import RunFolder
from mmad.engine.task import Experiment, FirstReading, StartingBackbone, Validation
from mmad.errors import AnnotationError, FeatureError, raise_problems
from mmad.evaluation.detection import DetectionReport, evaluate_detections, parse_tiou
from mmad.evaluation.predictions import write_predictions_csv, write_predictions_json
from mmad.evaluation.thresholds import choose_thresholds, write_thresholds
from mmad.labels import LabelMap
from mmad.models.build import build_detector
from mmad.models.detectors.families import build_criterion, build_normalizer
from mmad.models.detectors.whole import EndToEndDetector, FeatureDetector
from mmad.structures import VideoRecord
from mmad.video.index import index_video
from mmad.video.reading import rate_text
from mmad.video.sampling import evenly_spread, has_rate, usual_rate
from mmad.wording import count, listed


@dataclass(frozen=True)
class PreparedBatch:
    """A batch on its device, and its annotations in steps of the grid of each window."""

    batch: AnyBatch
    segments_grid: list[Tensor]
    labels: list[Tensor]


class DetectionTask:
    """Losses and validation of a detector.

    Args:
        config: Run configuration.
        labels: Labels of the data set.
        validation: Videos to validate on, with their paths; may be empty.
        processes: Processes of the run.
        folder: Run folder, which receives the detections of the validation.
        fps: Frame rate that the model works at; None takes each video's own.
        cache: Cache of frames for validation.
        reader: Reader of stored features for validation.
    """

    def __init__(
        self,
        config: DetectionRun,
        *,
        labels: LabelMap,
        validation: Sequence[VideoRecord],
        processes: Processes,
        folder: RunFolder,
        fps: float | None = None,
        cache: FrameCache | None = None,
        reader: WindowReader | None = None,
    ) -> None:
        self._config = config
        self._fps = fps
        self._reading = FirstReading()
        self._labels = labels
        self._validation = validation
        self._processes = processes
        self._folder = folder
        self._cache = cache
        self._reader = reader
        self._criterion = build_criterion(config.detector, num_classes=len(labels))

    def prepare(self, batch: AnyBatch, device: torch.device) -> PreparedBatch:
        """The batch and its annotations on ``device``."""
        self._reading.add(batch)
        segments = [
            torch.from_numpy(grid.to_grid(item.segments_seconds)).float().to(device)
            for grid, item in zip(batch.grids, batch.annotations, strict=True)
        ]
        labels = [torch.from_numpy(item.labels.copy()).to(device) for item in batch.annotations]
        return PreparedBatch(batch.to(device), segments, labels)

    def losses(
        self, model: nn.Module, prepared: PreparedBatch
    ) -> tuple[Mapping[str, Tensor], Tensor]:
        """Sums of the losses by name, and the number of positives."""
        outputs = model(*prepared.batch.inputs)
        losses = self._criterion(outputs, prepared.segments_grid, prepared.labels)
        parts = {f"loss_{name}": value for name, value in losses.parts.items()}
        return {"loss": losses.total, **parts}, losses.num_positives

    def validate(self, model: nn.Module, *, quiet: bool = False) -> Validation:
        """Average mAP at action level, with the detections."""
        if not self._validation:
            return Validation(0.0, {})
        assert isinstance(model, EndToEndDetector | FeatureDetector)
        device = self._processes.device
        with video_progress("validate", self._validation, not quiet) as progress:
            found = detect_videos(
                model,
                self._validation,
                self._config,
                device=device,
                precision=choose_precision(self._config.training.precision, device),
                fps=self._fps,
                cache=self._cache,
                reader=self._reader,
                progress=progress.update,
            )
        self._reading.tell(found.read)
        detections = found.detections
        report = score(detections, self._validation, labels=self._labels)
        action = report.levels["action"].average
        row = {"action_map": action, "num_failed_videos": len(found.failures)}
        if "body" in report.levels:
            row["body_map"] = report.levels["body"].average

        def keep() -> None:
            subset = self._config.data.val_subset
            write_predictions_csv(self._folder.predictions(subset, ".csv"), detections)
            json_path = self._folder.predictions(subset, ".json")
            write_predictions_json(json_path, detections, self._labels)
            thresholds = choose_thresholds(
                detections, self._validation, labels=self._labels, subset=subset
            )
            if thresholds is not None:
                write_thresholds(self._folder.thresholds, thresholds)

        return Validation(action, row, keep)


def score(
    detections: Mapping, records: Sequence[VideoRecord], *, labels: LabelMap
) -> DetectionReport:
    """Mean average precision at both levels over the nine tIoU thresholds."""
    return evaluate_detections(detections, records, labels=labels, tiou=parse_tiou("0.1:0.9"))


def read_data(config: DetectionRun) -> tuple[AnnotationSet, LabelMap]:
    """Annotations and labels of a run, of body parts if ``data.level`` says so.

    Raises: AnnotationError if the annotations are invalid, or have no body parts.
    """
    data = config.data
    annotations = read_annotations(
        data.annotations,
        format=data.format,
        labels=data.labels,
        out_of_video=data.out_of_video,
        elan=ElanChoice.of(data.tiers, data.tier_types, data.language),
    )
    if data.level == "body":
        annotations = of_body_parts(annotations)
    return annotations, annotations.labels


def records_of(
    config: DetectionRun, annotations: AnnotationSet, subsets: Sequence[str]
) -> list[VideoRecord]:
    """Videos of some subsets (at most ``data.max_videos``), with their paths if wanted.

    Raises: AnnotationError if there are none, VideoError if files are missing.
    """
    chosen = [record for record in annotations.records if record.subset in subsets]
    if not chosen:
        present = ", ".join(sorted({record.subset for record in annotations.records})) or "none"
        raise AnnotationError(
            f"{listed(config.data.annotations)}: no videos of subset {', '.join(subsets)}; found: "
            f"{present}"
        )
    chosen = chosen[: config.data.max_videos]
    if isinstance(config, FeatureRun):
        return chosen
    attached = attach_videos(chosen, config.data.videos)
    return list(measure_videos(attached, annotations.assumed_lengths))


def prepare_detection(
    config: DetectionRun, *, processes: Processes, folder: RunFolder
) -> Experiment:
    """Data, model, losses and validation of a detection run.

    Raises: MmadError for any problem with settings, annotations or videos.
    """
    annotations, labels = read_data(config)
    training = records_of(config, annotations, config.data.train_subsets)
    has_validation = any(r.subset == config.data.val_subset for r in annotations.records)
    subsets = [config.data.val_subset] if has_validation else []
    validation = records_of(config, annotations, subsets) if subsets else []
    if not any(len(record.annotations) for record in training):
        raise AnnotationError(
            f"{listed(config.data.annotations)}: the training videos have no annotations"
        )
    if isinstance(config, FeatureRun):
        return _on_features(
            config, training, validation, labels=labels, processes=processes, folder=folder
        )
    data, backbone = config.data, config.backbone
    usual_fps = common_rate(training)
    training += clips_of_files(config, [*training, *validation])
    fps = data.rate(usual=usual_fps)
    cache = FrameCache(budget_gb=data.cache_gb)
    model = build_detector(
        config, num_classes=len(labels), parents=labels.parents, weights_follow=True
    )
    dataset = TrainingVideos(
        training,
        data,
        backbone=backbone,
        upsampling=config.upsampling,
        seed=config.seed,
        fps=fps,
        cache=cache,
    )
    assert isinstance(model, EndToEndDetector)
    return Experiment(
        model=model,
        backbones=(StartingBackbone(model.features.backbone, config.backbone),),
        labels=labels,
        task=DetectionTask(
            config,
            labels=labels,
            validation=validation,
            processes=processes,
            folder=folder,
            fps=fps,
            cache=cache if data.num_workers == 0 else None,
        ),
        dataset=dataset,
        num_items=len(dataset),
        collate=Packer(clip_frames=backbone.clip_frames),
        normalizer=build_normalizer(config.detector),
        facts={"fps": fps or usual_fps},
    )


def _on_features(
    config: FeatureRun,
    training: list[VideoRecord],
    validation: Sequence[VideoRecord],
    *,
    labels: LabelMap,
    processes: Processes,
    folder: RunFolder,
) -> Experiment:
    reader = feature_reader(config)
    require_features(reader, [*training, *validation])
    manifest = reader.source.manifest
    usual_fps = usual_rate([reader.grid(record).fps for record in spread(training)])
    fps = config.data.rate(usual=usual_fps)
    training += clips_of_features(config, [*training, *validation], reader=reader)
    dataset = TrainingFeatures(training, reader, config.data, seed=config.seed)
    require_rate(reader, [*training, *validation], fps=fps, tolerance=config.data.fps_tolerance)
    return Experiment(
        model=build_detector(
            config,
            num_classes=len(labels),
            parents=labels.parents,
            feature_channels=manifest.channels,
        ),
        backbones=(),
        labels=labels,
        task=DetectionTask(
            config,
            labels=labels,
            validation=validation,
            processes=processes,
            folder=folder,
            reader=reader,
        ),
        dataset=dataset,
        num_items=len(dataset),
        collate=stack_features,
        normalizer=build_normalizer(config.detector),
        facts={"fps": fps or usual_fps},
        features=manifest,
    )


def require_features(reader: WindowReader, records: Sequence[VideoRecord]) -> None:
    """Raise `FeatureError` with the videos that have no features, if any."""
    known = set(reader.source.video_ids())
    raise_problems(
        FeatureError,
        source=str(reader.source.path),
        problems=[
            f"has no features of video '{record.video_id}'"
            for record in records
            if record.video_id not in known
        ],
    )


def require_rate(
    reader: WindowReader, records: Sequence[VideoRecord], *, fps: float | None, tolerance: float
) -> None:
    """Raise `FeatureError` if the features of a video have a rate other than the model's.

    Features of as many steps for every video (``sampling: whole``) have no rate.
    """
    manifest = reader.source.manifest
    if manifest.sampling.get("sampling") == "whole":
        return
    others = Counter(
        rate_text(found)
        for found in (reader.grid(record).fps for record in records)
        if not has_rate(found, fps=fps, tolerance=tolerance)
    )
    if others and fps is not None:
        listed = ", ".join(f"{count(number, 'video')} at {rate}" for rate, number in others.items())
        raise FeatureError(
            f"{reader.source.path}: features of {listed}, but the model works at {rate_text(fps)}; "
            f"extract them again with --fps {fps:g}, or set data.fps_tolerance or data.fps=own to "
            "use them as they are"
        )


def spread(records: Sequence[VideoRecord], *, num_videos: int = 50) -> Sequence[VideoRecord]:
    """At most ``num_videos`` of the records, evenly spread."""
    return [records[place] for place in evenly_spread(len(records), num_videos)]


def common_rate(records: Sequence[VideoRecord]) -> float:
    """The most frequent frame rate of the videos, in frames per second."""
    paths = [record.path for record in spread(records) if record.path is not None]
    return usual_rate([index_video(path).fps for path in paths])
