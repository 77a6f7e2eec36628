"""The instances of each subset, with their lengths: what figures and comparisons of data show."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmad.annotations.statistics import in_usual_order
from mmad.errors import VideoError, raise_problems
from mmad.labels import LabelMap
from mmad.progress import tracked
from mmad.segments import lengths
from mmad.structures import ClipRecord, Floats, Ints, VideoRecord


@dataclass(frozen=True, eq=False)
class Instances:
    """The instances of a subset: the annotations of videos, or clips of one action.

    Attributes:
        name: Name of the subset, or "all".
        labels: Label of each, (N,).
        seconds: Length of each, (N,); None if not known.
    """

    name: str
    labels: Ints
    seconds: Floats | None

    def to_parents(self, labels: LabelMap) -> "Instances":
        """The same instances with the body part of each as its label."""
        return Instances(self.name, labels.to_parents(self.labels), self.seconds)

    def counts(self, num_labels: int) -> Ints:
        """Number of instances of each label, (K,)."""
        return np.bincount(self.labels, minlength=num_labels)


@dataclass(frozen=True, eq=False)
class LabelLengths:
    """How long the instances of each label are; 0 for a label without any.

    Attributes:
        counts: Number of instances of each label, (K,).
        means: Mean in seconds, (K,).
        deviations: Sample standard deviation in seconds, (K,); 0 for a single instance.
    """

    counts: Ints
    means: Floats
    deviations: Floats


def instances_of_videos(records: Sequence[VideoRecord]) -> list[Instances]:
    """The annotations of each subset."""
    found = []
    for name in in_usual_order({record.subset for record in records}):
        own = [record.annotations for record in records if record.subset == name]
        labels = np.concatenate([np.zeros(0, np.int64), *(one.labels for one in own)])
        seconds = [lengths(one.segments_seconds) for one in own]
        found.append(Instances(name, labels, np.concatenate([np.zeros(0), *seconds])))
    return found


def instances_of_clips(clips: Sequence[ClipRecord]) -> list[Instances]:
    """The labelled clips of each subset, as long as their files if every clip has a path.

    Raises: VideoError with all files that cannot be opened.
    """
    labelled = [clip for clip in clips if clip.label is not None]
    lengths_known = bool(labelled) and all(clip.path is not None for clip in labelled)
    seconds = clip_seconds(labelled) if lengths_known else None
    found = []
    for name in in_usual_order({clip.subset for clip in labelled}):
        rows = [row for row, clip in enumerate(labelled) if clip.subset == name]
        labels = np.array([labelled[row].label for row in rows], dtype=np.int64)
        found.append(Instances(name, labels, None if seconds is None else seconds[rows]))
    return found


def clip_seconds(clips: Sequence[ClipRecord]) -> Floats:
    """Length of the file of each clip, (N,).

    Raises: VideoError with all files that cannot be opened.
    """
    # Not at the top: the decoder is slow to import, and videos do without.
    from mmad.video.index import index_video

    found, problems = np.zeros(len(clips)), []
    for row, clip in enumerate(tracked(clips, "measure", total=len(clips), unit="clips")):
        assert clip.path is not None
        try:
            found[row] = index_video(clip.path).duration_seconds
        except VideoError as error:
            problems.append(str(error))
    raise_problems(VideoError, source="clips", problems=problems)
    return found


def merged(subsets: Sequence[Instances]) -> Instances:
    """The instances of all subsets together."""
    labels = np.concatenate([np.zeros(0, np.int64), *(one.labels for one in subsets)])
    known = [one.seconds for one in subsets if one.seconds is not None]
    seconds = np.concatenate([np.zeros(0), *known]) if len(known) == len(subsets) else None
    return Instances("all", labels, seconds)


def lengths_by_label(instances: Instances, *, num_labels: int) -> LabelLengths:
    """Mean and deviation of the lengths of each label; the lengths must be known.

    >>> found = lengths_by_label(
    ...     Instances("all", np.array([0, 0, 2]), np.array([1.0, 3.0, 5.0])), num_labels=3)
    >>> found.means.tolist(), found.deviations.round(4).tolist()
    ([2.0, 0.0, 5.0], [1.4142, 0.0, 0.0])
    """
    assert instances.seconds is not None
    means, deviations = np.zeros(num_labels), np.zeros(num_labels)
    for label in np.unique(instances.labels).tolist():
        own = instances.seconds[instances.labels == label]
        means[label] = own.mean()
        deviations[label] = own.std(ddof=1) if len(own) > 1 else 0.0
    return LabelLengths(instances.counts(num_labels), means, deviations)
