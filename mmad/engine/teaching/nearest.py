"""First suggestions for a behaviour with few examples: the stretches nearest to them in feature
space. No model needs to know the behaviour.

A stretch is described by the mean of its features and by how that differs from what is around it,
which is more about the movement and less about the person and the place.

Shapes: T steps, D channels, N examples, S stretches.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmad.engine.teaching.sequences import Sequences, StepSequence
from mmad.projects.examples import VideoExamples
from mmad.segments import intersections, lengths
from mmad.structures import Detections
from mmad.suppression import Candidates, suppress

# Of the lengths of the examples, those that stretches have.
_LENGTHS = (0.2, 0.5, 0.8)
# What is around a stretch: as long as it on either side, but at least this many steps.
_AROUND_STEPS = 4
# A stretch is as near as the mean similarity of its nearest examples.
_NEAREST = 3
# Suggestions for each example, and at least.
_PER_EXAMPLE, _LEAST = 6, 30


@dataclass(frozen=True)
class Example:
    """A marked segment: its video, and start and end in seconds."""

    video: str
    start_seconds: float
    end_seconds: float


def examples_in(examples: Mapping[str, VideoExamples], behaviour: int) -> list[Example]:
    """The present segments of a behaviour."""
    return [
        Example(name, span.start_seconds, span.end_seconds)
        for name, one in examples.items()
        for span in one.present
        if span.behaviour == behaviour
    ]


def suggest(sequences: Sequences, marked: Sequence[Example], label: int) -> dict[str, Detections]:
    """The nearest stretches to marked segments in each video, without those themselves.

    The score of a stretch is the share of examples that are as far from the other examples: of two
    examples, an average one is as far from the others as a stretch with a score of 0.5.

    Args:
        sequences: Features of all videos.
        marked: Segments of one behaviour, two or more; those of videos without features do not
            count.
        label: Label of the detections.
    """
    marked = [one for one in marked if one.video in sequences.videos]
    described = np.stack([_described(sequences.videos[one.video], one) for one in marked])
    among = described @ described.T
    np.fill_diagonal(among, -np.inf)
    usual = np.sort(_best(among, min(_NEAREST, len(marked) - 1)))
    seconds = np.array([one.end_seconds - one.start_seconds for one in marked])
    found: dict[str, Detections] = {}
    for name, sequence in sequences.videos.items():
        segments, vectors = _stretches(sequence, np.quantile(seconds, _LENGTHS))
        if not len(segments):
            continue
        near = _best(vectors @ described.T, min(_NEAREST, len(marked)))
        own = np.array([[m.start_seconds, m.end_seconds] for m in marked if m.video == name])
        is_marked = _is_mostly_in(segments, own.reshape(-1, 2))
        found[name] = _separate(segments[~is_marked], _scores(near[~is_marked], usual), label)
    return _highest(found, max(_LEAST, _PER_EXAMPLE * len(marked)))


def _described(sequence: StepSequence, example: Example) -> NDArray:
    low, high = sequence.grid.to_grid([[example.start_seconds, example.end_seconds]])[0]
    first = int(np.clip(round(low), 0, sequence.grid.num_steps - 1))
    length = max(1, round(high) - first + 1)
    return _vectors(sequence.features_DT.numpy(), np.array([first]), length)[0]


def _vectors(features_DT: NDArray, firsts_S: NDArray, length: int) -> NDArray:
    """Descriptions of stretches of ``length`` steps, each of norm 1, (S, 2 D)."""
    count = features_DT.shape[1]
    total = np.concatenate((np.zeros((1, len(features_DT))), features_DT.T.cumsum(axis=0)))

    def mean(low: NDArray, high: NDArray) -> NDArray:
        low, high = low.clip(0, count), high.clip(0, count)
        return (total[high] - total[low]) / np.maximum(high - low, 1)[:, None]

    around = max(length, _AROUND_STEPS)
    lasts = firsts_S + length
    inside = mean(firsts_S, lasts)
    outside = (mean(firsts_S - around, firsts_S) + mean(lasts, lasts + around)) / 2
    vectors = np.concatenate((0.5 * inside, inside - outside), axis=1)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def _stretches(sequence: StepSequence, seconds: NDArray) -> tuple[NDArray, NDArray]:
    """Segments in seconds (S, 2) and descriptions of all stretches of some lengths."""
    grid = sequence.grid
    counts = {max(1, round(one * grid.fps / grid.stride_frames)) for one in seconds.tolist()}
    segments, vectors = [], []
    for length in sorted(counts):
        if length > grid.num_steps:
            continue
        firsts = np.arange(0, grid.num_steps - length + 1, max(1, length // 4))
        edges = np.stack((firsts, firsts + length), axis=1) - 0.5
        segments.append(grid.to_seconds(edges).clip(min=0.0))
        vectors.append(_vectors(sequence.features_DT.numpy(), firsts, length))
    if not segments:
        return np.zeros((0, 2)), np.zeros((0, 2 * len(sequence.features_DT)))
    return np.concatenate(segments), np.concatenate(vectors)


def _is_mostly_in(segments: NDArray, marked: NDArray) -> NDArray:
    """Whether each segment shares more than a third of itself, or of a marked one, with it."""
    shorter = np.minimum(lengths(segments)[:, None], lengths(marked)[None, :])
    return np.asarray((intersections(segments, marked) > shorter / 3).any(axis=1))


def _best(similarity: NDArray, number: int) -> NDArray:
    """The mean of the ``number`` largest values of each row."""
    return -np.partition(-similarity, number - 1, axis=1)[:, :number].mean(axis=1)


def _scores(near: NDArray, usual: NDArray) -> NDArray:
    """The place of each value among the examples' own, between 0 and 1, continued linearly below
    their lowest.
    """
    share = np.interp(near, usual, (np.arange(len(usual)) + 0.5) / len(usual))
    least = usual[0]
    below = np.clip((near + 1) / max(least + 1, 1e-9), 0, 1) * 0.5 / len(usual)
    return np.where(near < least, below, share)


def _separate(segments: NDArray, scores: NDArray, label: int) -> Detections:
    kept = suppress(
        Candidates(
            segments,
            scores,
            np.full(len(scores), label, dtype=np.int64),
            np.zeros(len(scores), dtype=np.int64),
        ),
        method="hard",
        iou_threshold=0.3,
        min_score=0.0,
    )
    return Detections(kept.segments, kept.labels, kept.scores)


def _highest(found: Mapping[str, Detections], number: int) -> dict[str, Detections]:
    """The detections of highest score over all videos."""
    scores = np.concatenate([one.scores for one in found.values()] or [np.zeros(0)])
    least = np.sort(scores)[-number] if len(scores) > number else 0.0
    return {name: one[one.scores >= least] for name, one in found.items()}
