"""Emotions and actions of videos: views, network, probabilities.

Shapes: N views of videos, F frames of a view, T steps, E emotions, K actions.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from mmad.config.emotion import EmotionConfig
from mmad.config.views import Subset
from mmad.data.emotion_videos import EmotionBatch, EmotionPacker, EvaluationEmotions, FaceAndBody
from mmad.data.face_copies import frames_with_face
from mmad.data.frames import FrameCache
from mmad.data.samples import Batch, FailedVideo, raise_failures
from mmad.engine.clip_inference import clip_notices
from mmad.engine.precision import choose_precision
from mmad.evaluation.emotions.predictions import EmotionPredictions
from mmad.labels import LabelMap
from mmad.models.backbones.features import normalise_windows
from mmad.models.emotion.network import EmotionNetwork
from mmad.video.reading import ReadVideo
from mmad.wording import count

_NAMED = 5


@dataclass(frozen=True)
class RecognizedEmotions:
    """What a network says of videos.

    Attributes:
        predictions: Predictions for the readable videos.
        failures: Videos that could not be read.
        read: What decoding the others has shown.
        notices: What to tell about them.
    """

    predictions: EmotionPredictions
    failures: list[FailedVideo]
    read: Mapping[str, ReadVideo]
    notices: list[str]


def network_inputs(
    batch: EmotionBatch, *, frames_per_step: int
) -> tuple[Tensor | None, Tensor, Tensor | None]:
    """The arguments of the network for a batch on its device."""

    def images(found: Batch | None) -> Tensor | None:
        if found is None:
            return None
        return normalise_windows(found.clips, found.colours, found.clips_per_window)

    has_face_NT = batch.has_face_NF.unflatten(1, (-1, frames_per_step)).any(dim=2)
    return images(batch.faces), has_face_NT, images(batch.bodies)


def recognize_emotions(
    model: EmotionNetwork,
    videos: Sequence[FaceAndBody],
    config: EmotionConfig,
    *,
    labels: LabelMap,
    subset: Subset,
    device: torch.device,
    cache: FrameCache | None = None,
    progress: Callable[[int], object] | None = None,
) -> RecognizedEmotions:
    """Predictions for the videos that could be read, and those that could not.

    Args:
        model: Network; its mode is restored afterwards.
        videos: Videos with the files that are read.
        config: Configuration of the model.
        labels: Labels of the actions.
        subset: Whose views are read and averaged.
        device: Device to compute on.
        cache: Cache of frames for repeated validation.
        progress: Called with the number of videos after each batch.
    """
    precision = choose_precision(config.training.precision, device)
    backbone, learnt = config.backbone, config.learnt_actions(labels)
    num_views = len(config.data.views(subset))
    loader = DataLoader(
        EvaluationEmotions(
            videos, config.data, backbone=backbone, labels=learnt, subset=subset, cache=cache
        ),
        batch_size=config.inference.batch_videos,
        collate_fn=EmotionPacker(backbone.images_per_clip),
        num_workers=0 if cache is not None else min(config.data.num_workers, len(videos)),
    )
    was_training = model.training
    model.eval()
    ids: list[str] = []
    emotions, actions = [], []
    failures: list[FailedVideo] = []
    read: dict[str, ReadVideo] = {}
    unseen: list[str] = []
    with torch.inference_mode():
        for batch, failed in loader:
            failures += failed
            if batch is None:
                continue
            read |= batch.images.read
            seen = batch.has_face_NF.unflatten(0, (-1, num_views)).flatten(1).any(dim=1)
            names = batch.images.video_ids
            ids += names
            unseen += [name for name, found in zip(names, seen.tolist(), strict=True) if not found]
            with torch.autocast(device.type, dtype=precision, enabled=precision is not None):
                inputs = network_inputs(batch.to(device), frames_per_step=backbone.frames_per_step)
                outputs = model(*inputs)
            emotions.append(_averaged(outputs.emotions_NE.double().softmax(dim=1), num_views))
            if outputs.actions_NK is not None:
                actions.append(_averaged(outputs.actions_NK.double().sigmoid(), num_views))
            if progress is not None:
                progress(len(batch))
    model.train(was_training)
    if not ids:
        raise_failures(failures)
    predictions = EmotionPredictions(
        tuple(ids),
        np.concatenate(emotions),
        np.concatenate(actions) if actions else np.zeros((len(ids), 0)),
        np.array(learnt, dtype=np.int64),
    )
    told = [*clip_notices(list(read.values()), config=config)]
    if unseen:
        told.append(_without_face(unseen, num_videos=len(ids), config=config))
    return RecognizedEmotions(predictions, failures, read, told)


def _averaged(probabilities: Tensor, num_views: int) -> np.ndarray:
    """The mean over the views of each video."""
    return probabilities.unflatten(0, (-1, num_views)).mean(dim=1).cpu().numpy()


def _without_face(names: Sequence[str], *, num_videos: int, config: EmotionConfig) -> str:
    dots = ", ..." if len(names) > _NAMED else ""
    rest = "the body alone" if config.network.reads_bodies else "nothing; add the branch of bodies"
    verb = "has" if len(names) == 1 else "have"
    return (
        f"{len(names)} of {count(num_videos, 'video')} {verb} no face in the frames that are read "
        f"({', '.join(names[:_NAMED])}{dots}); their emotion is told from {rest}"
    )


def videos_without_face(videos: Sequence[FaceAndBody]) -> list[str]:
    """Ids of the videos without a face in any frame; none if no faces are read.

    Raises: VideoError or AnnotationError if boxes cannot be read.
    """
    return [
        one.record.video_id
        for one in videos
        if one.face is not None and not frames_with_face(one.face).any()
    ]
