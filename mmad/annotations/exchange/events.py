"""Coded events: what exchange formats and time budgets know of an annotation or a detection.

`VideoRecord` is what a model is trained and judged with: indices into one label set, segments that
last. Programs for coding behaviour know more (who is seen, who coded, points in time) and use their
own names of behaviours. An `Event` keeps that.
"""

from dataclasses import dataclass


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
    """

    video_id: str
    label: str
    start_seconds: float
    end_seconds: float
    person: str | None = None
    annotator: str | None = None
    score: float | None = None
    comment: str = ""

    @property
    def is_point(self) -> bool:
        """Whether it is a point in time, which no detector can be trained with."""
        return self.end_seconds == self.start_seconds
