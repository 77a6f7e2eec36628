"""Tables that BORIS exports: tabular (a row for each start, stop and point) and aggregated events
(a row for each event); as TSV, CSV or XLSX.

Columns differ between versions and are found by name. Times are those of the observation, with its
time offset.

Source: the exports of BORIS 2 to 9, https://www.boris.unito.it.
"""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmad.annotations.exchange.boris.project import NO_SUBJECT, Coded, pairs
from mmad.annotations.exchange.coding import Coding, extras_of, media_ids, or_none, with_extras
from mmad.annotations.exchange.events import CodedVideo, Event, EventFile
from mmad.annotations.exchange.lanes import lanes_of
from mmad.annotations.exchange.source import Source, Table
from mmad.annotations.exchange.values import as_seconds, plain_name
from mmad.files import replaced, write_text
from mmad.wording import count

TABULAR, AGGREGATED = "boris-tabular", "boris-aggregated"
_COLUMNS = {
    "observation": ("observation id",),
    "media": ("media file name", "media file", "media file path"),
    "source": ("source",),
    "length": ("media duration s", "total length", "observation duration"),
    "fps": ("fps", "fps frame s"),
    "offset": ("time offset s", "time offset"),
    "subject": ("subject",),
    "behaviour": ("behavior", "behaviour"),
    "modifiers": ("modifiers", "modifier"),
    "kind": ("behavior type", "behaviour type", "status"),
    "time": ("time", "time s"),
    "start": ("start s", "start"),
    "stop": ("stop s", "stop"),
    "comment": ("comment", "comment start"),
    "comment stop": ("comment stop",),
    "observer": ("observer", "coder", "rater", "annotator"),
}
_MODIFIER = re.compile(r"modifier #?\d+")
_PLAYER = re.compile(r"player #?1\s*:\s*(.+?)(?=\s*;?\s*player #?\d+\s*:|$)", re.IGNORECASE)
_KINDS = ("START", "STOP", "POINT", "STATE")


@dataclass(frozen=True)
class _Row:
    """A row: its place, cells by field, and modifiers."""

    where: str
    cells: dict[str, str]
    modifiers: str

    def __getitem__(self, field: str) -> str:
        return self.cells.get(field, "")


def lacking(header: Sequence[str], *, needed: Sequence[str]) -> tuple[str, ...]:
    """Which of the needed fields a header has no column for.

    >>> lacking(["Time", "Subject", "Behavior", "Status"], needed=("time", "behaviour", "kind"))
    ()
    """
    found = _places(header)
    return tuple(_COLUMNS[field][0] for field in needed if field not in found)


TABULAR_FIELDS = ("time", "subject", "behaviour", "kind")
AGGREGATED_FIELDS = ("observation", "subject", "behaviour", "start", "stop")


def _places(header: Sequence[str]) -> dict[str, int]:
    names = [plain_name(cell) for cell in header]
    found = {}
    for field, known in _COLUMNS.items():
        place = next((names.index(name) for name in known if name in names), None)
        if place is not None:
            found[field] = place
    return found


def read_tabular(source: Source, *, fps: float | None = None) -> EventFile:
    """The events of a tabular export; starts and stops are paired as BORIS does."""
    coding, table_rows = _opened(source, TABULAR, needed=TABULAR_FIELDS)
    by_observation: dict[str, list[_Row]] = {}
    for row in table_rows:
        by_observation.setdefault(row["observation"], []).append(row)
    videos = _Videos(coding, table_rows, fps=fps)
    for rows in by_observation.values():
        states: list[Coded] = []
        found: list[tuple[Coded, Coded]] = []
        row_of: dict[str, _Row] = {}
        for row in rows:
            kind = row["kind"].upper()
            time = coding.seconds(row["time"], where=row.where, what="Time")
            if time is None:
                continue
            if kind not in _KINDS:
                coding.problem(f"{row.where}: expected START, STOP or POINT, found {kind!r:.40}")
                continue
            line = Coded(
                row.where, time, row["subject"], row["behaviour"], row.modifiers, row["comment"]
            )
            row_of[row.where] = row
            if kind == "POINT":
                found.append((line, line))
            else:
                states.append(line)
        paired, unpaired = pairs(states)
        for line in unpaired:
            coding.problem(
                f"{line.where}: '{line.code}' of {line.subject or NO_SUBJECT} at {line.time:.3f} s "
                "has a start without a stop, or a stop without a start (BORIS: unpaired)"
            )
        for start, stop in sorted(found + paired, key=lambda pair: pair[0].time):
            comments = [start.comment, stop.comment]
            _add(coding, videos, row_of[start.where], (start.time, stop.time), comments)
    return coding.file()


def read_aggregated(source: Source, *, fps: float | None = None) -> EventFile:
    """The events of an export of aggregated events."""
    coding, rows = _opened(source, AGGREGATED, needed=AGGREGATED_FIELDS)
    videos = _Videos(coding, rows, fps=fps)
    for row in rows:
        times = [
            coding.seconds(row[field], where=row.where, what=what)
            for field, what in (("start", "Start (s)"), ("stop", "Stop (s)"))
        ]
        if times[0] is not None and times[1] is not None:
            comments = [row["comment"], row["comment stop"]]
            _add(coding, videos, row, (times[0], times[1]), comments)
    return coding.file()


def _opened(source: Source, form: str, *, needed: Sequence[str]) -> tuple[Coding, list[_Row]]:
    """What a table is read into, and its rows; none, with a problem, if it lacks a column."""
    coding = Coding(source, form)
    table = source.table(lambda cells: not lacking(cells, needed=needed))
    if table is None:
        coding.problem(f"expected the columns {', '.join(needed)}")
        return coding, []
    return coding, _rows(table, coding=coding)


def _rows(table: Table, *, coding: Coding) -> list[_Row]:
    """The rows, with what stands above the header for columns that are not there."""
    places = _places(table.header)
    modifiers = [
        place for place, cell in enumerate(table.header) if _MODIFIER.fullmatch(plain_name(cell))
    ]
    above = {plain_name(cells[0]): cells[1] for _, cells in table.above if len(cells) > 1}
    default = {
        "observation": above.get("observation id", ""),
        "offset": above.get("time offset s", ""),
        "media": "",
    }
    found = []
    for line, cells in table.rows:
        if not coding.fits(cells, table, where=f"line {line}"):
            continue
        values = {
            field: cells[place] if place < len(cells) else "" for field, place in places.items()
        }
        values = {field: text for field, text in default.items() if field not in places} | values
        parts = [cells[place] for place in modifiers if place < len(cells) and cells[place]]
        text = values.get("modifiers", "") or "|".join(parts)
        values["subject"] = "" if values.get("subject") == NO_SUBJECT else values.get("subject", "")
        row = _Row(f"line {line}", values, "" if text in ("None", "NA") else text)
        if not row["behaviour"]:
            coding.problem(f"{row.where}: the cell of the behaviour is empty")
            continue
        found.append(row)
    return found


class _Videos:
    """The video of each row, and its offset in the time of the observation."""

    def __init__(self, coding: Coding, rows: Sequence[_Row], *, fps: float | None) -> None:
        self._media: dict[str, list[str]] = {}
        for row in rows:
            known = self._media.setdefault(row["observation"], [])
            known += [path for path in _media_of(row) if path not in known]
        paths = dict.fromkeys(path for media in self._media.values() for path in media)
        self._ids = media_ids(paths)
        observations: dict[str, list[str]] = {}
        for name, media in self._media.items():
            for path in media:
                observations.setdefault(path, []).append(name)
        self._shared = {path for path, names in observations.items() if len(names) > 1}
        self._fps = fps
        self._told: set[str] = set()
        self._coding = coding

    def of(self, row: _Row) -> tuple[str, float] | None:
        """Id and offset; None, with a problem, if they cannot be known."""
        media = self._media[row["observation"]]
        offset = as_seconds(row["offset"]) or 0.0
        if not media:
            video_id = row["observation"] or "observation"
            self._coding.video(CodedVideo(video_id))
            return video_id, offset
        if len(media) > 1 and (_media_of(row) or media)[0] != media[0]:
            if row["observation"] not in self._told:
                self._told.add(row["observation"])
                self._coding.problem(
                    f"{row.where}: observation '{row['observation']}' has {len(media)} media files "
                    "one after another, and the export does not say how long each is; read the "
                    "project (.boris) instead"
                )
            return None
        length = as_seconds(row["length"]) if len(media) == 1 else None
        rate = as_seconds(row["fps"]) or self._fps
        video_id = self._ids[media[0]]
        self._coding.video(CodedVideo(video_id, media[0], length or None, rate or None))
        return video_id, offset

    def annotator(self, row: _Row) -> str | None:
        """The observer if there is a column, else the observation if its video has several."""
        if "observer" in row.cells:
            return or_none(row["observer"])
        media = self._media[row["observation"]]
        shared = bool(media) and media[0] in self._shared
        return row["observation"] if shared else None


def _media_of(row: _Row) -> list[str]:
    """The media of player 1 of a row; none for a live observation."""
    media = row["media"]
    if not media and (match := _PLAYER.search(row["source"])):
        return [path.strip() for path in match[1].split(";") if path.strip()]
    media = media or row["source"]
    return [media] if media and media.upper() not in ("LIVE", "NA") else []


def _add(
    coding: Coding,
    videos: _Videos,
    row: _Row,
    times: tuple[float, float],
    comments: Sequence[str],
) -> None:
    place = videos.of(row)
    if place is None:
        return
    video_id, offset = place
    extras: dict[str, Any] = extras_of(" / ".join(dict.fromkeys(filter(None, comments))))
    start, end = (round(time - offset, 6) for time in times)
    coding.add(
        Event(
            video_id,
            row["behaviour"],
            start,
            end,
            person=row["subject"] or None,
            annotator=extras.get("annotator", videos.annotator(row)),
            score=extras.get("score"),
            comment=extras["comment"],
            modifiers=row.modifiers,
        ),
        row.where,
    )


_HEAD = (
    *("Observation id", "Observation date", "Description", "Observation type", "Source"),
    *("Time offset (s)", "Media duration (s)", "FPS (frame/s)", "Observer", "Subject"),
    *("Behavior", "Behavioral category", "Modifiers", "Behavior type"),
)


def write_tabular(
    path: str | Path, file: EventFile, *, fps: float | None = None
) -> tuple[str, ...]:
    """Write events as BORIS exports them, a row for each start, stop and point, by time.

    Events of the same behaviour, subject and modifiers that overlap go to further observations.
    """
    rows: list[list[str]] = []
    num_more = 0
    for name, lane, event in _in_observations(file):
        num_more += lane > 1
        media = _media(event, file)
        head = _head(event, file, name=name, media=media)
        comment = with_extras(event, without=("modifiers", "by"))
        if event.is_point:
            rows.append([*head, "POINT", _time(event.start_seconds), media, comment])
        else:
            rows.append([*head, "START", _time(event.start_seconds), media, comment])
            rows.append([*head, "STOP", _time(event.end_seconds), media, ""])
    # A stable sort keeps each stop before the next start at the same time.
    rows.sort(key=lambda row: (row[0], float(row[-3])))
    _write(path, [[*_HEAD, "Time", "Media file name", "Comment"], *rows])
    return (
        (
            f"{count(num_more, 'event')} of the same behaviour and subject overlap with others, "
            "which BORIS cannot tell apart, and are in observations of their own",
        )
        if num_more
        else ()
    )


def _in_observations(file: EventFile) -> list[tuple[str, int, Event]]:
    """The name of the observation, and the lane, of each event."""
    groups: dict[tuple[str, str | None], list[Event]] = {}
    for event in file.events:
        groups.setdefault((event.video_id, event.annotator), []).append(event)
    found = []
    for (video_id, annotator), events in groups.items():
        whole = f"{video_id} {annotator}" if annotator else video_id
        for lane in lanes_of(events, key=lambda one: (one.label, one.modifiers), decimals=3):
            name = whole if lane.number == 1 else f"{whole} ({lane.number})"
            found += [(name, lane.number, event) for event in lane.events]
    return found


def write_aggregated(path: str | Path, file: EventFile, *, fps: float | None = None) -> None:
    """Write events as BORIS exports aggregated events."""
    rows = []
    for event in file.events:
        kind = "POINT" if event.is_point else "STATE"
        length = "NA" if event.is_point else _time(event.end_seconds - event.start_seconds)
        times = [_time(event.start_seconds), _time(event.end_seconds), length]
        comment = with_extras(event, without=("modifiers", "by"))
        media = _media(event, file)
        head = _head(event, file, name=event.video_id, media=media)
        rows.append([*head, kind, *times, media, comment, ""])
    names = ("Start (s)", "Stop (s)", "Duration (s)", "Media file name")
    _write(path, [[*_HEAD, *names, "Comment start", "Comment stop"], *rows])


def _head(event: Event, file: EventFile, *, name: str, media: str) -> list[str]:
    video = next((one for one in file.videos if one.video_id == event.video_id), None)
    seconds = None if video is None else video.duration_seconds
    length = "" if seconds is None else _time(seconds)
    rate = "" if video is None or video.fps is None else repr(video.fps)
    subject = event.person or NO_SUBJECT
    facts = ["0", length, rate, event.annotator or "", subject, event.label, "", event.modifiers]
    return [name, "", "", "Media file(s)", f"player #1:{media}", *facts]


def _media(event: Event, file: EventFile) -> str:
    video = next((one for one in file.videos if one.video_id == event.video_id), None)
    return (video.media if video else "") or event.video_id


def _time(seconds: float) -> str:
    return f"{seconds:.3f}"


def _write(path: str | Path, rows: Sequence[Sequence[str]]) -> None:
    suffix = Path(path).suffix.lower()
    if suffix == ".xlsx":
        import openpyxl

        book = openpyxl.Workbook(write_only=True)
        sheet = book.create_sheet("Aggregated events")
        for row in rows:
            sheet.append([_harmless(cell) for cell in row])
        with replaced(path) as partial:
            book.save(partial)
        return
    text = io.StringIO()
    writer = csv.writer(text, delimiter="," if suffix == ".csv" else "\t", lineterminator="\n")
    writer.writerows(rows)
    write_text(path, text.getvalue())


def _harmless(cell: str) -> str:
    """A cell without control characters, which a spreadsheet cannot hold."""
    return re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", " ", cell)
