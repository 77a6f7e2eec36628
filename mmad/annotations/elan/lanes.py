"""Lanes: annotations on one tier of ELAN must not overlap, so each body part has several."""

from dataclasses import dataclass

from mmad.annotations.elan.document import TIER_PREFIX
from mmad.labels import LabelMap
from mmad.segments import assign_lanes
from mmad.structures import Detections


@dataclass(frozen=True)
class Lane:
    """Detections of one tier, which do not overlap.

    Attributes:
        tier: Name of the tier.
        indices: positions in the detections, in order of start.
    """

    tier: str
    indices: tuple[int, ...]


def whole_milliseconds(detections: Detections) -> list[tuple[int, int]]:
    """Start and end of each detection in milliseconds, the end at least one after the start.

    >>> whole_milliseconds(Detections([[0.1004, 0.1004], [1.0, 2.5]], [0, 0], [1.0, 1.0]))
    [(100, 101), (1000, 2500)]
    """
    found = []
    for start, end in detections.segments_seconds:
        first = max(0, round(float(start) * 1000))
        found.append((first, max(first + 1, round(float(end) * 1000))))
    return found


def tiers_of(detections: Detections, *, labels: LabelMap) -> list[Lane]:
    """The detections of each body part, in as few lanes as possible without overlap in a lane.

    A label set without body parts is one group, "action". In order of start, each detection goes
    to the lowest free lane; so there are only as many lanes as simultaneous detections.

    >>> from mmad.labels import MA52
    >>> found = Detections([[0, 2], [1, 3], [2, 4]], [9, 10, 9], [0.9, 0.8, 0.7])
    >>> [(lane.tier, lane.indices) for lane in tiers_of(found, labels=MA52)]
    [('mmad:head:1', (0, 2)), ('mmad:head:2', (1,))]
    """
    milliseconds = whole_milliseconds(detections)
    groups: dict[int, list[int]] = {}
    parents = labels.to_parents(detections.labels) if labels.has_parents else [0] * len(detections)
    for index, parent in enumerate(parents):
        groups.setdefault(int(parent), []).append(index)
    lanes = []
    for parent, indices in sorted(groups.items()):
        name = labels.parent_names[parent] if labels.has_parents else "action"
        indices.sort(key=lambda index: milliseconds[index])
        by_lane: dict[int, list[int]] = {}
        places = assign_lanes([milliseconds[index] for index in indices])
        for lane, index in zip(places, indices, strict=True):
            by_lane.setdefault(lane, []).append(index)
        lanes += [
            Lane(f"{TIER_PREFIX}{name}:{lane + 1}", tuple(mine))
            for lane, mine in sorted(by_lane.items())
        ]
    return lanes
