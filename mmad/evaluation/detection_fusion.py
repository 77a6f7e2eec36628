"""Fusion of detections of several models: pooling, then Soft-NMS over all."""

from collections.abc import Mapping, Sequence

import numpy as np

from mmad.evaluation.clips.ensemble import normalised_weights
from mmad.structures import Detections
from mmad.suppression import Candidates, suppress


def fuse_detections(
    members: Sequence[Mapping[str, Detections]],
    *,
    weights: Sequence[float] | None = None,
    sigma: float = 0.5,
    min_score: float = 0.001,
    max_per_video: int | None = None,
) -> dict[str, Detections]:
    """The detections of all ``members``, by video and descending score, after Gaussian Soft-NMS.

    Scores are multiplied by the weight of their member over the largest weight: equal weights leave
    them unchanged, and no score exceeds 1. What several members detect remains as one strong
    detection with weak copies. Videos keep the order in which the members name them; those without
    detections have an empty entry.

    Args:
        members: Detections of each video, of each model; labels of one label set.
        weights: Weight of each member, at least 0, by default equal; 0 leaves a member out.
        sigma: Width of the Gaussian, exp(-tIoU^2 / sigma), inside each class of each video.
        min_score: a detection whose score falls below it is dropped.
        max_per_video: Maximum number of detections of a video; None keeps all.

    Raises: PredictionError if there are no members or the weights are invalid.

    Source: Soft-NMS (arXiv 1704.04503). Fusion with equal weights was reported to help in the
    MMA-52 challenge, weighted box fusion and score thresholds to hurt.
    """
    shares = normalised_weights(weights, num_members=len(members))
    factors = shares / shares.max()
    names = list(dict.fromkeys(name for member in members for name in member))
    fused = {}
    for name in names:
        parts = [
            (member[name], factor)
            for member, factor in zip(members, factors, strict=True)
            if name in member and factor > 0
        ]
        fused[name] = _fuse_video(
            [found for found, _ in parts],
            [factor for _, factor in parts],
            sigma=sigma,
            min_score=min_score,
            max_per_video=max_per_video,
        )
    return fused


def _fuse_video(
    parts: Sequence[Detections],
    factors: Sequence[float],
    *,
    sigma: float,
    min_score: float,
    max_per_video: int | None,
) -> Detections:
    if not any(len(found) for found in parts):
        return Detections()
    segments = np.concatenate([found.segments_seconds for found in parts])
    labels = np.concatenate([found.labels for found in parts])
    scores = np.concatenate(
        [found.scores * factor for found, factor in zip(parts, factors, strict=True)]
    )
    kept = suppress(
        Candidates(segments, scores, labels, np.zeros(len(labels), dtype=np.int64)),
        method="soft_gaussian",
        sigma=sigma,
        min_score=min_score,
        max_per_video=len(labels) if max_per_video is None else max_per_video,
    )
    return Detections(kept.segments, kept.labels, kept.scores)
