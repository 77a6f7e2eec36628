"""Reading coded events in any format."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmad.annotations.elan.choice import ElanChoice
from mmad.annotations.exchange import detections, elan_events
from mmad.annotations.exchange.events import CodedVideo, Event, EventFile
from mmad.annotations.exchange.source import Source
from mmad.annotations.format_table import FORMATS, format_of
from mmad.annotations.formats import find_files, read_annotations
from mmad.annotations.labels.changes import (
    LabelChanges,
    folded,
    spellings,
    told_changes,
    told_spellings,
)
from mmad.annotations.labels.choice import LabelChoice
from mmad.annotations.problems import (
    BAD_VALUE,
    OUTSIDE_VIDEO,
    REVERSED_SEGMENT,
    Problem,
    raise_annotation_problems,
)
from mmad.annotations.validation import OutOfVideo, RawVideo, judge_video
from mmad.annotations.validation import find_label as index_of
from mmad.errors import AnnotationError
from mmad.labels import LabelMap
from mmad.wording import count

_log = logging.getLogger(__name__)
_HALF_FRAME_SECONDS = 0.5 / 30


def read_events(
    path: str | Path,
    *,
    format: str = "auto",
    labels: LabelMap | LabelChoice = "auto",
    fps: float | None = None,
    elan: ElanChoice | None = None,
    out_of_video: OutOfVideo = "error",
    strict: bool = True,
    tell: Callable[[str], object] = _log.warning,
) -> EventFile:
    """The coded events of a file, whatever its format, with what it says of its videos.

    Labels that differ by case or blanks alone are taken for one, with a notice. Points, persons,
    annotators, scores and comments are kept as far as the format has them.

    Args:
        path: The file.
        format: A name in `FORMATS`, or "auto" to detect it by its content.
        labels: `LabelChanges` rename, join or leave out labels; a `LabelMap` names the labels that
            are numbers or codes, and others are a problem; the keywords are those of
            `read_annotations`, for formats with one label set.
        fps: Frame rate, for times in frames without one.
        elan: Which tiers of an ELAN file are read, and in which language.
        out_of_video: An event that is not fully inside its video is an "error", cut ("clip") or
            left out ("drop"); the last two are counted in a notice.
        strict: Whether to raise on any problem; otherwise its events are left out, and it is listed
            in ``problems``.
        tell: Called with each notice, unless ``strict`` is off.

    Raises: AnnotationError with all problems of the file, or if it is in no known format.
    """
    path = Path(path)
    if fps is not None and not 0 < fps < float("inf"):
        raise AnnotationError(f"fps must be a number above 0, found {fps}")
    if format != "auto" and format not in FORMATS:
        raise AnnotationError(
            f"unknown annotation format '{format}'; known: auto, {', '.join(FORMATS)}"
        )
    source = Source(path)
    name = format_of(source) if format == "auto" else format
    entry = FORMATS[name]
    if entry.kind in ("clips", "emotions"):
        raise AnnotationError(f"{path}: a list of {entry.kind} ({name}) has no times")
    if entry.kind == "detections":
        known = labels if isinstance(labels, LabelMap) else None
        found = detections.read_detections(source, fps=fps, labels=known)
        found = _renamed(found, labels=labels if known is None else "auto")
    elif name == elan_events.NAME:
        found = _renamed(elan_events.read_elan_file(path, choice=elan), labels=labels)
    elif entry.events is None:
        found = _events_of_records(
            path, format=name, labels=labels, fps=fps, out_of_video=out_of_video
        )
    else:
        found = _renamed(entry.events(source, fps=fps), labels=labels)
    found = _judged(found if out_of_video == "error" else _mended(found, out_of_video))
    if strict:
        raise_annotation_problems(path, found.problems)
        for notice in found.notices:
            tell(notice)
    return found


def read_event_files(
    paths: str | Path | Sequence[str | Path], **more: Any
) -> tuple[EventFile, ...]:
    """The coded events of each of several files, or of the files of a folder; see `read_events`."""
    return tuple(read_events(path, **more) for path in find_files(paths))


def _events_of_records(
    path: Path,
    *,
    format: str,
    labels: LabelMap | LabelChoice,
    fps: float | None,
    out_of_video: OutOfVideo,
) -> EventFile:
    """The events of a format whose labels are one set."""
    found = read_annotations(
        path, format=format, labels=labels, fps=fps, out_of_video=out_of_video, strict=False
    )
    events = tuple(
        Event(record.video_id, found.labels.names[label], float(start), float(end))
        for record in found.records
        for (start, end), label in zip(
            record.annotations.segments_seconds, record.annotations.labels, strict=True
        )
    )
    return EventFile(
        path=path,
        format=format,
        events=events,
        places=tuple(f"video {event.video_id}" for event in events),
        videos=tuple(
            CodedVideo(
                record.video_id,
                duration_seconds=None
                if record.video_id in found.assumed_lengths
                else record.duration_seconds,
                fps=record.fps,
                subset=record.subset,
            )
            for record in found.records
        ),
        labels=found.labels.names,
        notices=found.notices,
        problems=found.problems,
    )


def _renamed(file: EventFile, *, labels: LabelMap | LabelChoice) -> EventFile:
    """The file with the labels that are asked for, and one spelling of each."""
    notices = list(file.notices)
    problems = list(file.problems)
    new: list[str | None] = [event.label for event in file.events]
    defined = list(file.labels)
    if isinstance(labels, LabelMap):
        defined = list(labels.names)
        for place, event in enumerate(file.events):
            try:
                new[place] = labels.names[index_of(labels, event.label)]
            except KeyError as error:
                problems.append(Problem(BAD_VALUE, f"{file.places[place]}: {error.args[0]}"))
                new[place] = None
    elif isinstance(labels, LabelChanges):
        new = [str(labels.of(event.label)) or None for event in file.events]
        changed = [one != event.label for one, event in zip(new, file.events, strict=True)]
        used = {folded(event.label) for event in file.events} | set(map(folded, defined))
        notices += told_changes(
            labels,
            num_changed=sum(changed),
            num_left_out=new.count(None),
            unused=[name for name in labels.new_names if name not in used],
            source=file.path.name,
        )
        defined = [name for label in defined if (name := str(labels.of(label)))]
    joined = spellings([label for label in new if label], known=defined)
    notices += told_spellings(joined, source=file.path.name)
    kept = [
        (replace(event, label=joined.get(label, label)), where)
        for event, where, label in zip(file.events, file.places, new, strict=True)
        if label
    ]
    return replace(
        file,
        events=tuple(event for event, _ in kept),
        places=tuple(where for _, where in kept),
        labels=tuple(dict.fromkeys(joined.get(name, name) for name in defined)),
        notices=tuple(notices),
        problems=tuple(problems),
    )


def _mended(file: EventFile, how: OutOfVideo) -> EventFile:
    """The file with events that are inside of their videos: cut, or without the others."""
    lengths = {video.video_id: video.duration_seconds for video in file.videos}
    kept = []
    places = []
    for event, where in zip(file.events, file.places, strict=True):
        length = lengths.get(event.video_id)
        end = event.end_seconds if length is None else min(event.end_seconds, length)
        start = max(event.start_seconds, 0.0)
        if (start, end) != (event.start_seconds, event.end_seconds):
            places.append(where)
            if how == "drop" or start >= end:
                continue
            event = replace(event, start_seconds=start, end_seconds=end)
        kept.append((event, where))
    if not places:
        return file
    done = "left out" if how == "drop" else "cut at the ends of its video"
    notice = f"{file.path.name}: {count(len(places), 'event', 'was')} {done}, first {places[0]}"
    return replace(
        file,
        events=tuple(event for event, _ in kept),
        places=tuple(where for _, where in kept),
        notices=(*file.notices, notice),
    )


def _judged(file: EventFile) -> EventFile:
    """The file without the events whose times cannot be right, which become problems."""
    problems = list(file.problems)
    videos = {video.video_id: video for video in file.videos}
    bad = set()
    for video in file.videos:
        length = video.duration_seconds
        found = judge_video(
            RawVideo(video.video_id, 1.0 if length is None else length, "all", fps=video.fps)
        )
        problems += found
        if found:
            bad.add(video.video_id)
    kept = []
    for event, where in zip(file.events, file.places, strict=True):
        problem = None if event.video_id in bad else _problem(event, videos[event.video_id])
        if problem is not None:
            kind, message = problem
            place = f"{where} (video {event.video_id})"
            problems.append(Problem(kind, f"{place}: {message}", event.video_id))
        elif event.video_id not in bad:
            kept.append((event, where))
    return replace(
        file,
        events=tuple(event for event, _ in kept),
        places=tuple(where for _, where in kept),
        problems=tuple(problems),
    )


def _problem(event: Event, video: CodedVideo) -> tuple[str, str] | None:
    start, end, length = event.start_seconds, event.end_seconds, video.duration_seconds
    if end < start:
        return (
            REVERSED_SEGMENT,
            f"reversed segment, starts at {start:.4f} s but ends at {end:.4f} s",
        )
    if start < 0:
        return OUTSIDE_VIDEO, f"starts at {start:.4f} s, before the video; expected 0 or more"
    half_frame = 0.5 / video.fps if video.fps else _HALF_FRAME_SECONDS
    if length is not None and end - length >= half_frame:
        return OUTSIDE_VIDEO, (
            f"{start:.4f} to {end:.4f} s reaches beyond the end of the video at {length:.4f} s"
        )
    return None
