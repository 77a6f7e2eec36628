"""What a time budget is made of: observations, and the events in them.

Shapes: U observations, N events.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mmad.annotations.exchange.events import Event
from mmad.annotations.labels.choice import labels_of_names
from mmad.annotations.validation import OutOfVideo
from mmad.errors import AnnotationError
from mmad.evaluation.budget.conditions import Conditions
from mmad.evaluation.budget.summaries import unions
from mmad.labels import MA52, LabelMap
from mmad.structures import Floats, Ints
from mmad.wording import count

# Times of events and lengths of videos are rounded differently by different programs.
_TOLERANCE_SECONDS = 0.1


@dataclass(frozen=True, eq=False)
class Coding:
    """Observations, each of one person in one video, and the events in them.

    Attributes:
        videos: Id of the video of each observation, (U,).
        persons: Its person, (U,); "" where the files name none.
        seconds: Observed time: the length of the video, (U,).
        conditions: Value of each condition in each observation, (U,).
        labels: The behaviours.
        segments: Start and end of each event in seconds, (N, 2), sorted by observation and start.
        behaviours: Its label index, (N,).
        observations: Index of its observation, (N,).
        notices: What was assumed or left out, one sentence each.
    """

    videos: tuple[str, ...]
    persons: tuple[str, ...]
    seconds: Floats
    conditions: Mapping[str, tuple[str, ...]]
    labels: LabelMap
    segments: Floats
    behaviours: Ints
    observations: Ints
    notices: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.videos)

    @property
    def has_persons(self) -> bool:
        """Whether any person is named."""
        return any(self.persons)

    def of_body_parts(self) -> "Coding":
        """The same events with their body parts as behaviours."""
        return replace(
            self, labels=self.labels.parent_map, behaviours=self.labels.to_parents(self.behaviours)
        )

    @property
    def cells(self) -> Ints:
        """One number for observation and behaviour of each event, (N,)."""
        return self.observations * len(self.labels) + self.behaviours

    def unions(self) -> tuple[Floats, Ints, Ints]:
        """Time in which a behaviour is shown: segments, their behaviours and observations.

        Overlapping events of one behaviour and one person are joined, so nothing counts twice.
        """
        segments, cells = unions(self.segments, self.cells)
        observations, behaviours = np.divmod(cells, max(len(self.labels), 1))
        return segments, behaviours, observations


def make_coding(
    events: Sequence[Event],
    *,
    seconds: Mapping[str, float | None],
    conditions: Conditions | None = None,
    out_of_video: OutOfVideo = "error",
    labels: LabelMap | None = None,
) -> Coding:
    """The observations of all videos in ``seconds``, also of those without events.

    Every person whom the events or the table of conditions name in a video is one observation of
    it; a video without names is one observation of "".

    Args:
        events: The events.
        seconds: Length of each video, None where no file states it.
        conditions: Persons, conditions and lengths of videos.
        out_of_video: Events that are not fully inside their video are an "error", cut ("clip"), or
            left out ("drop").
        labels: The behaviours; by default the names that events have, in order.

    Raises: AnnotationError if the length of a video is unknown, events are outside their video, or
        the table lacks a video or a person.
    """
    table = conditions or Conditions()
    lengths = _lengths(seconds, table)
    persons: dict[str, dict[str, None]] = {video: {} for video in lengths}
    named = [_person(event, table) for event in events]
    for event, person in zip(events, named, strict=True):
        persons[event.video_id][person] = None
    for video, found in persons.items():
        found.update(dict.fromkeys(table.persons_of(video)))
        if not found:
            found[""] = None
    pairs = [(video, person) for video, found in persons.items() for person in found]
    place = {pair: index for index, pair in enumerate(pairs)}
    columns = table.values_of(pairs)
    kept, segments, notices = _inside(events, lengths, out_of_video)
    labels = labels or _labels_of({event.label for event in events})
    index = {name: labels.index(name) for name in {event.label for event in events}}
    behaviours = np.array([index[events[i].label] for i in kept], dtype=np.int64)
    observations = np.array([place[events[i].video_id, named[i]] for i in kept], dtype=np.int64)
    order = np.lexsort((behaviours, segments[:, 1], segments[:, 0], observations))
    coding = Coding(
        videos=tuple(video for video, _ in pairs),
        persons=tuple(person for _, person in pairs),
        seconds=np.array([lengths[video] for video, _ in pairs]),
        conditions=columns,
        labels=labels,
        segments=segments[order],
        behaviours=behaviours[order],
        observations=observations[order],
        notices=(*table.notices(lengths), *notices),
    )
    if number := len(coding.segments) - len(coding.unions()[0]):
        told = (
            f"{count(number, 'event', 'has')} an earlier one of the same behaviour and person at "
            "the same time; time that several share counts once in totals and shares of time"
        )
        coding = replace(coding, notices=(*coding.notices, told))
    return coding


def _labels_of(names: Collection[str]) -> LabelMap:
    """The names in alphabetical order; micro-actions in their own."""
    if set(names) <= set(MA52.names):
        return labels_of_names(sorted(names, key=MA52.names.index))
    return labels_of_names(sorted(names))


def _person(event: Event, table: Conditions) -> str:
    """The person of an event; the only one in the table where none is named."""
    if event.person:
        return event.person
    known = table.persons_of(event.video_id)
    return known[0] if len(known) == 1 else ""


def _lengths(seconds: Mapping[str, float | None], table: Conditions) -> dict[str, float]:
    found = {video: table.seconds_of(video) or known for video, known in seconds.items()}
    unknown = [video for video, known in found.items() if not known]
    if unknown:
        more = ", ..." if len(unknown) > 5 else ""
        raise AnnotationError(
            f"the length of {count(len(unknown), 'video')} is unknown ({', '.join(unknown[:5])}"
            f"{more}), so there are no rates or shares of time; pass --videos FOLDER with the "
            "videos, or a column duration_seconds in --conditions"
        )
    return {video: known for video, known in found.items() if known}


def _inside(
    events: Sequence[Event], lengths: Mapping[str, float], out_of_video: OutOfVideo
) -> tuple[list[int], Floats, tuple[str, ...]]:
    """Indices of the events that count, their segments (N, 2), and what was changed."""
    segments = np.array(
        [(event.start_seconds, event.end_seconds) for event in events], dtype=np.float64
    ).reshape(-1, 2)
    ends = np.array([lengths[event.video_id] for event in events])
    is_off = (segments[:, 0] < -_TOLERANCE_SECONDS) | (segments[:, 1] > ends + _TOLERANCE_SECONDS)
    if is_off.any() and out_of_video == "error":
        problems = [
            f"{events[i].label} from {events[i].start_seconds:g} to {events[i].end_seconds:g} s "
            f"in the {ends[i]:g} s of {events[i].video_id}"
            for i in np.flatnonzero(is_off).tolist()
        ]
        told = ", ".join(problems[:5]) + (", ..." if len(problems) > 5 else "")
        raise AnnotationError(
            f"{count(len(problems), 'event', 'is')} not inside the video: {told}; to cut such "
            "events, or leave them out, pass --out-of-video clip or drop"
        )
    is_kept = ~is_off if out_of_video == "drop" else segments[:, 0] <= ends + _TOLERANCE_SECONDS
    notices = []
    if is_off.any():
        done = "left out" if out_of_video == "drop" else "cut at its ends"
        notices.append(f"{count(int(is_off.sum()), 'event')} not inside the video: {done}")
    segments = np.clip(segments, 0.0, ends[:, None])
    return np.flatnonzero(is_kept).tolist(), segments[is_kept], tuple(notices)
