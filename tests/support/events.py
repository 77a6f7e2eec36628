"""Random coded events, and what a format keeps of them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from mmad.annotations.exchange.events import CodedVideo, Event, EventFile
from mmad.annotations.exchange.reading import read_events
from mmad.annotations.exchange.writing import WRITERS, write_events
from mmad.labels import MA52

# Letters of several scripts, and the signs that formats treat as their own.
_SIGNS = "abcxyzÄéжλ中ع 0129.,;:'\"<>&\\/{}()|=#!?%-_+*@"
_names = st.text(_SIGNS, min_size=1, max_size=12).map(lambda text: " ".join(text.split()))
names = _names.filter(lambda text: any(c.isalpha() for c in text) and text not in ("null", "NA"))
micro_actions = st.sampled_from(MA52.names)
VIDEOS = ("P01", "P02 b", "interview, 3")


@st.composite
def event_files(draw: st.DrawFn, *, labels: st.SearchStrategy[str] = names) -> EventFile:
    """Events of one video or several, in milliseconds, with or without everything else."""
    known = draw(st.lists(labels, min_size=1, max_size=4, unique_by=str.casefold))
    people = draw(st.lists(names, max_size=2, unique_by=str.casefold))
    coders = draw(st.lists(names.filter(_no_bracket), max_size=2, unique_by=str.casefold))
    used = draw(st.lists(st.sampled_from(VIDEOS), min_size=1, max_size=3, unique=True))
    events = []
    for _ in range(draw(st.integers(1, 8))):
        start = draw(st.integers(0, 60_000))
        length = draw(st.sampled_from([0, 1, 40, 1000, 7003]))
        events.append(
            Event(
                draw(st.sampled_from(used)),
                draw(st.sampled_from(known)),
                start / 1000,
                (start + length) / 1000,
                person=draw(st.sampled_from([None, *people])),
                annotator=draw(st.sampled_from([None, *coders])),
                score=draw(st.sampled_from([None, 0.5, 0.125, 0.0625])),
                comment=draw(st.sampled_from(["", "left hand", "see 3; later"])),
                modifiers=draw(st.sampled_from(["", "fast", "fast|left"])),
            )
        )
    with_events = [name for name in used if any(one.video_id == name for one in events)]
    videos = tuple(CodedVideo(name, f"{name}.mp4", 90.0, 25.0) for name in with_events)
    return EventFile(Path("x"), "csv", tuple(events), ("",) * len(events), videos)


def _no_bracket(text: str) -> bool:
    return "[" not in text and "]" not in text


def round_trip(file: EventFile, *, format: str, folder: Path, **more: Any) -> list[Event]:
    """The events after they were written and read."""
    target = folder / format
    if not WRITERS[format].per_video:
        target = target.with_suffix(WRITERS[format].suffix)
    else:
        target.mkdir(parents=True, exist_ok=True)
    written = write_events(target, file, format=format, overwrite=True)
    found: list[Event] = []
    for path in written.paths:
        found += read_events(path, tell=lambda notice: None, **more).events
        path.unlink()
    return sorted(found, key=order)


def order(event: Event) -> tuple[object, ...]:
    """By which events are sorted to be compared."""
    texts = (event.person or "", event.annotator or "", event.comment, event.modifiers)
    times = (round(event.start_seconds, 3), round(event.end_seconds, 3))
    return (event.video_id, event.label, *times, *texts, event.score or 0.0)


def kept_of(file: EventFile, *, format: str) -> list[Event]:
    """The events with what the format has a place for."""
    keeps = WRITERS[format].keeps
    events = [
        replace(
            event,
            person=event.person if "person" in keeps else None,
            annotator=event.annotator if "annotator" in keeps else None,
            score=event.score if "score" in keeps else None,
            comment=event.comment if "comment" in keeps else "",
            modifiers=event.modifiers if "modifiers" in keeps else "",
        )
        for event in file.events
    ]
    return sorted(events, key=order)
