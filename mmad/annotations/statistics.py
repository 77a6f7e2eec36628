"""Statistics of annotations: size, durations, overlap, classes.

Source: the columns of Table 1 of the MMA-52 paper. The paper counted every video at 30 frames per
second although a fifth of them have 29; so lengths are given both in true seconds and as frames /
30.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mmad.labels import LabelMap
from mmad.segments import intersections, lengths
from mmad.structures import ClipRecord, VideoRecord

PAPER_FPS = 30.0
PERCENTILES = (5, 25, 50, 75, 95)
# Two segments that only touch, up to the rounding of seconds, do not overlap.
_TOUCHING_SECONDS = 1e-6
_EMPTY = np.zeros(0, dtype=np.int64)
_Key = TypeVar("_Key", str, int)


@dataclass(frozen=True)
class LengthStatistics:
    """Lengths in seconds; every number is 0 for an empty set.

    Attributes:
        total_seconds: Sum.
        mean_seconds: Mean.
        std_seconds: Sample standard deviation.
        min_seconds: Minimum.
        max_seconds: Maximum.
        percentiles_seconds: 5th, 25th, 50th (median), 75th and 95th percentile, by that number.
    """

    total_seconds: float
    mean_seconds: float
    std_seconds: float
    min_seconds: float
    max_seconds: float
    percentiles_seconds: dict[int, float]

    @property
    def median_seconds(self) -> float:
        """The 50th percentile."""
        return self.percentiles_seconds[50]


@dataclass(frozen=True)
class OverlapStatistics:
    """How instances of the same video overlap.

    Attributes:
        num_instances: Number of instances that overlap another one.
        num_instances_same_class: Number that overlap another one of their class.
        num_instances_same_parent: Number that overlap another one of their body part; None for a
            label set without body parts.
        num_pairs: Number of overlapping pairs.
        num_pairs_same_class: Number of overlapping pairs of the same class.
        num_videos: Number of videos with an overlapping pair.
        videos_by_concurrency: Number of videos by their maximum number of simultaneous instances.
        share_covered: Share of all video time covered by at least one instance.
        share_covered_twice: Share of all video time covered by at least two.
        class_pairs: Number of overlapping pairs by their two classes (lower index first), most
            frequent first.
    """

    num_instances: int
    num_instances_same_class: int
    num_instances_same_parent: int | None
    num_pairs: int
    num_pairs_same_class: int
    num_videos: int
    videos_by_concurrency: dict[int, int]
    share_covered: float
    share_covered_twice: float
    class_pairs: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class SubsetStatistics:
    """Statistics of one subset, or of all.

    Attributes:
        name: Name of the subset, or "all".
        num_videos: Number of videos.
        num_instances: Number of annotated instances.
        num_subjects: Number of different subjects; None if the subject of any video is not known.
        videos_by_fps: Number of videos by frame rate; empty if none is known.
        videos: Durations of the videos.
        instances: Durations of the instances.
        videos_at_30fps: Durations of the videos as frames / 30; None if frames are not known.
        instances_at_30fps: Durations of the instances as frames / 30; None if frames are not known.
        share_under_1_second: Share of instances shorter than a second.
        num_starting_at_0: Number of instances that start with their video.
        videos_by_num_instances: Number of videos by their number of instances.
        overlap: How instances overlap.
        class_counts: Number of instances of each label.
        parent_counts: Number of instances of each body part; empty for a label set without body
            parts.
    """

    name: str
    num_videos: int
    num_instances: int
    num_subjects: int | None
    videos_by_fps: dict[str, int]
    videos: LengthStatistics
    instances: LengthStatistics
    videos_at_30fps: LengthStatistics | None
    instances_at_30fps: LengthStatistics | None
    share_under_1_second: float
    num_starting_at_0: int
    videos_by_num_instances: dict[int, int]
    overlap: OverlapStatistics
    class_counts: tuple[int, ...]
    parent_counts: tuple[int, ...]


def describe_records(
    records: Sequence[VideoRecord], *, labels: LabelMap
) -> tuple[SubsetStatistics, ...]:
    """Statistics of each subset, train, val and test first, and of all if there are several."""
    names = in_usual_order({record.subset for record in records})
    found = []
    for name in names:
        chosen = [record for record in records if record.subset == name]
        found.append(describe_subset(chosen, name, labels=labels))
    if len(names) != 1:
        found.append(describe_subset(records, "all", labels=labels))
    return tuple(found)


def in_usual_order(subsets: Iterable[str]) -> list[str]:
    """The names of subsets: train, val, test, then others.

    >>> in_usual_order(["extra", "test", "train"])
    ['train', 'test', 'extra']
    """
    order = {"train": 0, "val": 1, "test": 2}
    return sorted(subsets, key=lambda name: (order.get(name, 3), name))


def describe_subset(
    records: Sequence[VideoRecord], name: str, *, labels: LabelMap
) -> SubsetStatistics:
    """Statistics of ``records`` taken together."""
    all_labels = np.concatenate([_EMPTY, *(record.annotations.labels for record in records)])
    instance_seconds = _instance_lengths(records)
    starts = [record.annotations.segments_seconds[:, 0] for record in records]
    subjects = {record.subject for record in records}
    frames_known = all(record.fps and record.num_frames for record in records)
    return SubsetStatistics(
        name=name,
        num_videos=len(records),
        num_instances=len(all_labels),
        num_subjects=None if None in subjects else len(subjects),
        videos_by_fps=_counts(f"{record.fps:g}" for record in records if record.fps),
        videos=_describe_lengths([record.duration_seconds for record in records]),
        instances=_describe_lengths(instance_seconds),
        videos_at_30fps=(
            _describe_lengths([(record.num_frames or 0) / PAPER_FPS for record in records])
            if frames_known
            else None
        ),
        instances_at_30fps=(
            _describe_lengths(_instance_lengths_at_30fps(records)) if frames_known else None
        ),
        share_under_1_second=_share(int((instance_seconds < 1.0).sum()), len(all_labels)),
        num_starting_at_0=int(sum((start == 0).sum() for start in starts)),
        videos_by_num_instances=_counts(len(record.annotations) for record in records),
        overlap=_describe_overlap(records, labels=labels),
        class_counts=_label_counts(all_labels, num_labels=len(labels)),
        parent_counts=(
            _label_counts(labels.to_parents(all_labels), num_labels=len(labels.parent_names))
            if labels.has_parents
            else ()
        ),
    )


@dataclass(frozen=True)
class ClipStatistics:
    """Statistics of a list of clips.

    Attributes:
        name: Name of the subset.
        num_clips: Number of clips.
        num_unlabelled: Number of clips without a label.
        class_counts: Number of clips of each label.
        parent_counts: Number of clips of each body part; empty for a label set without body parts.
    """

    name: str
    num_clips: int
    num_unlabelled: int
    class_counts: tuple[int, ...]
    parent_counts: tuple[int, ...]


def describe_clips(clips: Sequence[ClipRecord], *, labels: LabelMap) -> ClipStatistics:
    """Statistics of the clips of one list."""
    known = np.array([clip.label for clip in clips if clip.label is not None], dtype=np.int64)
    return ClipStatistics(
        name=clips[0].subset if clips else "",
        num_clips=len(clips),
        num_unlabelled=len(clips) - len(known),
        class_counts=_label_counts(known, num_labels=len(labels)),
        parent_counts=(
            _label_counts(labels.to_parents(known), num_labels=len(labels.parent_names))
            if labels.has_parents
            else ()
        ),
    )


def _instance_lengths(records: Sequence[VideoRecord]) -> NDArray[np.float64]:
    return np.concatenate(
        [np.zeros(0), *(lengths(record.annotations.segments_seconds) for record in records)]
    )


def _instance_lengths_at_30fps(records: Sequence[VideoRecord]) -> NDArray[np.float64]:
    """Duration of every instance as whole frames / 30; the frame rates must be known."""
    # Seconds are rounded in JSON files; the nearest frames are the annotated ones.
    frames = [
        np.round(record.annotations.segments_seconds * (record.fps or 0)) for record in records
    ]
    return np.concatenate([np.zeros(0), *(lengths(one) for one in frames)]) / PAPER_FPS


def _describe_lengths(seconds: Sequence[float] | NDArray[np.float64]) -> LengthStatistics:
    values = np.asarray(seconds, dtype=np.float64)
    if not len(values):
        return LengthStatistics(0.0, 0.0, 0.0, 0.0, 0.0, dict.fromkeys(PERCENTILES, 0.0))
    return LengthStatistics(
        total_seconds=float(values.sum()),
        mean_seconds=float(values.mean()),
        std_seconds=float(values.std(ddof=1)) if len(values) > 1 else 0.0,
        min_seconds=float(values.min()),
        max_seconds=float(values.max()),
        percentiles_seconds={
            percent: float(np.percentile(values, percent)) for percent in PERCENTILES
        },
    )


def _describe_overlap(records: Sequence[VideoRecord], *, labels: LabelMap) -> OverlapStatistics:
    pairs: Counter[tuple[int, int]] = Counter()
    concurrency: Counter[int] = Counter()
    num_any = num_class = num_parent = num_videos = 0
    covered = covered_twice = 0.0
    for record in records:
        instances = record.annotations
        overlapping = (
            intersections(instances.segments_seconds, instances.segments_seconds)
            > _TOUCHING_SECONDS
        )
        np.fill_diagonal(overlapping, False)
        same_class = instances.labels[:, None] == instances.labels[None, :]
        num_any += int(overlapping.any(axis=1).sum())
        num_class += int((overlapping & same_class).any(axis=1).sum())
        if labels.has_parents:
            parents = labels.to_parents(instances.labels)
            same_parent = parents[:, None] == parents[None, :]
            num_parent += int((overlapping & same_parent).any(axis=1).sum())
        num_videos += bool(overlapping.any())
        for one, two in np.argwhere(np.triu(overlapping)):
            first, second = sorted((int(instances.labels[one]), int(instances.labels[two])))
            pairs[first, second] += 1
        seconds_at_depth = time_by_depth(instances.segments_seconds)
        concurrency[max(seconds_at_depth, default=0)] += 1
        covered += sum(seconds_at_depth.values())
        covered_twice += sum(s for depth, s in seconds_at_depth.items() if depth >= 2)
    total_seconds = sum(record.duration_seconds for record in records)
    return OverlapStatistics(
        num_instances=num_any,
        num_instances_same_class=num_class,
        num_instances_same_parent=num_parent if labels.has_parents else None,
        num_pairs=pairs.total(),
        num_pairs_same_class=sum(count for (one, two), count in pairs.items() if one == two),
        num_videos=num_videos,
        videos_by_concurrency=dict(sorted(concurrency.items())),
        share_covered=_share(covered, total_seconds),
        share_covered_twice=_share(covered_twice, total_seconds),
        class_pairs=tuple(
            (one, two, count)
            for (one, two), count in sorted(pairs.items(), key=lambda item: (-item[1], item[0]))
        ),
    )


def time_by_depth(segments_seconds: NDArray[np.float64]) -> dict[int, float]:
    """Seconds that are covered by exactly 1, 2, ... segments, by that number.

    >>> time_by_depth(np.array([[0.0, 4.0], [3.0, 6.0], [6.0, 7.0]]))
    {1: 6.0, 2: 1.0}
    """
    times = np.unique(segments_seconds)
    seconds: dict[int, float] = {}
    for start, end in pairwise(times):
        if end - start <= _TOUCHING_SECONDS:
            continue
        middle = (start + end) / 2
        depth = int(((segments_seconds[:, 0] < middle) & (middle < segments_seconds[:, 1])).sum())
        if depth:
            seconds[depth] = seconds.get(depth, 0.0) + float(end - start)
    return dict(sorted(seconds.items()))


def _label_counts(labels: NDArray[np.int64], *, num_labels: int) -> tuple[int, ...]:
    return tuple(int(count) for count in np.bincount(labels, minlength=num_labels))


def _counts(values: Iterable[_Key]) -> dict[_Key, int]:
    return dict(sorted(Counter(values).items()))


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
