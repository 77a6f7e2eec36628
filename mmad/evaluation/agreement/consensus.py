"""Consensus of several annotators, and what they dispute.

Source: MMA-52 paper, Sec. 3.1, "Data Annotation", measure 3 (cross-check): of three annotators, an
instance is reliable where the tIoU of all of theirs is greater than 0.9; inconsistencies are
discussed, and the majority decides.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from mmad.errors import AnnotationError
from mmad.evaluation.agreement.annotators import Annotator, common_videos
from mmad.evaluation.agreement.symmetric_matching import match_both_ways
from mmad.evaluation.detection import annotation_rows
from mmad.evaluation.matching import Rows
from mmad.segments import tiou as tiou_of
from mmad.structures import Annotations, Floats

RELIABLE_TIOU = 0.9
MAJORITY_TIOU = 0.5


@dataclass(frozen=True)
class DisputedInstance:
    """An instance that no majority has annotated.

    Attributes:
        video_id: Id of the video.
        label: Label index.
        start_seconds: Mean over those who have it.
        end_seconds: Mean over those who have it.
        seen_by: Names of the annotators who have it.
        missed_by: Names of the others.
    """

    video_id: str
    label: int
    start_seconds: float
    end_seconds: float
    seen_by: tuple[str, ...]
    missed_by: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Consensus:
    """What annotators agree on.

    Attributes:
        annotations: Agreed annotations of each video that all have annotated, in order of start.
        num_reliable: Number of instances that all have, above the high tIoU.
        num_majority: Number of the other instances that are kept.
        disputed: Instances that are not kept.
    """

    annotations: Mapping[str, Annotations]
    num_reliable: int
    num_majority: int
    disputed: tuple[DisputedInstance, ...]


def find_consensus(
    annotators: Mapping[str, Annotator],
    *,
    reliable_tiou: float = RELIABLE_TIOU,
    majority_tiou: float = MAJORITY_TIOU,
) -> Consensus:
    """The instances that all annotators or most of them have, with averaged boundaries.

    Annotations of one label, at most one of each annotator, are one instance if each two of them
    have a tIoU of at least ``majority_tiou``. They are grouped by descending tIoU, so the order of
    the annotators makes no difference. One that all have, with each tIoU above ``reliable_tiou``,
    is reliable; another is kept if more than half of the annotators have it, and disputed if not.

    Differs: the paper's annotators discuss what is not reliable; here they only vote, two
    annotations are the same instance from ``majority_tiou`` on, and boundaries are averaged, none
    of which the paper specifies. Two annotators, or more than three, are possible: of two, both are
    the majority.

    Raises: AnnotationError if there are fewer than two annotators, no video is common to all, or a
        tIoU is not above 0 and at most 1.
    """
    for value in (reliable_tiou, majority_tiou):
        if not 0 < value <= 1:
            raise AnnotationError(f"tIoU: expected a number above 0 and at most 1, found {value}")
    names = tuple(annotators)
    videos, _ = common_videos(annotators)
    of_each = [
        annotation_rows([(i, annotations[video]) for i, video in enumerate(videos)])
        for annotations in annotators.values()
    ]
    owners = np.repeat(np.arange(len(names)), [len(rows) for rows in of_each])
    rows = Rows(
        np.concatenate([one.segments for one in of_each]),
        np.concatenate([one.labels for one in of_each]),
        np.concatenate([one.videos for one in of_each]),
        np.zeros(len(owners)),
    )
    kept: dict[str, list[tuple[float, float, int]]] = {video: [] for video in videos}
    disputed = []
    num_reliable = num_majority = 0
    for group in _groups(of_each, rows, owners, tiou=majority_tiou):
        start, end = rows.segments[group].mean(axis=0).tolist()
        video, label = videos[rows.videos[group[0]]], int(rows.labels[group[0]])
        if 2 * len(group) > len(names):
            overlaps = tiou_of(rows.segments[group], rows.segments[group])
            is_reliable = len(group) == len(names) and overlaps.min() > reliable_tiou
            num_reliable += is_reliable
            num_majority += not is_reliable
            kept[video].append((start, end, label))
            continue
        seen = {int(owners[row]) for row in group}
        seen_by = tuple(name for i, name in enumerate(names) if i in seen)
        missed_by = tuple(name for i, name in enumerate(names) if i not in seen)
        disputed.append(DisputedInstance(video, label, start, end, seen_by, missed_by))
    place = {video: i for i, video in enumerate(videos)}
    disputed.sort(key=lambda one: (place[one.video_id], one.start_seconds, one.label))
    return Consensus(
        annotations={video: _annotations(instances) for video, instances in kept.items()},
        num_reliable=int(num_reliable),
        num_majority=int(num_majority),
        disputed=tuple(disputed),
    )


def _annotations(instances: list[tuple[float, float, int]]) -> Annotations:
    instances = sorted(instances)
    return Annotations(
        np.array([(start, end) for start, end, _ in instances]),
        np.array([label for _, _, label in instances], dtype=np.int64),
    )


def _groups(of_each: list[Rows], rows: Rows, owners: np.ndarray, *, tiou: float) -> list[list[int]]:
    """Groups of rows that are one instance; every row is in one group."""
    groups = {row: [row] for row in range(len(rows))}
    for one, other in _links(of_each, rows, tiou=tiou):
        mine, theirs = groups[one], groups[other]
        if {int(owners[row]) for row in mine} & {int(owners[row]) for row in theirs}:
            continue
        if tiou_of(rows.segments[mine], rows.segments[theirs]).min() < tiou:
            continue
        mine += theirs
        for row in theirs:
            groups[row] = mine
    return [group for row, group in groups.items() if row == group[0]]


def _links(of_each: list[Rows], rows: Rows, *, tiou: float) -> list[tuple[int, int]]:
    """Matched rows of every two annotators, by descending tIoU; the earlier first on ties."""
    offsets = np.cumsum([0, *map(len, of_each)]).tolist()
    found: list[tuple[float, Floats, int, int]] = []
    for a, b in combinations(range(len(of_each)), 2):
        matched = match_both_ways(of_each[a], of_each[b], tiou=tiou)
        for in_a, in_b, overlap in zip(*(values.tolist() for values in matched), strict=True):
            one, other = offsets[a] + in_a, offsets[b] + in_b
            times = np.sort(rows.segments[[one, other]], axis=0)
            found.append((overlap, times, one, other))
    found.sort(key=lambda link: (-link[0], *link[1].ravel().tolist()))
    return [(one, other) for _, _, one, other in found]
