"""Exports of ELAN as tab-delimited text (File, Export As, Tab-delimited Text).

The user of ELAN chooses the columns: the tier and the participant, begin, end and duration in one
format of time or several, the annotation, the file; or a column for each tier. The header and the
name of the file above it are optional, too, so that columns are told apart by what is in them.

Source: the manual of ELAN, https://www.mpi.nl/corpus/html/elan/.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mmad.annotations.exchange.coding import Coding, media_ids, or_none, stem_id
from mmad.annotations.exchange.events import CodedVideo, Event, EventFile
from mmad.annotations.exchange.source import Row, Source
from mmad.annotations.exchange.values import plain_name, text_of
from mmad.files import write_text

NAME = "elan-text"
_TIME = re.compile(
    r"(begin|end|duration)(?: time)?(?: (hh mm ss\.ms|ss\.msec|ms|msec|hh mm ss ff|ss ff))?"
)
_CLOCK = re.compile(r"\d{1,3}:\d\d:\d\d[.,]\d{1,3}")
_DECIMAL = re.compile(r"\d+[.,]\d+")
_WHOLE = re.compile(r"\d+")
_FRAMES = re.compile(r"\d{1,3}:\d\d:\d\d[:;]\d\d")
_KNOWN = {
    "tier": ("tier", "type", "tier name"),
    "person": ("participant",),
    "annotator": ("annotator",),
    "label": ("annotation", "value", "label", "annotation value"),
    "file": ("file", "file path", "file name", "transcription", "labelpath", "media"),
}


@dataclass(frozen=True)
class _Layout:
    """Where everything is in a row.

    Attributes:
        times: The place of begin, end and duration, each with its seconds in a unit.
        known: The place of the tier, participant, annotation, ... as far as there is one.
        tiers: The name of each column that is a tier.
        rows: The rows.
        file: What the line above the header says, or "".
    """

    times: dict[str, tuple[int, str]]
    known: dict[str, int]
    tiers: dict[int, str]
    rows: list[Row]
    file: str = ""


def layout_of(source: Source) -> _Layout | None:
    """How the columns are laid out; None if it is no such export."""
    if source.is_spreadsheet or "\t" not in source.text[:20_000]:
        table = source.table(_is_header)
        if table is None:
            return None
        return _layout_with_header(table.header, table.rows, above=table.above)
    # ELAN puts no cell in quotes, so that those in a text are its own.
    rows = [
        (line, [cell.strip() for cell in text.split("\t")])
        for line, text in enumerate(source.text.split("\n"), start=1)
        if text.strip()
    ]
    for place, (_, cells) in enumerate(rows[:5]):
        if _is_header(cells):
            return _layout_with_header(cells, rows[place + 1 :], above=rows[:place])
    above = ""
    if rows and len(rows[0][1]) == 1 and rows[0][1][0].strip('"').startswith("#"):
        above = rows.pop(0)[1][0]
    return _layout_of_cells(rows, above=above)


def _is_header(cells: Sequence[str]) -> bool:
    found = {match[1] for cell in cells if (match := _TIME.fullmatch(_plain(cell)))}
    elan = any(match[2] for cell in cells if (match := _TIME.fullmatch(_plain(cell))))
    return "begin" in found and bool(found & {"end", "duration"}) and elan


def _plain(column: str) -> str:
    return plain_name(column)


def _layout_with_header(header: Sequence[str], rows: list[Row], *, above: list[Row]) -> _Layout:
    times: dict[str, tuple[int, str]] = {}
    known: dict[str, int] = {}
    tiers: dict[int, str] = {}
    for place, cell in enumerate(header):
        name = _plain(cell)
        if match := _TIME.fullmatch(name):
            unit = {"ms": "ms", "msec": "ms", "hh mm ss ff": "ff", "ss ff": "ff"}.get(
                match[2] or "", "s"
            )
            if match[1] not in times or times[match[1]][1] == "ff":
                times[match[1]] = (place, unit)
            continue
        field = next((field for field, names in _KNOWN.items() if name in names), None)
        if field is not None and field not in known:
            known[field] = place
        elif cell:
            tiers[place] = cell
    file = next((cells[0] for _, cells in above if cells[0].strip('"').startswith("#")), "")
    if "label" in known:
        tiers = {}
    if times.get("duration", (0, ""))[1] == "ff" and "end" in times:
        del times["duration"]
    return _Layout(times, known, tiers, rows, file)


def _layout_of_cells(rows: list[Row], *, above: str) -> _Layout | None:
    """The layout of rows without a header, by what all of them have in each column."""
    if not rows:
        return None
    width = min(len(cells) for _, cells in rows[:200])
    kinds = [_kind([cells[place] for _, cells in rows[:200]]) for place in range(width)]
    places = [place for place, kind in enumerate(kinds) if kind]
    first = places[0] if places else 0
    if len(places) < 2 or first == 0 or places != list(range(first, first + len(places))):
        return None
    per_time = len(places) // 3 if len(places) % 3 == 0 else len(places) // 2
    if len(places) not in (per_time * 2, per_time * 3):
        return None
    names = ("begin", "end", "duration")[: len(places) // per_time]
    times = {}
    for number, name in enumerate(names):
        choices = range(first + number * per_time, first + (number + 1) * per_time)
        order = {"clock": 0, "decimal": 1, "whole": 2, "ff": 3}
        place = min(choices, key=lambda one: order[kinds[one] or "ff"])
        times[name] = (place, {"whole": "ms", "ff": "ff"}.get(kinds[place] or "", "s"))
    if times.get("duration", (0, ""))[1] == "ff":
        del times["duration"]
    known = {"tier": 0, "label": first + len(places)}
    if first >= 2:
        known["person"] = 1
    if first + len(places) + 1 < width:
        known["file"] = first + len(places) + 1
    return _Layout(times, known, {}, rows, above)


def _kind(cells: Sequence[str]) -> str | None:
    patterns = {"clock": _CLOCK, "decimal": _DECIMAL, "whole": _WHOLE, "ff": _FRAMES}
    for name, pattern in patterns.items():
        if all(pattern.fullmatch(cell) for cell in cells):
            return name
    return None


def read_elan_text(source: Source, *, fps: float | None = None) -> EventFile:
    """The annotations of an export.

    The label is the annotation, or the tier if that is empty. The person is the participant. The
    video has the name of the file that the export names, else its own.
    """
    coding = Coding(source, NAME)
    layout = layout_of(source)
    if layout is None:
        coding.problem("expected columns with the tier, begin and end time, and the annotation")
        return coding.file()
    if any(unit == "ff" for _, unit in layout.times.values()):
        coding.problem(
            "its times are in frames (hh:mm:ss:ff); export it with times as ss.msec or hh:mm:ss.ms"
        )
        return coding.file()
    files = dict.fromkeys(
        path for _, cells in layout.rows if (path := _eaf(_cell(cells, layout.known.get("file"))))
    )
    ids = media_ids(files)
    own = _eaf(layout.file.strip('"').lstrip("#"))
    default = media_ids([own])[own] if own else stem_id(source.path)
    for line, cells in layout.rows:
        where = f"line {line}"
        path = _eaf(_cell(cells, layout.known.get("file")))
        video_id = ids.get(path, default)
        coding.video(CodedVideo(video_id, fps=fps))
        times = [_seconds(coding, layout, cells, name, where=where) for name in layout.times]
        if None in times:
            continue
        by_name = dict(zip(layout.times, times, strict=True))
        start = by_name["begin"] or 0.0
        length = by_name.get("duration")
        end = by_name.get("end", start + (length or 0.0)) or 0.0
        if length is not None and abs(start + length - end) > 0.0025:
            coding.problem(
                f"{where}: begin, end and duration do not agree: {start:g}, {end:g}, {length:g} s"
            )
            continue
        tier = _cell(cells, layout.known.get("tier"))
        person = or_none(_cell(cells, layout.known.get("person")))
        annotator = or_none(_cell(cells, layout.known.get("annotator")))
        found = (
            {tier: _cell(cells, layout.known.get("label"))}
            if not layout.tiers
            else {
                name: text for place, name in layout.tiers.items() if (text := _cell(cells, place))
            }
        )
        for name, text in found.items():
            if label := text or name:
                event = Event(video_id, label, start, end, person=person, annotator=annotator)
                coding.add(event, where)
            else:
                coding.problem(f"{where}: neither a tier nor an annotation")
    return coding.file()


def _seconds(
    coding: Coding, layout: _Layout, cells: Sequence[str], name: str, *, where: str
) -> float | None:
    place, unit = layout.times[name]
    per_second = 1000.0 if unit == "ms" else 1.0
    return coding.seconds(_cell(cells, place), where=where, what=name, per_second=per_second)


def _cell(cells: Sequence[str], place: int | None) -> str:
    return cells[place] if place is not None and place < len(cells) else ""


def _eaf(path: str) -> str:
    """The path of an ELAN file without its suffix, or "" if it is something else."""
    name = PurePosixPath(path.replace("\\", "/"))
    return str(name.with_suffix("")) if name.suffix.lower() in (".eaf", ".pfsx") else ""


def write_elan_text(path: str | Path, file: EventFile, *, fps: float | None = None) -> None:
    """Write the events of one video with a header, a tier for each person, times as ss.msec."""
    times = [f"{name} - ss.msec" for name in ("Begin Time", "End Time", "Duration")]
    lines = ["\t".join(["Tier", "Participant", *times, "Annotation"])]
    for event in file.events:
        start, end = (text_of(one) for one in (event.start_seconds, event.end_seconds))
        length = text_of(event.end_seconds - event.start_seconds)
        texts = [" ".join(text.split()) for text in (event.person or "", event.label)]
        lines.append("\t".join([texts[0] or "events", texts[0], start, end, length, texts[1]]))
    write_text(path, "\n".join(lines) + "\n")
