"""Projects of BORIS (.boris, JSON): reading.

Times are positions in the media of player 1, one after another, plus the time offset of the
observation. A state event is a start and a stop of the same behaviour, subject and modifiers, in
turn; BORIS calls a start without a stop unpaired, and analyses no observation that has one.

Source: the file format and the pairing of BORIS 7 to 9, https://www.boris.unito.it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmad.annotations.exchange.coding import Coding, extras_of, media_ids
from mmad.annotations.exchange.events import CodedVideo, Event, EventFile
from mmad.annotations.exchange.source import Source
from mmad.wording import count

NAME = "boris"
NO_SUBJECT = "No focal subject"
_OBSERVERS = ("observer", "annotator", "coder", "rater")


@dataclass(frozen=True)
class Media:
    """A media file of player 1 within the time of its observation.

    Attributes:
        path: As in the project.
        start_seconds: When it begins.
        duration_seconds: Its length, or None if the project does not say it.
        fps: Its frame rate, or None.
    """

    path: str
    start_seconds: float
    duration_seconds: float | None
    fps: float | None


@dataclass(frozen=True)
class Coded:
    """One line of an observation.

    Attributes:
        where: Its place, for messages.
        time: Time in seconds, with the offset of the observation.
        subject: Who is seen, or "".
        code: The behaviour.
        modifiers: Its modifiers, separated by ``|``.
        comment: Free text.
    """

    where: str
    time: float
    subject: str
    code: str
    modifiers: str
    comment: str


def is_boris(content: Any) -> bool:
    """Whether a JSON value is a project of BORIS."""
    return isinstance(content, dict) and {"behaviors_conf", "observations"} <= content.keys()


def pairs(lines: Sequence[Coded]) -> tuple[list[tuple[Coded, Coded]], list[Coded]]:
    """Starts with their stops, as BORIS pairs them, and the starts without one.

    In order of time, those of the same subject, behaviour and modifiers are a start and a stop in
    turn.
    """
    open_: dict[tuple[str, str, str], Coded] = {}
    found = []
    for line in sorted(lines, key=lambda one: one.time):
        key = (line.subject, line.code, line.modifiers)
        if key in open_:
            found.append((open_.pop(key), line))
        else:
            open_[key] = line
    return found, list(open_.values())


def read_boris(source: Source, *, fps: float | None = None) -> EventFile:
    """The events of all observations of a project.

    An event is one of the media file in which it begins. A live observation is a video of its own
    name. If a video has several observations and no variable names the observer, the observation
    does. Observations of still images are left out.
    """
    coding = Coding(source, NAME)
    project = source.json
    behaviours = _entries(project.get("behaviors_conf"))
    types = {str(one.get("code", "")): str(one.get("type", "")) for one in behaviours}
    observations = project.get("observations")
    if not isinstance(observations, dict):
        coding.problem("observations: expected an object with one entry per observation")
        return coding.file()
    coding.labels += [code for code, kind in types.items() if code and "STATE" in kind.upper()]
    valid = {
        name: one for name, one in observations.items() if _is_observation(name, one, coding=coding)
    }
    all_media = {name: media_of(one, fps=fps) for name, one in valid.items()}
    ids = media_ids(dict.fromkeys(file.path for media in all_media.values() for file in media))
    coders: dict[str, list[str]] = {}
    for name, media in all_media.items():
        for path in [one.path for one in media] or [name]:
            coders.setdefault(ids.get(path, name), []).append(name)
    for name, observation in valid.items():
        media = all_media[name]
        shared = any(len(coders[ids.get(file.path, name)]) > 1 for file in media)
        observer = _observer(observation)
        annotator = (name if shared else None) if observer is None else observer or None
        if shared and observer is None:
            coding.notice(
                f"{coding.name}: {count(sum(len(one) > 1 for one in coders.values()), 'video')} "
                "with more than one observation; the observation is taken for the annotator"
            )
        for medium in media:
            rate = medium.fps or fps
            coding.video(CodedVideo(ids[medium.path], medium.path, medium.duration_seconds, rate))
        if not media:
            coding.video(CodedVideo(name))
        lines = _lines(name, observation, types=types, coding=coding)
        states = [line for line in lines if "STATE" in types[line.code].upper()]
        paired, unpaired = pairs(states)
        for line in unpaired:
            coding.problem(
                f"{line.where}: '{line.code}' of {line.subject or NO_SUBJECT} starts at "
                f"{line.time:.3f} s and never stops (BORIS: unpaired); add its stop in BORIS"
            )
        points = [(line, line) for line in lines if "STATE" not in types[line.code].upper()]
        offset = _number(observation.get("time offset")) or 0.0
        for start, stop in sorted(paired + points, key=lambda pair: pair[0].time):
            file = media_at(media, start.time - offset)
            shift = offset + (file.start_seconds if file else 0.0)
            comment = " / ".join(dict.fromkeys(filter(None, (start.comment, stop.comment))))
            extras: dict[str, Any] = extras_of(comment)
            coding.add(
                Event(
                    ids[file.path] if file else name,
                    start.code,
                    round(start.time - shift, 6),
                    round(stop.time - shift, 6),
                    person=start.subject or None,
                    annotator=extras.get("annotator", annotator),
                    score=extras.get("score"),
                    comment=extras["comment"],
                    modifiers="" if start.modifiers == "None" else start.modifiers,
                ),
                start.where,
            )
            if file and file.duration_seconds is not None and len(media) > 1:
                over = stop.time - shift - file.duration_seconds
                if over > 0 and file is not media[-1]:
                    coding.problem(
                        f"{start.where}: '{start.code}' goes on from {file.path} into the next "
                        f"file ({over:.3f} s beyond its end); split it at the end of the file"
                    )
    return coding.file()


def media_of(observation: Mapping[str, Any], *, fps: float | None = None) -> list[Media]:
    """The media files of player 1 one after another."""
    files = observation.get("file")
    first = files.get("1") if isinstance(files, dict) else None
    info = _object(observation.get("media_info"))
    lengths, rates = _object(info.get("length")), _object(info.get("fps"))
    found = []
    begin = 0.0
    for path in first if isinstance(first, list) else []:
        if not isinstance(path, str) or not path:
            continue
        length, rate = _number(lengths.get(path)), _number(rates.get(path))
        length = length if length and length > 0 else None
        found.append(Media(path, begin, length, rate if rate and rate > 0 else fps))
        begin += length or 0.0
    return found


def _is_observation(name: str, observation: Any, *, coding: Coding) -> bool:
    place = f"observation '{name}'"
    if not isinstance(observation, dict) or not isinstance(observation.get("events"), list):
        coding.problem(f"{place}: expected an object with a list of events")
        return False
    if observation.get("type") == "IMAGES":
        coding.notice(f"{coding.name}: {place} is of still images, not of a video, and is left out")
        return False
    media = media_of(observation)
    if len(media) > 1 and any(file.duration_seconds is None for file in media[:-1]):
        coding.problem(
            f"{place}: has {len(media)} media files one after another, and the project does not "
            "say how long they are; open and save it in BORIS with the media at hand"
        )
        return False
    files = observation.get("file")
    others = (
        [key for key, paths in files.items() if key != "1" and paths]
        if isinstance(files, dict)
        else []
    )
    if media and others:
        coding.notice(
            f"{coding.name}: {place} has {len(others) + 1} players; its events are those of the "
            "first"
        )
    return True


def _lines(
    name: str, observation: Mapping[str, Any], *, types: Mapping[str, str], coding: Coding
) -> list[Coded]:
    found = []
    unknown: dict[str, str] = {}
    for number, event in enumerate(observation["events"], start=1):
        where = f"observation '{name}', event {number}"
        if not isinstance(event, list) or len(event) < 3:
            coding.problem(
                f"{where}: expected [time, subject, behaviour, ...], found {event!r:.60}"
            )
            continue
        time = _number(event[0])
        if time is None:
            coding.problem(f"{where}: expected a time in seconds, found {event[0]!r:.40}")
            continue
        subject, code, *rest = [one if isinstance(one, str) else "" for one in event[1:]]
        modifiers, comment = (rest + ["", ""])[:2]
        if code not in types:
            unknown.setdefault(code, where)
            continue
        subject = "" if subject == NO_SUBJECT else subject.strip()
        found.append(Coded(where, time, subject, code, modifiers, comment))
    for code, where in unknown.items():
        coding.problem(
            f"{where}: '{code}' is not in the ethogram, so it is not known whether it is a state "
            "or a point; add it in BORIS"
        )
    return found


def media_at(media: Sequence[Media], seconds: float) -> Media | None:
    """The media file that is on at a time of its observation; None if there is no media."""
    begun = [file for file in media if file.start_seconds <= seconds]
    return begun[-1] if begun else media[0] if media else None


def _observer(observation: Mapping[str, Any]) -> str | None:
    """The observer that a variable names, "" if it is empty; None if there is no such variable."""
    for name, value in _object(observation.get("independent_variables")).items():
        if name.strip().casefold() in _OBSERVERS and isinstance(value, str):
            return value.strip()
    return None


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _entries(conf: Any) -> list[dict[str, Any]]:
    return [one for one in conf.values() if isinstance(one, dict)] if isinstance(conf, dict) else []


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e12 and not math.isnan(value) else None
