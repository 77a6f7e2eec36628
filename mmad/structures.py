"""Types exchanged between the packages of mmad. Times are in seconds; arrays are read-only."""

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mmad.segments import as_segments

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def _read_only(array: NDArray) -> NDArray:
    array = array.copy()
    array.flags.writeable = False
    return array


def _chosen(keep: ArrayLike | slice) -> NDArray | slice:
    """What indexes the arrays so that they keep their dimensions."""
    return keep if isinstance(keep, slice) else np.atleast_1d(np.asarray(keep))


@dataclass(frozen=True, eq=False)
class Annotations:
    """The annotations (ground truth) of one video.

    Attributes:
        segments_seconds: float64 (N, 2), start and end.
        labels: int64 (N,), indices into a label set.

    Raises: ValueError if the lengths disagree. Whether a segment is valid (not reversed, inside the
    video) is checked where the file is known, in `mmad.annotations`.
    """

    segments_seconds: Floats = field(default_factory=lambda: np.zeros((0, 2)))
    labels: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def __post_init__(self) -> None:
        segments = as_segments(self.segments_seconds)
        labels = np.asarray(self.labels, dtype=np.int64).reshape(-1)
        if len(segments) != len(labels):
            raise ValueError(f"found {len(segments)} segments but {len(labels)} labels")
        object.__setattr__(self, "segments_seconds", _read_only(segments))
        object.__setattr__(self, "labels", _read_only(labels))

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, keep: ArrayLike | slice) -> "Annotations":
        """The chosen annotations, by boolean mask, integer indices or a slice."""
        chosen = _chosen(keep)
        return Annotations(self.segments_seconds[chosen], self.labels[chosen])


@dataclass(frozen=True, eq=False)
class Detections:
    """The detections (predictions) of one video.

    Attributes:
        segments_seconds: float64, shape (N, 2), start and end.
        labels: int64, shape (N,).
        scores: float64, shape (N,), at least 0.
        places: int64, shape (N,), place of each among all detections of the file that they were
            read from, whatever their video; None for detections that are not from a file.

    Raises: ValueError if lengths disagree, a value is not finite, a segment ends before it starts
    or a score is negative.
    """

    segments_seconds: Floats = field(default_factory=lambda: np.zeros((0, 2)))
    labels: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    scores: Floats = field(default_factory=lambda: np.zeros(0))
    places: Ints | None = None

    def __post_init__(self) -> None:
        segments = as_segments(self.segments_seconds)
        labels = np.asarray(self.labels, dtype=np.int64).reshape(-1)
        scores = np.asarray(self.scores, dtype=np.float64).reshape(-1)
        if not len(segments) == len(labels) == len(scores):
            raise ValueError(
                f"found {len(segments)} segments, {len(labels)} labels and {len(scores)} scores"
            )
        if not (np.isfinite(segments).all() and np.isfinite(scores).all()):
            raise ValueError("segments and scores must be finite")
        if (segments[:, 1] < segments[:, 0]).any():
            first = int(np.argmax(segments[:, 1] < segments[:, 0]))
            raise ValueError(
                f"detection {first} ends ({segments[first, 1]:.3f} s) before it starts "
                f"({segments[first, 0]:.3f} s)"
            )
        if (scores < 0).any():
            raise ValueError(f"scores must be at least 0, found {scores.min()}")
        object.__setattr__(self, "segments_seconds", _read_only(segments))
        object.__setattr__(self, "labels", _read_only(labels))
        object.__setattr__(self, "scores", _read_only(scores))
        if self.places is not None:
            places = np.asarray(self.places, dtype=np.int64).reshape(-1)
            if len(places) != len(labels):
                raise ValueError(f"found {len(labels)} labels but {len(places)} places")
            object.__setattr__(self, "places", _read_only(places))

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, keep: ArrayLike | slice) -> Self:
        """The chosen detections, by boolean mask, integer indices or a slice."""
        chosen = _chosen(keep)
        return replace(
            self,
            segments_seconds=self.segments_seconds[chosen],
            labels=self.labels[chosen],
            scores=self.scores[chosen],
            places=None if self.places is None else self.places[chosen],
        )

    def by_score(self) -> Self:
        """The detections in descending order of score; ties keep their order."""
        return self[np.argsort(-self.scores, kind="stable")]


@dataclass(frozen=True, eq=False)
class VideoRecord:
    """An untrimmed video and its annotations.

    Attributes:
        video_id: Name used in annotation and prediction files, usually the file stem.
        path: Video file, or None while the folder of videos is not known.
        fps: Frames per second of the video itself, or None if the annotation file lacks it.
        num_frames: Number of frames, or None if the annotation file lacks it.
        duration_seconds: Duration in seconds.
        subset: "train", "val", "test" or another name in the file.
        subject: The person in the video, or None if not known.
        annotations: Annotations (empty for unlabelled videos).
    """

    video_id: str
    duration_seconds: float
    subset: str
    fps: float | None = None
    num_frames: int | None = None
    path: Path | None = None
    subject: str | None = None
    annotations: Annotations = field(default_factory=Annotations)


@dataclass(frozen=True)
class ClipRecord:
    """A short clip of a single action, for recognition.

    Attributes:
        clip_id: File name of the clip, with its suffix, as in the lists.
        label: Index of the action, or None in an unlabelled list.
        subset: "train", "val" or "test".
        path: Video file, or None while the folder of clips is not known.
        subject: The person in the clip, or None if not known.
        fold: Fold of a cross-validation, or None.
    """

    clip_id: str
    label: int | None
    subset: str
    path: Path | None = None
    subject: str | None = None
    fold: str | None = None


@dataclass(frozen=True)
class EmotionRecord:
    """A video with one emotion and the set of actions in it.

    Attributes:
        video_id: File name of the video without its suffix.
        emotion: Index in `mmad.labels.EMOTIONS`, or None in an unlabelled list.
        actions: Indices of the actions, ascending and without repeats; they have no times.
        subset: "train", "val", "test" or another name in the file.
        duration_seconds: Duration, or None if the file lacks it.
        path: Video file, or None while the folder of videos is not known.
        subject: The person in the video, or None if not known.
    """

    video_id: str
    emotion: int | None
    actions: tuple[int, ...]
    subset: str
    duration_seconds: float | None = None
    path: Path | None = None
    subject: str | None = None


@dataclass(frozen=True)
class FeatureGrid:
    """The times of the steps of a feature sequence: step i is at (i * stride + offset) / fps
    seconds.

    Attributes:
        fps: Frames per second of the video in which frames are counted.
        stride_frames: Distance between steps in frames of that video.
        num_steps: Number of valid steps.
        offset_frames: Position of step 0; 0 end to end, half a window for pooled features.

    >>> grid = FeatureGrid(fps=30.0, stride_frames=2.0, num_steps=75)
    >>> grid.to_grid([[1.0, 2.0]]).tolist()
    [[15.0, 30.0]]
    >>> grid.to_seconds([[15.0, 30.0]]).tolist()
    [[1.0, 2.0]]
    """

    fps: float
    stride_frames: float
    num_steps: int
    offset_frames: float = 0.0

    def __post_init__(self) -> None:
        for name in ("fps", "stride_frames"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be above 0, found {value}")

    def to_grid(self, segments_seconds: ArrayLike) -> Floats:
        """Segments in units of steps, shape (N, 2)."""
        frames = as_segments(segments_seconds) * self.fps
        return (frames - self.offset_frames) / self.stride_frames

    def to_seconds(self, segments_grid: ArrayLike) -> Floats:
        """Segments in seconds, shape (N, 2); the inverse of `to_grid`."""
        frames = as_segments(segments_grid) * self.stride_frames + self.offset_frames
        return frames / self.fps
