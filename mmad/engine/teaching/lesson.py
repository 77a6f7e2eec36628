"""What a head learns from in a video: segments, and where it is known what is there.

Shapes: T steps, K behaviours, N segments.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmad.engine.teaching.sequences import Sequences, StepSequence
from mmad.projects.examples import VideoExamples

WINDOW_STEPS = 128


@dataclass(frozen=True, eq=False)
class VideoLesson:
    """A video to learn from.

    Attributes:
        sequence: Its features.
        segments_N2: Present segments, in steps.
        labels_N: Places of their behaviours among those that are learnt.
        known_TK: Whether it is known at each step if each behaviour is there.
    """

    sequence: StepSequence
    segments_N2: Tensor
    labels_N: Tensor
    known_TK: Tensor


def lessons_of(
    sequences: Sequences, examples: Mapping[str, VideoExamples], behaviours: Sequence[int]
) -> dict[str, VideoLesson]:
    """The videos to learn from, by name."""
    place = {one: number for number, one in enumerate(behaviours)}
    lessons = {}
    for name, one in examples.items():
        if name not in sequences.videos:
            continue
        sequence = sequences.videos[name]
        spans = [span for span in one.present if span.behaviour in place]
        seconds = np.array([[span.start_seconds, span.end_seconds] for span in spans])
        lessons[name] = VideoLesson(
            sequence,
            torch.from_numpy(sequence.grid.to_grid(seconds.reshape(-1, 2))).float(),
            torch.tensor([place[span.behaviour or 0] for span in spans], dtype=torch.long),
            torch.from_numpy(one.known(sequence.times, behaviours)),
        )
    return lessons


@dataclass(frozen=True, eq=False)
class LessonBatch:
    """Windows of lessons.

    Attributes:
        features_BDT: Features, zero beyond the end of a video.
        mask_BT: Whether a step exists.
        known_BTK: Whether it is known what is there.
        segments_grid, labels: Of each window, in its steps.
    """

    features_BDT: Tensor
    mask_BT: Tensor
    known_BTK: Tensor
    segments_grid: tuple[Tensor, ...]
    labels: tuple[Tensor, ...]


def windows_of(
    lessons: Sequence[VideoLesson], rng: np.random.Generator
) -> list[tuple[VideoLesson, int]]:
    """Lesson and first step of windows that cover every known step, at random offsets."""
    windows = []
    for lesson in lessons:
        steps: NDArray[np.int64] = np.flatnonzero(lesson.known_TK.any(dim=1).numpy())
        reached = -1
        for step in steps.tolist():
            if step > reached:
                first = max(0, step - int(rng.integers(0, WINDOW_STEPS // 4)))
                windows.append((lesson, first))
                # Segments at the end of a window are seen whole in the next one.
                reached = first + WINDOW_STEPS - WINDOW_STEPS // 8
    return [windows[place] for place in rng.permutation(len(windows))]


def batch_of(windows: Sequence[tuple[VideoLesson, int]]) -> LessonBatch:
    """The windows as a batch; a segment belongs to a window that its middle is in."""
    lesson, _ = windows[0]
    size, channels = len(windows), len(lesson.sequence.features_DT)
    longest = max(one.sequence.features_DT.shape[1] - first for one, first in windows)
    length = min(WINDOW_STEPS, longest)
    features = torch.zeros(size, channels, length)
    mask = torch.zeros(size, length, dtype=torch.bool)
    known = torch.zeros(size, length, lesson.known_TK.shape[1], dtype=torch.bool)
    segments, labels = [], []
    for row, (lesson, first) in enumerate(windows):
        part = lesson.sequence.features_DT[:, first : first + length]
        count = part.shape[1]
        features[row, :, :count] = part
        mask[row, :count] = True
        known[row, :count] = lesson.known_TK[first : first + count]
        middle = lesson.segments_N2.mean(dim=1)
        inside = (middle >= first) & (middle < first + count)
        # Of those whose middle is elsewhere, what is seen of them is not the whole.
        starts, ends = lesson.segments_N2.unbind(1)
        is_cut = ~inside & (starts < first + count) & (ends > first)
        for place in is_cut.nonzero()[:, 0].tolist():
            low, high = (lesson.segments_N2[place] - first).tolist()
            low, high = max(0, int(np.floor(low))), min(count, int(np.ceil(high)) + 1)
            known[row, low:high, lesson.labels_N[place]] = False
        segments.append(lesson.segments_N2[inside] - first)
        labels.append(lesson.labels_N[inside])
    return LessonBatch(features, mask, known, tuple(segments), tuple(labels))
