"""What a recogniser sees the best action of clips in, for `mmad recognize` and `mmad figures`."""

from collections.abc import Sequence
from pathlib import Path

import torch

from mmad.cli._copies import existing_videos
from mmad.config.recognition import RecognitionConfig
from mmad.engine.clip_inference import raise_failed_clips, recognize_clips
from mmad.engine.distributed import start_processes
from mmad.engine.runs.load import load_recogniser
from mmad.engine.saliency import clip_saliency, require_class_maps
from mmad.evaluation.clips.scores import RecognitionScores
from mmad.labels import LabelMap
from mmad.models.recognisers.whole import Recogniser
from mmad.report.recogniser_figures.saliency import ClipSaliency
from mmad.structures import ClipRecord
from mmad.video.records import clip_records


def best_saliency(
    model: Recogniser,
    clips: Sequence[ClipRecord],
    config: RecognitionConfig,
    *,
    scores: RecognitionScores,
    labels: LabelMap,
    device: torch.device,
) -> list[ClipSaliency]:
    """Where the best action of each clip is seen; ``scores`` are in the order of the clips."""
    found = []
    for row, clip in enumerate(clips):
        label = int(scores.action_scores[row].argmax())
        share = 100 * scores.action_scores[row, label]
        title = f"{clip.clip_id}: {labels.title(label)} ({share:.1f} %)"
        found.append(clip_saliency(model, clip, config, label=label, title=title, device=device))
    return found


def saliency_of_files(
    videos: Sequence[Path], checkpoint: Path, *, device: str
) -> list[ClipSaliency]:
    """Where a trained recogniser sees the best action of each clip.

    Raises: VideoError if a clip cannot be read, CheckpointError if there is no such recogniser or
    it has no class activation maps.
    """
    clips = clip_records(existing_videos(videos))
    model, config, labels = load_recogniser(checkpoint)
    processor = start_processes(device).device
    model.to(processor)
    require_class_maps(model, config, device=processor, source=checkpoint)
    answers = recognize_clips(
        model, clips, config, labels=labels, views=config.data.views("test"), device=processor
    )
    raise_failed_clips(answers.failures)
    by_name = {clip.clip_id: clip for clip in clips}
    ordered = [by_name[name] for name in answers.scores.clip_ids]
    return best_saliency(
        model, ordered, config, scores=answers.scores, labels=labels, device=processor
    )
