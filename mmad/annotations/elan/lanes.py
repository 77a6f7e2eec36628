"""Lanes: annotations on one tier of ELAN must not overlap, so each body part has several."""

from collections.abc import Hashable, Sequence
from typing import TypeVar

import numpy as np

from mmad.labels import LabelMap
from mmad.segments import assign_lanes

Group = TypeVar("Group", bound=Hashable)

# Of a label set without body parts.
ONE_GROUP = "action"


def whole_milliseconds(segments_seconds: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """Start and end of each segment in milliseconds, the end at least one after the start.

    >>> whole_milliseconds([[0.1004, 0.1004], [1.0, 2.5]])
    [(100, 101), (1000, 2500)]
    """
    found = []
    for start, end in segments_seconds:
        first = max(0, round(float(start) * 1000))
        found.append((first, max(first + 1, round(float(end) * 1000))))
    return found


def group_names(labels: LabelMap, indices: Sequence[int]) -> list[str]:
    """The body part of each label; one group for labels without body parts.

    >>> from mmad.labels import MA52
    >>> group_names(MA52, [9, 0])
    ['head', 'body']
    """
    if not labels.has_parents:
        return [ONE_GROUP] * len(indices)
    parents = labels.to_parents(np.asarray(indices, dtype=np.int64))
    return [labels.parent_names[parent] for parent in parents.tolist()]


def lanes_of(
    groups: Sequence[Group], milliseconds: Sequence[tuple[int, int]]
) -> dict[tuple[Group, int], list[int]]:
    """The positions in each lane of each group, from lane 1, in order of start.

    In order of start, each goes to the lowest free lane; so a group has only as many lanes as
    there are at one time. Groups come in the order of their first position.

    >>> lanes_of(["head", "head", "body"], [(0, 2), (1, 3), (1, 2)])
    {('head', 1): [0], ('head', 2): [1], ('body', 1): [2]}
    """
    members: dict[Group, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    found: dict[tuple[Group, int], list[int]] = {}
    for group, indices in members.items():
        indices.sort(key=lambda index: milliseconds[index])
        places = assign_lanes([milliseconds[index] for index in indices])
        by_lane: dict[int, list[int]] = {}
        for lane, index in zip(places, indices, strict=True):
            by_lane.setdefault(lane, []).append(index)
        found |= {(group, lane + 1): mine for lane, mine in sorted(by_lane.items())}
    return found
