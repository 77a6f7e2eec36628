"""Recognition as a task of the training loop, and inference of recognisers."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mmad.annotations.clips.folds import ClipLists
from mmad.annotations.label_files import labels_named
from mmad.config.recognition import ClipDataSettings, ClipTrainingSettings, RecognitionConfig
from mmad.data.clips import TrainingClips, flow_path
from mmad.data.frames import FrameCache
from mmad.data.samples import Batch, Packer
from mmad.engine.clip_inference import (
    clip_notices,
    num_streams,
    recognize_clips,
    write_recognized,
)
from mmad.engine.distributed import Processes
from mmad.engine.runs.folder import RunFolder
from mmad.engine.task import Experiment, FirstReading, StartingBackbone, Validation
from mmad.errors import AnnotationError, VideoError, raise_problems
from mmad.evaluation.clips.recognition import evaluate_recognition
from mmad.evaluation.clips.scores import to_recognitions
from mmad.labels import LabelMap
from mmad.models.build import build_recogniser
from mmad.models.layers.loss_normalizer import LossNormalizer
from mmad.models.recognisers.contract import RecognitionTargets
from mmad.models.recognisers.families import build_recognition_criterion
from mmad.models.recognisers.whole import Mix, Recogniser
from mmad.progress import Progress
from mmad.structures import ClipRecord
from mmad.video.flow import code_of
from mmad.wording import count

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PreparedClips:
    """A batch on its device with its labels."""

    batch: Batch
    labels_N: Tensor


class RecognitionTask:
    """Losses and validation of a recogniser.

    Args:
        config: Run configuration.
        labels: Actions, and their body parts if they have any.
        counts: Training clips of each action.
        validation: Labelled clips to validate on, with their paths; may be empty.
        processes: Processes of the run.
        folder: Run folder, which receives the predictions of the validation.
        cache: Cache of frames for validation.
    """

    def __init__(
        self,
        config: RecognitionConfig,
        *,
        labels: LabelMap,
        counts: Sequence[int],
        validation: Sequence[ClipRecord],
        processes: Processes,
        folder: RunFolder,
        cache: FrameCache | None = None,
    ) -> None:
        self._config = config
        self._labels = labels
        # Without body parts all actions share one, which is not trained on.
        self._parents = torch.tensor(labels.parents or (0,) * len(labels))
        self._validation = validation
        self._reading = FirstReading(partial(clip_notices, config=config))
        self._processes = processes
        self._folder = folder
        self._cache = cache
        self._criterion = build_recognition_criterion(
            config, labels=labels, counts=counts, gather=processes.gather
        )

    def prepare(self, batch: Batch, device: torch.device) -> PreparedClips:
        """The batch on ``device`` with its labels."""
        self._reading.add(batch)
        step = num_streams(self._config)
        labels = torch.tensor([int(item.labels[0]) for item in batch.annotations[::step]])
        return PreparedClips(batch.to(device), labels.to(device))

    def losses(
        self, model: nn.Module, prepared: PreparedClips
    ) -> tuple[Mapping[str, Tensor], Tensor]:
        """Sums of the losses by name, and the number of clips."""
        batch, labels_N = prepared.batch, prepared.labels_N
        parents_K = self._parents.to(labels_N.device)
        targets_NK = functional.one_hot(labels_N, len(self._labels)).float()
        mix = self._draw_mix(parents_K[labels_N])
        if mix is not None:
            share_N1 = mix.share_N[:, None]
            targets_NK = share_N1 * targets_NK + (1 - share_N1) * targets_NK[mix.partner_N]
            # The margin of ArcFace applies to one class: that with the larger share.
            labels_N = torch.where(mix.share_N >= 0.5, labels_N, labels_N[mix.partner_N])
        outputs = model(
            batch.clips,
            batch.colours,
            batch.clips_per_window,
            labels_N,
            parents_K[labels_N],
            mix,
        )
        parts_KP = functional.one_hot(parents_K, len(self._labels.parent_names) or 1).float()
        targets = RecognitionTargets(targets_NK, targets_NK @ parts_KP)
        return self._criterion(outputs, targets), targets_NK.sum().round()

    def _draw_mix(self, parts_N: Tensor) -> Mix | None:
        """Partners and shares; numbers come from torch's state, which the loop sets every step."""
        strength = self._config.losses.mixup
        if not strength:
            return None
        count = len(parts_N)
        share = torch.distributions.Beta(strength, strength).sample((count,))
        partner = torch.randperm(count)
        inside = torch.rand(count) < self._config.losses.mixup_within_body
        for row in torch.nonzero(inside).flatten().tolist():
            same = torch.nonzero(parts_N.cpu() == parts_N[row].cpu()).flatten()
            partner[row] = same[torch.randint(len(same), (1,))]
        return Mix(partner.to(parts_N.device), share.to(parts_N.device))

    def validate(self, model: nn.Module, *, quiet: bool = False) -> Validation:
        """F1_mean, with the predictions."""
        if not self._validation:
            self._reading.tell({})
            return Validation(0.0, {})
        assert isinstance(model, Recogniser)
        device = self._processes.device
        clips = self._validation
        with Progress("validate", total=len(clips), unit="clips", quiet=quiet) as progress:
            answers = recognize_clips(
                model,
                clips,
                self._config,
                labels=self._labels,
                views=self._config.data.views("val"),
                device=device,
                cache=self._cache,
                progress=progress.update,
            )
        self._reading.tell(answers.read)
        report = evaluate_recognition(
            to_recognitions(answers.scores),
            clips,
            labels=self._labels,
            allow_missing=True,
        )
        row = {"f1_mean": report.f1_mean, "num_failed_clips": len(answers.failures)}
        row |= {f"{name}_top1": level.top1 for name, level in report.levels.items()}
        path = self._folder.predictions("val", ".csv")
        return Validation(
            report.f1_mean,
            row,
            lambda: write_recognized(
                path,
                answers.scores,
                config=self._config,
                labels=self._labels,
                summed=answers.summed,
            ),
        )


def read_clips(config: RecognitionConfig, subset: str, *, labels: LabelMap) -> list[ClipRecord]:
    """The clips of a subset, with their paths and, if the run reads it, their optical flow.

    Raises: as `listed_clips`, and VideoError if flow is missing or in another code.
    """
    clips = listed_clips(config.data, subset, labels=labels)
    if config.data.flow is not None:
        flow, code = Path(config.data.flow), config.flow_code
        lacking = [clip.clip_id for clip in clips if not flow_path(flow, clip.clip_id).is_file()]
        raise_problems(
            VideoError,
            source=f"data.flow: {flow}",
            problems=[
                f"there is no flow of {name}; write it there with mmad data flow --code {code}"
                for name in lacking
            ],
        )
        _require_code(flow, config)
    return clips


def listed_clips(data: ClipDataSettings, subset: str, *, labels: LabelMap) -> list[ClipRecord]:
    """The clips of a subset (at most ``data.max_clips`` of each list), with their paths.

    Raises: AnnotationError if a list is wrong or empty or there is no such fold, VideoError with
        the missing files.
    """
    folder = Path(data.clips)
    if not folder.is_dir():
        raise VideoError(f"data.clips: {folder}: there is no such folder of clips")
    found = ClipLists.of(data.model_dump()).read(subset, labels=labels)
    source = f"data.{subset}: {', '.join(getattr(data, subset) or data.train)}"
    if not found:
        raise AnnotationError(f"{source}: the list has no clips")
    clips = [replace(clip, path=folder / clip.clip_id) for clip in found]
    repeated = [name for name, n in Counter(clip.clip_id for clip in clips).items() if n > 1]
    if repeated:
        raise AnnotationError(
            f"{source}: {count(len(repeated), 'clip', 'is')} in more than one of the lists, first "
            f"{repeated[0]}"
        )
    missing = [clip.clip_id for clip in clips if not (folder / clip.clip_id).is_file()]
    raise_problems(
        VideoError,
        source=str(folder),
        problems=[f"there is no clip {name}" for name in missing],
    )
    return clips


def _require_code(flow: Path, config: RecognitionConfig) -> None:
    """Raise `VideoError` if the flow in the folder is in another code; warn if nothing says."""
    found, wanted = code_of(flow), config.flow_code
    if found is None:
        _log.warning(
            "data.flow: %s has no list of mmad data flow; its videos are taken as flow of the "
            "code %s",
            *(flow, wanted),
        )
    elif found != wanted:
        reader = "backbone.flow_stack reads" if wanted == "xy" else "the second stream reads"
        if config.data.flow_only:
            reader = "data.flow_only reads"
        raise VideoError(
            f"data.flow: {flow}: holds flow of the code {found}, and {reader} {wanted}; write it "
            f"to another folder with mmad data flow --code {wanted}"
        )


def settle_labels(config: RecognitionConfig, *, tell: bool = True) -> RecognitionConfig:
    """The settings without what needs body parts, if the labels have none.

    Args:
        config: Run configuration.
        tell: Warn of what is switched off, and from which number a label file counts.

    Raises: AnnotationError if the label file is wrong, ConfigError if what is to be switched off
    was set.
    """
    name, labels = config.data.labels, labels_named(config.data.labels)
    settled, switched = (config, []) if labels.has_parents else config.without_body_parts()
    if tell and labels.first_number:
        _log.warning(
            "%s: its classes are numbered from %d, and so are the labels in lists of clips",
            *(name, labels.first_number),
        )
    if tell and switched:
        _log.warning(
            "%s: its classes have no body parts, so these are off: %s", name, ", ".join(switched)
        )
    return settled


def prepare_recognition(
    config: RecognitionConfig, *, processes: Processes, folder: RunFolder
) -> Experiment:
    """Data, model, losses and validation of a recognition run.

    Raises: MmadError for any problem with settings, lists or clips.
    """
    labels = labels_named(config.data.labels)
    training = read_clips(config, "train", labels=labels)
    validates = ClipLists.of(config.data.model_dump()).names("val")
    validation = read_clips(config, "val", labels=labels) if validates else []
    for path, clips in (("train", training), ("val", validation)):
        if any(clip.label is None for clip in clips):
            raise AnnotationError(f"data.{path}: a list without labels; expected 'name.mp4 label'")
    if processes.is_main:
        _tell_of_clips_in_both(training, validation)
    counts = np.bincount([clip.label or 0 for clip in training], minlength=len(labels))
    model = build_recogniser(config, labels=labels, weights_follow=True)
    cache = FrameCache(budget_gb=config.data.cache_gb)
    dataset = TrainingClips(
        training,
        config.data,
        backbone=config.backbone,
        seed=config.seed,
        cache=cache,
    )
    keeps = config.data.cache_gb > 0 and config.data.num_workers == 0
    return Experiment(
        model=model,
        backbones=tuple(
            StartingBackbone(one, settings)
            for one, settings in (
                (model.features.backbone, config.backbone),
                (model.features.flow_backbone, config.flow_backbone),
            )
            if one is not None and settings is not None
        ),
        labels=labels,
        task=RecognitionTask(
            config,
            labels=labels,
            counts=counts.tolist(),
            validation=validation,
            processes=processes,
            folder=folder,
            cache=cache if keeps else None,
        ),
        dataset=dataset,
        num_items=len(dataset),
        collate=Packer(clip_frames=config.backbone.images_per_clip),
        # The sum over the clips of a step is divided by their number.
        normalizer=LossNormalizer(initial=1.0, momentum=0.0),
        facts={"num_clips": len(training)},
        rate_factors=last_layer_factors(model, config.training),
    )


def _tell_of_clips_in_both(
    training: Sequence[ClipRecord], validation: Sequence[ClipRecord]
) -> None:
    """Warn if the clips that choose the checkpoint are trained on."""
    trained_on = {clip.clip_id for clip in training}
    shared = [clip.clip_id for clip in validation if clip.clip_id in trained_on]
    if shared:
        _log.warning(
            "data.val: %d of its %s in data.train, too, first %s; its figures and the checkpoint "
            "that they choose mean nothing; to train on all, set data.val=[]",
            *(len(shared), count(len(validation), "clip", "is"), shared[0]),
        )


def last_layer_factors(model: Recogniser, settings: ClipTrainingSettings) -> dict[str, float]:
    """Factors of the learning rates of the last layer, by name of the parameter."""
    if settings.last_layer_rate == 1:
        return {}
    path = "heads.fine"
    if settings.last_layer == "last":
        *_, path = (name for name, one in model.named_modules() if isinstance(one, nn.Linear))
    names = (f"{path}.{name}" for name, _ in model.get_submodule(path).named_parameters())
    return dict.fromkeys(names, settings.last_layer_rate)
