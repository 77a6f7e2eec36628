"""Plain tables: a row for each event, with the columns video, start, end and label.

Columns are found by the names that people give them, in any order, beside any others; cells may be
separated by commas, semicolons or tabs, or be those of a spreadsheet; decimals may have a comma.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmad.annotations.exchange.coding import Coding, media_ids, or_none, stem_id
from mmad.annotations.exchange.events import CodedVideo, Event, EventFile
from mmad.annotations.exchange.source import Source, Table
from mmad.annotations.exchange.values import as_seconds, plain_name, text_of, unit_of
from mmad.annotations.subsets import plain_subset
from mmad.files import write_text

NAME = "csv"
# What people call the columns, besides their units; of several the first of a list is taken.
_NAMES = {
    "video": (
        *("video", "video id", "videoid", "video name", "video file", "vid", "media"),
        *("media file", "media file name", "media file path", "file", "filename", "file name"),
        *("recording", "session", "clip"),
    ),
    "start": ("start", "onset", "begin", "t start", "start time", "onset time", "begin time"),
    "end": (*("end", "stop", "offset", "t end", "end time", "stop time", "offset time", "finish"),),
    "length": ("duration", "length", "event duration"),
    "label": (
        *("label", "labels", "behavior", "behaviour", "behavior code", "behaviour code", "action"),
        *("class", "class name", "class id", "code", "event", "category", "annotation", "value"),
        *("label name", "activity", "gesture", "tag"),
    ),
    "person": ("person", "subject", "participant", "individual", "actor", "animal", "subject id"),
    "annotator": ("annotator", "observer", "coder", "rater", "author"),
    "score": ("score", "confidence", "probability", "prob", "conf"),
    "comment": ("comment", "comments", "note", "notes", "remark", "remarks", "description"),
    "modifiers": ("modifiers", "modifier"),
    "fps": ("fps", "frame rate", "framerate", "video fps"),
    "video length": ("video seconds", "video duration", "video length", "total length"),
    "subset": ("subset", "split"),
}
_TIMES = ("start", "end", "length")


@dataclass(frozen=True)
class _Column:
    """A column that is read: its place, its unit if its name says it, its name."""

    place: int
    unit: str | None
    name: str


def _columns(header: Sequence[str]) -> dict[str, _Column]:
    """What each known column is, by the first of its names."""
    found: dict[str, _Column] = {}
    for field, names in _NAMES.items():
        ranked = []
        for place, cell in enumerate(header):
            name, unit = unit_of(cell) if field in (*_TIMES, "video length") else ("", None)
            for candidate, its_unit in ((plain_name(cell), None), (name, unit)):
                if candidate in names:
                    ranked.append((names.index(candidate), place, its_unit))
                    break
        if ranked:
            _, place, unit = min(ranked, key=lambda one: one[:2])
            found[field] = _Column(place, unit, header[place])
    return found


def field_of(name: str) -> str | None:
    """What a column or an attribute of this name is, or None.

    >>> field_of("Behaviour"), field_of("Observer"), field_of("colour")
    ('label', 'annotator', None)
    """
    return next((field for field, names in _NAMES.items() if plain_name(name) in names), None)


def lacking(header: Sequence[str]) -> tuple[str, ...]:
    """Which of the needed columns a header lacks.

    >>> lacking(["Video", "Onset (s)", "Offset (s)", "Behaviour"]), lacking(["a", "start"])
    ((), ('end (or duration)', 'label'))
    """
    found = _columns(header)
    missing = [name for name in ("start", "label") if name not in found]
    if not {"end", "length"} & found.keys():
        missing.insert(1 if missing[:1] == ["start"] else 0, "end (or duration)")
    return tuple(missing)


def table_of(source: Source) -> Table | None:
    """The table, if there is a header with the needed columns."""
    return source.table(lambda cells: not lacking(cells))


def read_plain(source: Source, *, fps: float | None = None) -> EventFile:
    """The events of a plain table.

    Times are seconds, unless the names of the columns say milliseconds or frames (which begin at
    0: frame / rate); clock times are read, too. Without a column of videos, all events are those
    of the video with the name of the file. A row without start, end and label is a video without
    events. The rate of frames is that of the column ``fps``, else ``fps``.
    """
    coding = Coding(source, NAME)
    table = table_of(source)
    if table is None:
        coding.problem("expected a header with the columns video, start, end, label")
        return coding.file()
    columns = _columns(table.header)
    if "video" not in columns:
        coding.notice(
            f"{coding.name} has no column of videos: all its events are those of the video "
            f"'{stem_id(source.path)}', after its own name"
        )
    ids = media_ids(
        dict.fromkeys(_cell(cells, columns.get("video")) for _, cells in table.rows)
        if "video" in columns
        else ()
    )
    whole = True
    for line, cells in table.rows:
        where = f"line {line}"
        if not coding.fits(cells, table, where=where):
            continue
        row = {field: _cell(cells, column) for field, column in columns.items()}
        media = row.get("video", source.path.stem)
        if not media:
            coding.problem(f"{where}: the cell of the video ({columns['video'].name}) is empty")
            continue
        video_id = ids.get(media) or stem_id(source.path)
        rate, length = (
            coding.above_zero(row[field], where=where, what=columns[field].name)
            if field in columns
            else None
            for field in ("fps", "video length")
        )
        rate = rate or fps
        subset = plain_subset(row.get("subset", ""))
        coding.video(CodedVideo(video_id, row.get("video", ""), length, rate, subset))
        if not any(row.get(field) for field in (*_TIMES, "label")):
            continue
        times = [
            _time(coding, row[field], columns[field], where=where, rate=rate)
            for field in _chosen(columns)
        ]
        if None in times:
            continue
        start, end = (float(value or 0.0) for value in times)
        if "end" not in columns:
            end += start
        if not row["label"]:
            coding.problem(f"{where}: the label ({columns['label'].name}) is empty")
            continue
        score = as_seconds(row["score"]) if or_none(row.get("score", "")) else None
        if score is None and or_none(row.get("score", "")):
            coding.problem(f"{where}: score: expected a number, found {row['score']!r:.40}")
            continue
        whole = whole and not any(
            "." in row[field] or "," in row[field] for field in _chosen(columns)
        )
        coding.add(
            Event(
                video_id,
                row["label"],
                start,
                end,
                person=or_none(row.get("person", "")),
                annotator=or_none(row.get("annotator", "")),
                score=score,
                comment=row.get("comment", ""),
                modifiers=row.get("modifiers", ""),
            ),
            where,
        )
    found = coding.file()
    times = [event.end_seconds for event in found.events]
    if len(times) > 1 and whole and all(columns[one].unit is None for one in _chosen(columns)):
        coding.notice(
            f"{coding.name}: all times are whole numbers and were read as seconds; if they are "
            f"frames, name the columns start_frame and end_frame and pass --fps"
        )
    return coding.file()


def _chosen(columns: dict[str, _Column]) -> tuple[str, str]:
    return ("start", "end" if "end" in columns else "length")


def _cell(cells: Sequence[str], column: _Column | None) -> str:
    return cells[column.place] if column is not None and column.place < len(cells) else ""


def _time(
    coding: Coding, text: str, column: _Column, *, where: str, rate: float | None
) -> float | None:
    per_second = {"ms": 1000.0, "frames": rate or 0.0}.get(column.unit or "s", 1.0)
    if per_second <= 0:
        coding.problem(
            f"{where}: {column.name} is in frames, and there is no frame rate; pass --fps, or add "
            "a column fps"
        )
        return None
    return coding.seconds(text, where=where, what=column.name, per_second=per_second)


def write_plain(path: str | Path, file: EventFile, *, fps: float | None = None) -> None:
    """Write events as a table with commas, and a row without an event for each other video.

    Columns that are empty for all events are left out. Times have six decimals at most.
    """
    extra = {
        "person": [event.person or "" for event in file.events],
        "annotator": [event.annotator or "" for event in file.events],
        "score": ["" if event.score is None else repr(event.score) for event in file.events],
        "comment": [event.comment for event in file.events],
        "modifiers": [event.modifiers for event in file.events],
    }
    kept = {name: cells for name, cells in extra.items() if any(cells)}
    videos = {video.video_id: video for video in file.videos}
    facts = {
        "video_seconds": lambda video: video.duration_seconds,
        "fps": lambda video: video.fps,
        "subset": lambda video: video.subset or None,
    }
    told = {
        name: fact
        for name, fact in facts.items()
        if any(fact(video) is not None for video in file.videos)
    }

    def facts_of(video_id: str) -> list[object]:
        video = videos.get(video_id, CodedVideo(video_id))
        return ["" if fact(video) is None else fact(video) for fact in told.values()]

    rows: list[list[object]] = [
        [
            event.video_id,
            text_of(event.start_seconds),
            text_of(event.end_seconds),
            event.label,
            *(cells[place] for cells in kept.values()),
            *facts_of(event.video_id),
        ]
        for place, event in enumerate(file.events)
    ]
    with_events = {event.video_id for event in file.events}
    rows += [
        [video_id, "", "", "", *([""] * len(kept)), *facts_of(video_id)]
        for video_id in videos
        if video_id not in with_events
    ]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["video", "start", "end", "label", *kept, *told])
    writer.writerows(rows)
    write_text(path, text.getvalue())
