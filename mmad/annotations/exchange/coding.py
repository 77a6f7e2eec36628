"""Collecting the events of a file while it is read."""

import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path, PurePosixPath

from mmad.annotations.exchange.events import CodedVideo, Event, EventFile
from mmad.annotations.exchange.source import Source, Table
from mmad.annotations.exchange.values import as_seconds
from mmad.annotations.problems import BAD_VALUE, Problem
from mmad.video.find import SUFFIXES
from mmad.wording import count

# What other formats have no place for is kept at the end of a comment.
_IN_COMMENT = re.compile(r"\s*\[(score|by|modifiers|person) ([^\[\]]*)\]$")
_ABSENT = ("", "NA", "N/A", "nan", "None")


class Coding:
    """The content of a file, as far as it has been read."""

    def __init__(self, source: Source, format: str) -> None:
        self.path = source.path
        self.name = source.path.name
        self._format = format
        self._events: list[Event] = []
        self._places: list[str] = []
        self._videos: dict[str, CodedVideo] = {}
        self._problems: list[Problem] = []
        self._notices = list(source.notices())
        self.labels: list[str] = []

    def video(self, video: CodedVideo) -> None:
        """Take note of a video; what is known already is kept."""
        known = self._videos.get(video.video_id)
        if known is None:
            self._videos[video.video_id] = video
            return
        self._videos[video.video_id] = CodedVideo(
            video.video_id,
            known.media or video.media,
            known.duration_seconds
            if known.duration_seconds is not None
            else video.duration_seconds,
            known.fps if known.fps is not None else video.fps,
            known.subset or video.subset,
        )

    def add(self, event: Event, where: str) -> None:
        """Take an event with its place in the file."""
        if event.video_id not in self._videos:
            self.video(CodedVideo(event.video_id))
        self._events.append(event)
        self._places.append(where)

    def problem(self, message: str) -> None:
        """Take note of what cannot be right; the message names the place."""
        self._problems.append(Problem(BAD_VALUE, message))

    def notice(self, message: str) -> None:
        """Take note of what was assumed, unless that is known."""
        if message not in self._notices:
            self._notices.append(message)

    def left_out(self, places: Sequence[str], what: str, why: str) -> None:
        """Count in a notice what was left out."""
        if places:
            self.notice(
                f"{self.name}: {count(len(places), what, 'is')} left out, first {places[0]}: {why}"
            )

    def seconds(self, text: str, *, where: str, what: str, per_second: float = 1.0) -> float | None:
        """The seconds in a cell; None, with a problem, if there are none.

        Args:
            text: The cell.
            where: Its place, for the message.
            what: What it should be, for the message.
            per_second: Units in a second, such as the frame rate.
        """
        value = as_seconds(text)
        if value is None:
            self.problem(f"{where}: {what}: expected a time, found {text!r:.60}")
            return None
        return value / per_second

    def above_zero(self, text: str, *, where: str, what: str) -> float | None:
        """The number in a cell; None if it is empty, or, with a problem, if it is none above 0."""
        if or_none(text) is None:
            return None
        value = as_seconds(text)
        if value is None or value <= 0:
            self.problem(f"{where}: {what}: expected a number above 0, found {text!r:.60}")
            return None
        return value

    def fits(self, cells: Sequence[str], table: Table, *, where: str) -> bool:
        """Whether a row has no cells beyond the header; if it has, a problem."""
        if not any(cells[len(table.header) :]):
            return True
        hint = "; decimal commas need quotes, or semicolons between cells"
        self.problem(
            f"{where}: expected {len(table.header)} cells as in the header, found {len(cells)}"
            f"{hint if table.delimiter == ',' else ''}"
        )
        return False

    def file(self) -> EventFile:
        """All of it."""
        return EventFile(
            path=self.path,
            format=self._format,
            events=tuple(self._events),
            places=tuple(self._places),
            videos=tuple(self._videos.values()),
            labels=tuple(dict.fromkeys(self.labels)),
            notices=tuple(self._notices),
            problems=tuple(self._problems),
        )


def or_none(text: str) -> str | None:
    """A cell, or None where programs write that there is nothing.

    >>> or_none(" anna "), or_none("NA"), or_none("")
    ('anna', None, None)
    """
    stripped = text.strip()
    return None if stripped in _ABSENT else stripped


def media_name(media: str) -> str:
    r"""The id of a video from the path of its media file: its name without the suffix of a video.

    >>> media_name(r"C:\\videos\\P01.session.mp4"), media_name("P01.session"), media_name("a.WAV")
    ('P01.session', 'P01.session', 'a')
    """
    name = PurePosixPath(media.replace("\\", "/")).name
    suffix = PurePosixPath(name).suffix.lower()
    known = suffix in SUFFIXES or suffix in (".wav", ".mp3", ".flac", ".ogg", ".m4a", ".wmv")
    return name[: -len(suffix)] if known and len(suffix) < len(name) else name


def media_ids(paths: Iterable[str]) -> dict[str, str]:
    """The id of each media file: its name, with as many of its folders as make it unique.

    >>> media_ids(["P01/cam1.mp4", "P02/cam1.mp4", "x/b.mp4"])
    {'P01/cam1.mp4': 'P01/cam1', 'P02/cam1.mp4': 'P02/cam1', 'x/b.mp4': 'b'}
    """
    parts = {path: [part for part in re.split(r"[/\\]+", path) if part] for path in paths}
    depth = dict.fromkeys(parts, 1)

    def name(path: str) -> str:
        *folders, _ = parts[path] or [""]
        kept = folders[max(0, len(folders) - depth[path] + 1) :]
        return "/".join([*kept, media_name(path)])

    while True:
        names: dict[str, list[str]] = {}
        for path in parts:
            names.setdefault(name(path), []).append(path)
        alike = [path for same in names.values() if len(same) > 1 for path in same]
        deeper = [path for path in alike if depth[path] < len(parts[path])]
        if not deeper:
            return {path: name(path) for path in parts}
        for path in deeper:
            depth[path] += 1


def with_extras(event: Event, *, without: Collection[str] = (), person: bool = False) -> str:
    """The comment of an event, with what its format has no place for.

    Args:
        event: The event.
        without: Fields that the format has a place for.
        person: Whether it has none for the person.

    >>> with_extras(Event("v", "nod", 0, 1, annotator="model", score=0.831, comment="left"))
    'left [score 0.831] [by model]'
    """
    values = {
        "person": event.person if person else None,
        "score": None if event.score is None else repr(float(event.score)),
        "by": event.annotator,
        "modifiers": event.modifiers,
    }
    added = [f"[{name} {text}]" for name, text in values.items() if text and name not in without]
    return " ".join([event.comment, *added] if event.comment else added)


def extras_of(comment: str) -> dict[str, object]:
    """The fields of an event in a comment that `with_extras` has written.

    >>> extras_of("left [score 0.831] [by model]")
    {'annotator': 'model', 'score': 0.831, 'comment': 'left'}
    >>> extras_of("see [score]")
    {'comment': 'see [score]'}
    """
    fields: dict[str, object] = {}
    while match := _IN_COMMENT.search(comment):
        name, value = match.groups()
        score = as_seconds(value) if name == "score" else None
        if name == "score" and score is None:
            break
        key = {"by": "annotator"}.get(name, name)
        if key in fields:
            break
        fields[key] = value if score is None else score
        comment = comment[: match.start()]
    return fields | {"comment": comment}


def stem_id(path: Path) -> str:
    """The id of the only video of a file that does not name it: its own name.

    >>> stem_id(Path("a/P01.boris.tsv"))
    'P01.boris'
    """
    return media_name(path.stem)
