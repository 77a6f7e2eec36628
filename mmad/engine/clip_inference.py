"""Scores of clips: views, network, probabilities, both levels; and the files they go to."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader

from mmad.config.emotion import EmotionConfig
from mmad.config.recognition import RecognitionConfig, RecognitionInference
from mmad.config.views import Views
from mmad.data.clips import EvaluationClips
from mmad.data.frame_sampling import Sampling
from mmad.data.frames import FrameCache
from mmad.data.samples import FailedVideo, Packer
from mmad.engine.precision import choose_precision
from mmad.errors import VideoError, raise_problems
from mmad.evaluation.clips.details import (
    RecognitionDetails,
    details_path,
    write_details,
)
from mmad.evaluation.clips.recognition import write_recognitions
from mmad.evaluation.clips.scores import RecognitionScores, to_recognitions, write_scores
from mmad.evaluation.clips.summed_scores import SummedScores
from mmad.evaluation.level_fusion import combine_levels
from mmad.labels import LabelMap
from mmad.models.recognisers.contract import Summands
from mmad.models.recognisers.whole import Recogniser
from mmad.structures import ClipRecord
from mmad.video.reading import ReadVideo, notices
from mmad.wording import count


@dataclass(frozen=True)
class RecognizedClips:
    """Predictions of a recogniser for clips.

    Attributes:
        scores: Scores of the readable clips.
        summed: Both parts of these scores, if they are a weighted sum of two.
        details: Features and curves of the readable clips.
        failures: Clips that could not be read.
        read: What decoding the other files has shown.
        notices: What to tell about them.
    """

    scores: RecognitionScores
    summed: SummedScores | None
    details: RecognitionDetails
    failures: list[FailedVideo]
    read: Mapping[str, ReadVideo]
    notices: list[str]


def clip_notices(
    videos: Sequence[ReadVideo], *, config: RecognitionConfig | EmotionConfig
) -> list[str]:
    """Notices of clips that were read: how many repeat frames, then those of `notices`."""
    noun = "video" if isinstance(config, EmotionConfig) else "clip"
    frames = config.backbone.clip_frames
    span = Sampling.of(config.data, config.backbone).span
    short = sum(video.num_frames < span for video in videos)
    told = []
    if short:
        view = f"the {span} frames " + ("of a view" if span == frames else "that a view spans")
        verb = "has" if short == 1 else "have"
        told.append(
            f"{short} of {count(len(videos), noun)} {verb} fewer than {view}; frames are repeated"
        )
    return told + notices(videos)


def num_streams(config: RecognitionConfig) -> int:
    """Windows of a clip in a batch: its images, and its optical flow if used."""
    return 2 if config.joins_flow else 1


def raise_failed_clips(failures: Sequence[FailedVideo]) -> None:
    """Raise `VideoError` with every failure, if any."""
    raise_problems(VideoError, source="clips", problems=[item.message for item in failures])


def write_recognized(
    path: Path,
    scores: RecognitionScores,
    *,
    config: RecognitionConfig,
    labels: LabelMap,
    summed: SummedScores | None = None,
    details: RecognitionDetails | None = None,
) -> None:
    """Write the challenge's CSV, and all scores (and details) beside it as .npz, with the labels
    and with both parts of summed scores.

    With the hierarchy "mapping" the five body parts are those of the five actions, as published.
    """
    maps = config.inference.hierarchy == "mapping"
    write_recognitions(path, to_recognitions(scores, mapped_by=labels if maps else None))
    more = None if summed is None else summed.arrays()
    write_scores(path.with_suffix(".npz"), scores, labels=labels, more=more)
    details_path(path).unlink(missing_ok=True)  # those of earlier scores
    if details is not None:
        write_details(details_path(path), details)


def recognize_clips(
    model: Recogniser,
    clips: Sequence[ClipRecord],
    config: RecognitionConfig,
    *,
    labels: LabelMap,
    views: Views,
    device: torch.device,
    cache: FrameCache | None = None,
    progress: Callable[[int], object] | None = None,
) -> RecognizedClips:
    """Scores and details of the clips that could be read, and those that could not.

    Args:
        model: Recogniser; its mode is restored afterwards.
        clips: Clips with their paths.
        config: Configuration of the model.
        labels: Labels of the model.
        views: Views of each clip, over which ``inference.average`` is taken.
        device: Device to compute on.
        cache: Cache of frames for repeated validation.
        progress: Called with the number of clips after each batch.
    """
    precision = choose_precision(config.training.precision, device)
    loader = DataLoader(
        EvaluationClips(
            clips,
            views,
            backbone=config.backbone,
            cache=cache,
        ),
        batch_size=config.inference.batch_clips,
        collate_fn=Packer(clip_frames=config.backbone.images_per_clip),
        num_workers=0 if cache is not None else min(config.data.num_workers, len(clips)),
    )
    was_training = model.training
    model.eval()
    model.features.backbone.use_tokens(config.backbone.computed_tokens)
    ids: list[str] = []
    actions, parts, features, curves = [], [], [], []
    summands: list[Summands] = []
    failures: list[FailedVideo] = []
    read: dict[str, ReadVideo] = {}
    with torch.inference_mode():
        for batch, failed in loader:
            failures += failed
            if batch is None:
                continue
            read |= batch.read
            on_device = batch.to(device)
            with torch.autocast(device.type, dtype=precision, enabled=precision is not None):
                outputs = model(on_device.clips, on_device.colours, on_device.clips_per_window)
            names = batch.video_ids[:: num_streams(config)]
            ids += names
            average = config.inference.average
            actions.append(_averaged(outputs.fine, len(views), average=average))
            features.append(outputs.pooled.float().unflatten(0, (-1, len(views))).mean(dim=1))
            # Groups of channels are not steps in time.
            rows = outputs.fine_frame if config.heads.rows_are_steps else None
            curves.append(_middle_curves(rows, len(names), views))
            if outputs.summands is not None:
                summands.append(outputs.summands)
            if outputs.coarse is not None:
                parts.append(_averaged(outputs.coarse, len(views), average=average))
            if progress is not None:
                progress(len(batch) // num_streams(config))
    model.train(was_training)
    if not ids:
        raise_failed_clips(failures)
    fine, coarse = np.concatenate(actions), np.concatenate(parts) if parts else None
    scores = combine_levels(fine, coarse, labels=labels, how=config.inference.hierarchy)
    details = RecognitionDetails(
        tuple(ids), torch.cat(features).cpu().numpy(), torch.cat(curves).cpu().numpy()
    )
    return RecognizedClips(
        RecognitionScores(tuple(ids), *scores),
        _summed(ids, summands, len(views), config.inference),
        details,
        failures,
        read,
        clip_notices(list(read.values()), config=config),
    )


def _summed(
    ids: Sequence[str],
    summands: Sequence[Summands],
    num_views: int,
    inference: RecognitionInference,
) -> SummedScores | None:
    """Both parts of the scores of all batches, if they have two."""
    if not summands:
        return None
    whole, local = (
        torch.cat([getattr(one, name).float() for one in summands])
        .unflatten(0, (-1, num_views))
        .cpu()
        .numpy()
        for name in ("whole_NK", "local_NK")
    )
    return SummedScores(
        tuple(ids),
        whole,
        local,
        coefficient=summands[0].coefficient,
        average=inference.average,
        hierarchy=inference.hierarchy,
    )


def _middle_curves(logits: Tensor | None, num_clips: int, views: Views) -> Tensor:
    """Probabilities over the steps of the middle view of each clip, (V, T, K)."""
    if logits is None:
        return torch.zeros(num_clips, 0, 0)
    probabilities = functional.softmax(logits.float(), dim=1)
    by_view = probabilities.unflatten(0, (num_clips, len(views), -1))
    return by_view[:, views.middle]


def _averaged(logits: Tensor, num_views: int, *, average: str) -> np.ndarray:
    """Probabilities of each clip: the mean over views, or those of the mean logits."""
    logits_CVK = logits.double().unflatten(0, (-1, num_views))
    if average == "score":
        averaged = functional.softmax(logits_CVK.mean(dim=1), dim=-1)
    else:
        averaged = functional.softmax(logits_CVK, dim=-1).mean(dim=1)
    return averaged.cpu().numpy()
