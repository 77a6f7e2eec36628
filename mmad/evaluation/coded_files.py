"""Coded events of one file, with the choices that commands offer."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mmad.annotations.elan.choice import ElanChoice
from mmad.annotations.exchange.elan_events import NAME as ELAN
from mmad.annotations.exchange.events import EventFile
from mmad.annotations.exchange.reading import read_events
from mmad.annotations.format_table import FORMATS, detect_format
from mmad.annotations.labels.changes import LabelChanges
from mmad.annotations.labels.choice import LabelChoice
from mmad.annotations.problems import OUTSIDE_VIDEO, raise_annotation_problems
from mmad.annotations.validation import OutOfVideo
from mmad.errors import AnnotationError
from mmad.labels import LabelMap


def has_coded_events(path: Path, *, with_elan: bool = False) -> bool:
    """Whether a file is of a program for coding behaviour, with points and persons.

    Raises: AnnotationError if it is in no known format.
    """
    if not path.is_file():
        return False
    name = detect_format(path)
    return FORMATS[name].events is not None or (with_elan and name == ELAN)


def read_coded(
    path: Path,
    *,
    labels: LabelMap | LabelChanges | LabelChoice = "auto",
    out_of_video: OutOfVideo = "error",
    annotator: str | None = None,
    elan: ElanChoice | None = None,
    tell: Callable[[str], object],
) -> EventFile:
    """The events of one annotator of a file.

    Args:
        path: The file.
        labels: Label set, or new names of labels.
        out_of_video: With "drop", events that are not inside their video are left out; they are an
            error otherwise.
        annotator: Whose events count, in a file of several annotators.
        elan: Which tiers of an ELAN file are read. Its tiers may be of several annotators.
        tell: Called with each notice.

    Raises: AnnotationError if the file cannot be read, or several annotators have coded a video.
    """
    found = read_events(path, labels=labels, elan=elan, strict=False)
    outside = [one for one in found.problems if one.kind == OUTSIDE_VIDEO]
    others = [one for one in found.problems if one.kind != OUTSIDE_VIDEO]
    raise_annotation_problems(path, others if out_of_video == "drop" else found.problems)
    notices = [*found.notices]
    if outside:
        notices.append(f"{path.name}: {len(outside)} not inside their video: left out")
    for notice in notices:
        tell(notice)
    kept = [
        (event, place)
        for event, place in zip(found.events, found.places, strict=True)
        if annotator in (None, event.annotator)
    ]
    events, places = [one for one, _ in kept], [place for _, place in kept]
    coders: dict[str, str] = {}
    for event in () if found.format == ELAN else events:
        other = coders.setdefault(event.video_id, event.annotator or "")
        if other != (event.annotator or ""):
            raise AnnotationError(
                f"{path}: {other or 'nobody'} and {event.annotator or 'nobody'} have both coded "
                f"{event.video_id}; pass --annotator NAME for one of them, or a file for each"
            )
    if annotator is not None and found.events and not events:
        known = ", ".join(sorted({one.annotator or "nobody" for one in found.events}))
        raise AnnotationError(f"{path}: --annotator {annotator}: found {known}")
    videos = found.videos
    if annotator is not None:  # what only others have coded was not observed
        theirs = {event.video_id for event in found.events} - {event.video_id for event in events}
        videos = tuple(one for one in videos if one.video_id not in theirs)
    return replace(
        found, events=tuple(events), places=tuple(places), videos=videos, notices=tuple(notices)
    )
