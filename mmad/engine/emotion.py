"""Emotions and sets of actions as a task of the training loop."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from mmad.annotations.attach import attach_videos
from mmad.annotations.emotions.lists import of_subset, read_emotion_lists
from mmad.annotations.label_files import labels_named
from mmad.config.emotion import EmotionConfig
from mmad.data.emotion_videos import EmotionBatch, EmotionPacker, FaceAndBody, TrainingEmotions
from mmad.data.face_copies import face_copies
from mmad.data.frames import FrameCache
from mmad.engine.clip_inference import clip_notices
from mmad.engine.distributed import Processes
from mmad.engine.emotion_inference import (
    network_inputs,
    recognize_emotions,
    videos_without_face,
)
from mmad.engine.runs.folder import RunFolder
from mmad.engine.task import Experiment, FirstReading, StartingBackbone, Validation
from mmad.errors import AnnotationError
from mmad.evaluation.emotions.metrics import evaluate_emotions
from mmad.evaluation.emotions.predictions import write_emotion_predictions
from mmad.labels import LabelMap
from mmad.models.build import build_emotion
from mmad.models.emotion.build import build_emotion_criterion
from mmad.models.emotion.criterion import EmotionTargets
from mmad.models.emotion.network import EmotionNetwork
from mmad.models.layers.loss_normalizer import LossNormalizer
from mmad.progress import Progress
from mmad.structures import EmotionRecord, VideoRecord
from mmad.wording import count

_log = logging.getLogger(__name__)


class EmotionTask:
    """Losses and validation of a network of emotions.

    Args:
        config: Run configuration.
        labels: Labels of the actions.
        validation: Videos to validate on; may be empty.
        processes: Processes of the run.
        folder: Run folder, which receives the predictions of the validation.
        cache: Cache of frames for validation.
    """

    def __init__(
        self,
        config: EmotionConfig,
        *,
        labels: LabelMap,
        validation: Sequence[FaceAndBody],
        processes: Processes,
        folder: RunFolder,
        cache: FrameCache | None = None,
    ) -> None:
        self._config = config
        self._labels = labels
        self._validation = validation
        self._reading = FirstReading(partial(clip_notices, config=config))
        self._processes = processes
        self._folder = folder
        self._cache = cache
        self._criterion = build_emotion_criterion(config.losses)

    def prepare(self, batch: EmotionBatch, device: torch.device) -> EmotionBatch:
        """The batch on ``device``."""
        self._reading.add(batch.images)
        return batch.to(device)

    def losses(
        self, model: nn.Module, prepared: EmotionBatch
    ) -> tuple[Mapping[str, Tensor], Tensor]:
        """Sums of the losses by name, and the number of videos."""
        per_step = self._config.backbone.frames_per_step
        outputs = model(*network_inputs(prepared, frames_per_step=per_step))
        targets = EmotionTargets(prepared.emotions, prepared.actions_K)
        num_videos = torch.tensor(float(len(prepared)), device=prepared.emotions.device)
        return self._criterion(outputs, targets), num_videos

    def validate(self, model: nn.Module, *, quiet: bool = False) -> Validation:
        """The figure that selects the best checkpoint, with the predictions."""
        if not self._validation:
            self._reading.tell({})
            return Validation(0.0, {})
        assert isinstance(model, EmotionNetwork)
        videos = self._validation
        with Progress("validate", total=len(videos), unit="videos", quiet=quiet) as progress:
            answers = recognize_emotions(
                model,
                videos,
                self._config,
                labels=self._labels,
                subset="val",
                device=self._processes.device,
                cache=self._cache,
                progress=progress.update,
            )
        self._reading.tell(answers.read)
        predictions = answers.predictions
        report = evaluate_emotions(
            predictions,
            [one.record for one in videos if one.record.video_id in set(predictions.video_ids)],
            labels=self._labels,
        )
        figures = ("accuracy", "f1_weighted", "f1_macro", "recall_macro", "map_classes")
        row = {name: getattr(report, name) for name in figures}
        row = {name: value for name, value in row.items() if value is not None}
        path = self._folder.predictions(self._config.data.val_subset, ".csv")
        return Validation(
            getattr(report, self._config.training.best_by),
            {**row, "num_failed_videos": len(answers.failures)},
            lambda: write_emotion_predictions(path, predictions, labels=self._labels),
        )


def videos_of(
    config: EmotionConfig, listed: Sequence[EmotionRecord], subsets: Sequence[str]
) -> list[FaceAndBody]:
    """The videos of these subsets with the files that the network reads.

    Of each subset at most ``data.max_videos``.

    Raises: AnnotationError if a subset has none, VideoError with all files that are missing.
    """
    source = f"data.annotations: {', '.join(config.data.annotations)}"
    chosen: list[EmotionRecord] = []
    for subset in dict.fromkeys(subsets):
        found = of_subset(listed, subset, source=source)
        chosen += [one for one in found[: config.data.max_videos] if one not in chosen]
    return with_files(config, chosen)


def with_files(config: EmotionConfig, records: Sequence[EmotionRecord]) -> list[FaceAndBody]:
    """The videos with the files that the network reads; a record that has a path keeps it.

    Raises: VideoError with all files that are missing.
    """
    paths: list = [None] * len(records)
    faces: list = [None] * len(records)
    names = [record.video_id for record in records]
    if config.network.reads_bodies:
        lacking = [VideoRecord(one.video_id, 0.0, one.subset) for one in records if not one.path]
        found: dict = {}
        if lacking:
            assert config.data.videos is not None
            found = {one.video_id: one.path for one in attach_videos(lacking, config.data.videos)}
        paths = [one.path or found[one.video_id] for one in records]
    if config.network.reads_faces:
        assert config.data.faces is not None
        faces = [*face_copies(config.data.faces, names)]
    return [
        FaceAndBody(replace(record, path=path), face)
        for record, path, face in zip(records, paths, faces, strict=True)
    ]


def prepare_emotion(
    config: EmotionConfig, *, processes: Processes, folder: RunFolder
) -> Experiment:
    """Data, model, losses and validation of a run on emotions.

    Raises: MmadError for any problem with settings, lists, videos or face copies.
    """
    labels = labels_named(config.data.labels)
    learnt = config.learnt_actions(labels)
    listed = read_emotion_lists(config.data.annotations, labels=labels)
    training = videos_of(config, listed, config.data.train_subsets)
    has_validation = any(video.subset == config.data.val_subset for video in listed)
    validation = videos_of(config, listed, [config.data.val_subset]) if has_validation else []
    for videos in (training, validation):
        unlabelled = [one.record.video_id for one in videos if one.record.emotion is None]
        if unlabelled:
            raise AnnotationError(
                f"data.annotations: {count(len(unlabelled), 'video', 'has')} no emotion, first "
                f"{unlabelled[0]}; annotate them, or leave them out"
            )
    without = videos_without_face(training)
    if without and processes.is_main:
        _log.warning(
            "training: %d of %s have no face in any frame, first %s; of these the branch of "
            "faces learns nothing",
            *(len(without), count(len(training), "video"), without[0]),
        )
    model = build_emotion(config, labels=labels)
    starts = {"faces": config.face_backbone, "bodies": config.backbone}
    cache = FrameCache(budget_gb=config.data.cache_gb)
    keeps = config.data.cache_gb > 0 and config.data.num_workers == 0
    dataset = TrainingEmotions(
        training,
        config.data,
        backbone=config.backbone,
        labels=learnt,
        seed=config.seed,
        cache=cache,
    )
    rate = config.training.last_layer_rate
    return Experiment(
        model=model,
        backbones=tuple(
            StartingBackbone(one, starts[name]) for name, one in model.backbones.items()
        ),
        labels=labels,
        task=EmotionTask(
            config,
            labels=labels,
            validation=validation,
            processes=processes,
            folder=folder,
            cache=cache if keeps else None,
        ),
        dataset=dataset,
        num_items=len(dataset),
        collate=EmotionPacker(config.backbone.images_per_clip),
        # The sum over the videos of a step is divided by their number.
        normalizer=LossNormalizer(initial=1.0, momentum=0.0),
        facts={"num_videos": len(training), "num_without_face": len(without)},
        rate_factors={}
        if rate == 1
        else {
            f"{name}.{part}": rate
            for name, layer in model.classifiers.items()
            for part, _ in layer.named_parameters()
        },
    )
