"""Events in lanes: tiers that hold one thing at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mmad.annotations.exchange.events import Event
from mmad.segments import assign_lanes


@dataclass(frozen=True)
class Lane:
    """Events of a person that do not overlap, in order of time.

    Attributes:
        person: The person, or None.
        number: 1 for the first lane of its person.
        is_points: Whether all of them are points; else none is.
        events: The events.
    """

    person: str | None
    number: int
    is_points: bool
    events: tuple[Event, ...]


def lanes_of(
    events: Sequence[Event],
    *,
    key: Callable[[Event], object] = lambda event: event.person,
    decimals: int = 9,
    is_apart: Callable[[Event], bool] = lambda event: event.is_point,
) -> list[Lane]:
    """The events of each person in as few lanes as possible; points, and states, by themselves.

    Args:
        events: Events of one video.
        key: What must not overlap within a lane, besides the person.
        decimals: Decimals of seconds that the format keeps.
        is_apart: Whether an event is kept apart as a point; all points by default.
    """
    groups: dict[tuple[object, str | None, bool], list[Event]] = {}
    for event in events:
        groups.setdefault((key(event), event.person, is_apart(event)), []).append(event)
    found = []
    for (_, person, is_points), group in groups.items():
        group.sort(key=lambda event: (event.start_seconds, event.end_seconds))
        spans = [
            (round(event.start_seconds, decimals), round(event.end_seconds, decimals))
            for event in group
        ]
        # Two points at the same time need two lanes, as states that begin at the same time do.
        step = 0.5 * 10.0**-decimals if is_points else 0.0
        numbers = assign_lanes([(start, end + step) for start, end in spans])
        for number in sorted(set(numbers)):
            mine = tuple(one for one, its in zip(group, numbers, strict=True) if its == number)
            found.append(Lane(person, number + 1, is_points, mine))
    return found
