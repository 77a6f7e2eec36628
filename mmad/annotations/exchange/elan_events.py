"""Events from and to ELAN files, by the readers and writers of `mmad.annotations.elan`."""

from dataclasses import replace
from pathlib import Path

from mmad.annotations.elan.choice import ElanChoice
from mmad.annotations.elan.events import read_elan_events, write_elan_events
from mmad.annotations.exchange.coding import extras_of, with_extras
from mmad.annotations.exchange.events import CodedVideo, Event, EventFile
from mmad.video.find import SUFFIXES

NAME = "elan"


def read_elan_file(path: Path, *, choice: ElanChoice | None = None) -> EventFile:
    """The events of an ELAN file; those of a person, or those of the model if there are no others.

    Raises: AnnotationError if it is not an ELAN file.
    """
    found = read_elan_events(path, choice=choice)
    return EventFile(
        path=path,
        format=NAME,
        events=tuple(_with_modifiers(event) for event in found.events),
        places=tuple(f"annotation at {event.start_seconds:.3f} s" for event in found.events),
        videos=(CodedVideo(found.video_id, str(found.video or "")),),
        labels=found.labels,
        notices=found.notices,
    )


def _with_modifiers(event: Event) -> Event:
    """The event with the modifiers that `write_elan_file` has put into its comment."""
    extras = extras_of(event.comment)
    if "modifiers" not in extras:
        return event
    return replace(event, comment=str(extras["comment"]), modifiers=str(extras["modifiers"]))


def write_elan_file(
    path: str | Path, file: EventFile, *, fps: float | None = None
) -> tuple[str, ...]:
    """Write the events of one video as an ELAN file, in place of an existing one."""
    video_id = file.videos[0].video_id if file.videos else None
    media = file.videos[0].media if file.videos else ""
    video = Path(media)
    linked = video if video.suffix.lower() in SUFFIXES and video.is_file() else None
    # ELAN has no modifiers of BORIS: they go into the comment.
    events = [
        replace(event, comment=with_extras(event, without=("score", "by"))) for event in file.events
    ]
    return write_elan_events(Path(path), events, video=linked, video_id=video_id, overwrite=True)
