"""TextGrids of Praat: tiers of intervals and of points; long and short text files, in any encoding.

Of a text file, Praat reads only what stands free: numbers, quoted texts and flags such as
``<exists>``; the long form has names around them. A tier is a person, as in what BORIS exports.

Source: https://www.fon.hum.uva.nl/praat/manual/TextGrid_file_formats.html.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mmad.annotations.exchange.coding import Coding, stem_id
from mmad.annotations.exchange.events import CodedVideo, Event, EventFile
from mmad.annotations.exchange.lanes import Lane, lanes_of
from mmad.annotations.exchange.source import Source
from mmad.annotations.exchange.values import text_of
from mmad.files import write_text
from mmad.wording import count

NAME = "praat"
NOBODY = "events"
_TOKEN = re.compile(
    r'"((?:[^"]|"")*)"|(?<![^\s])(-?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)%?(?![^\s])|(<[a-z]+>)|(![^\n]*)'
    r"|([^\s\"]+)"
)
_LANE = re.compile(r"(.*?)(?: \(\d+\))?(?: points)?")
_INTERVALS, _POINTS = "IntervalTier", "TextTier"
# What BORIS writes where nothing happens.
_NULL = "null"


class _Bad(Exception):  # noqa: N818
    """The file is not what a TextGrid should be."""


@dataclass(frozen=True)
class _Token:
    """A free text (with ``is_text``) or number, and its line."""

    value: str
    is_text: bool
    line: int


def is_praat(source: Source) -> bool:
    """Whether it is a text file of Praat with a TextGrid."""
    return "ooTextFile" in source.text[:200] and "TextGrid" in source.text[:400]


def read_praat(source: Source, *, fps: float | None = None) -> EventFile:
    """The intervals with a text, and the points, as events of the video with the file's name.

    Each tier is a person, apart from a tier of the name ``events``. The length of the video is that
    of the TextGrid.
    """
    coding = Coding(source, NAME)
    video_id = stem_id(source.path)
    tokens = _tokens(source.text)
    try:
        for expected in ("ooTextFile", "TextGrid"):
            _text(tokens, expected)
        begin, end = _number(tokens, "xmin"), _number(tokens, "xmax")
        coding.video(CodedVideo(video_id, duration_seconds=end or None, fps=fps))
        if begin:
            coding.notice(f"{coding.name} begins at {begin:g} s; its times are kept as they are")
        for _ in range(_count(tokens, "number of tiers")):
            _read_tier(tokens, coding=coding, video_id=video_id)
    except _Bad as error:
        coding.problem(str(error))
    return coding.file()


def _read_tier(tokens: Iterator[_Token], *, coding: Coding, video_id: str) -> None:
    kind = _text(tokens, "class of the tier (IntervalTier or TextTier)")
    if kind not in (_INTERVALS, _POINTS):
        raise _Bad(f"expected a tier of the class IntervalTier or TextTier, found {kind!r:.40}")
    name = _text(tokens, "name of the tier")
    match = _LANE.fullmatch(" ".join(name.split()))
    plain = match[1] if match else name
    person = None if plain in ("", NOBODY) else plain
    _number(tokens, "xmin"), _number(tokens, "xmax")
    found: list[tuple[float, float, str, int]] = []
    for _ in range(_count(tokens, f"number of entries of the tier '{name}'")):
        start = _number(tokens, "time")
        end = _number(tokens, "time") if kind == _INTERVALS else start
        token = _next(tokens, f"text on the tier '{name}'")
        if not token.is_text:
            raise _Bad(f"line {token.line}: expected a text in quotes, found {token.value!r:.40}")
        found.append((start, end, token.value.strip(), token.line))
    has_gaps = any(not text for _, _, text, _ in found)
    nulls = [entry for entry in found if entry[2] == _NULL]
    if nulls and not has_gaps and kind == _INTERVALS:
        coding.notice(
            f"{coding.name}: {count(len(nulls), 'interval')} of the text '{_NULL}' on the tier "
            f"'{name}' {'is' if len(nulls) == 1 else 'are'} taken for nothing, as BORIS writes it"
        )
        found = [entry for entry in found if entry[2] != _NULL]
    for start, end, text, line in found:
        if text:
            where = f"line {line}, tier '{name}'"
            coding.add(Event(video_id, text, start, end, person=person), where)


def _tokens(text: str) -> Iterator[_Token]:
    line = 1
    last = 0
    for match in _TOKEN.finditer(text):
        line += text.count("\n", last, match.start())
        last = match.start()
        quoted, number, _, _, word = match.groups()
        if quoted is not None:
            yield _Token(quoted.replace('""', '"'), True, line)
        elif number is not None:
            yield _Token(number, False, line)
        elif word is not None and word.casefold() in ("nan", "--undefined--", "inf"):
            yield _Token(word, False, line)


def _next(tokens: Iterator[_Token], what: str) -> _Token:
    token = next(tokens, None)
    if token is None:
        raise _Bad(f"the file ends where the {what} should be; it may be cut off")
    return token


def _text(tokens: Iterator[_Token], what: str) -> str:
    token = _next(tokens, what)
    if not token.is_text:
        raise _Bad(f"line {token.line}: expected the {what} in quotes, found {token.value}")
    return token.value


def _number(tokens: Iterator[_Token], what: str) -> float:
    token = _next(tokens, what)
    value = None if token.is_text else _as_float(token.value)
    if value is None:
        raise _Bad(f"line {token.line}: expected a number ({what}), found {token.value!r:.40}")
    return value


def _count(tokens: Iterator[_Token], what: str) -> int:
    value = _number(tokens, what)
    if value < 0 or not value.is_integer():
        raise _Bad(f"expected a whole number ({what}), found {value:g}")
    return int(value)


def _as_float(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < 1e12 else None


def write_praat(path: str | Path, file: EventFile, *, fps: float | None = None) -> tuple[str, ...]:
    """Write the events of one video as a TextGrid in the long form.

    Each person has a tier of intervals and one of points; events that overlap go to further tiers.
    """
    lanes = lanes_of(file.events)
    last = max((event.end_seconds for event in file.events), default=0.0)
    known = next((video.duration_seconds for video in file.videos), None)
    end = max(last, known or 0.0)
    tiers = [_interval_tier(lane, end=end) for lane in lanes if not lane.is_points]
    tiers += [_point_tier(lane, end=end) for lane in lanes if lane.is_points]
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0",
        f"xmax = {_time(end)}",
        "tiers? <exists>",
        f"size = {len(tiers)}",
        "item []:",
    ]
    for number, tier in enumerate(tiers, start=1):
        lines += [f"    item [{number}]:", *tier]
    write_text(path, "\n".join(lines) + "\n")
    return ()


def _name(lane: Lane) -> str:
    name = lane.person or NOBODY
    name += f" ({lane.number})" if lane.number > 1 else ""
    return name + (" points" if lane.is_points else "")


def _interval_tier(lane: Lane, *, end: float) -> list[str]:
    pieces: list[tuple[float, float, str]] = []
    at = 0.0
    for event in lane.events:
        if event.start_seconds > at:
            pieces.append((at, event.start_seconds, ""))
        pieces.append((event.start_seconds, event.end_seconds, event.label))
        at = event.end_seconds
    if at < end or not pieces:
        pieces.append((at, end, ""))
    lines = _header(_INTERVALS, _name(lane), end=end, entries="intervals", number=len(pieces))
    for number, (start, stop, text) in enumerate(pieces, start=1):
        lines += [
            f"        intervals [{number}]:",
            f"            xmin = {_time(start)}",
            f"            xmax = {_time(stop)}",
            f"            text = {_quoted(text)}",
        ]
    return lines


def _point_tier(lane: Lane, *, end: float) -> list[str]:
    lines = _header(_POINTS, _name(lane), end=end, entries="points", number=len(lane.events))
    for number, event in enumerate(lane.events, start=1):
        lines += [
            f"        points [{number}]:",
            f"            number = {_time(event.start_seconds)}",
            f"            mark = {_quoted(event.label)}",
        ]
    return lines


def _header(kind: str, name: str, *, end: float, entries: str, number: int) -> list[str]:
    return [
        f'        class = "{kind}"',
        f"        name = {_quoted(name)}",
        "        xmin = 0",
        f"        xmax = {_time(end)}",
        f"        {entries}: size = {number}",
    ]


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _time(seconds: float) -> str:
    return text_of(seconds, decimals=9)
