"""Coded events: what exchange formats and time budgets know of an annotation or a detection.

`VideoRecord` is what a model is trained and judged with: indices into one label set, segments that
last. Programs for coding behaviour know more (who is seen, who coded, points in time) and use their
own names of behaviours. An `Event` keeps that, and an `EventFile` what a file says around it.
"""

from dataclasses import dataclass
from pathlib import Path

from mmad.annotations.problems import Problem


@dataclass(frozen=True)
class Event:
    """A behaviour that was coded by a person or found by a model.

    Attributes:
        video_id: The video.
        label: The behaviour, by the name that its file gives it.
        start_seconds: Start in seconds from the first image of the video.
        end_seconds: End; equal to the start for a point event.
        person: Who is seen (the subject of BORIS), or None.
        annotator: Who coded it, or the model that found it, or None.
        score: Score of a detection; None if a person coded it.
        comment: Free text beside it, or "".
        modifiers: What BORIS calls modifiers: more about the behaviour, separated by ``|``, or "".
    """

    video_id: str
    label: str
    start_seconds: float
    end_seconds: float
    person: str | None = None
    annotator: str | None = None
    score: float | None = None
    comment: str = ""
    modifiers: str = ""

    @property
    def is_point(self) -> bool:
        """Whether it is a point in time, which no detector can be trained with."""
        return self.end_seconds == self.start_seconds


@dataclass(frozen=True)
class CodedVideo:
    """What a file says of a video, with events or without.

    Attributes:
        video_id: Id, as in its events.
        media: The path of its media file as it is written in the file, or "".
        duration_seconds: Length, if the file states it.
        fps: Frame rate, if the file states it.
        subset: ``train``, ``val``, ``test`` or another name, or "".
    """

    video_id: str
    media: str = ""
    duration_seconds: float | None = None
    fps: float | None = None
    subset: str = ""


@dataclass(frozen=True)
class EventFile:
    """The coded events of a file.

    Attributes:
        path: The file.
        format: Name of its format, as in `FORMATS`.
        events: Events in the order of the file.
        places: Where each event is in the file, such as ``line 7``.
        videos: Each video once, in the order of the file.
        labels: Behaviours that the file defines besides those of its events.
        notices: What was assumed, changed or left out, one sentence each.
        problems: What cannot be right, each with its place.
    """

    path: Path
    format: str
    events: tuple[Event, ...] = ()
    places: tuple[str, ...] = ()
    videos: tuple[CodedVideo, ...] = ()
    labels: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
