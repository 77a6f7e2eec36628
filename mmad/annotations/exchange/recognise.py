"""What the content of a file must have to be in a format, and what it lacks."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from mmad.annotations.clips.lists import CLIP_LINE, is_clip_header
from mmad.annotations.emotions.lists import is_emotion_header
from mmad.annotations.exchange import plain
from mmad.annotations.exchange.source import Source
from mmad.parsing import header_names


@dataclass(frozen=True)
class Miss:
    """Why a file is not in a format.

    Attributes:
        share: How much of it fits, 0 to 1.
        reason: What is missing, for messages.
    """

    share: float
    reason: str


Recognise = Callable[[Source], Miss | None]

_NOTHING = Miss(0.0, "")


def json_with(*keys: str, inside: bool = False) -> Recognise:
    """Recognises a JSON object with all of these keys, or with one ``inside`` its entries."""

    def look(source: Source) -> Miss | None:
        content = source.json
        if not isinstance(content, dict):
            return _NOTHING
        if inside:
            entries = [entry for entry in content.values() if isinstance(entry, dict)]
            if any(keys[0] in entry for entry in entries):
                return None
            return Miss(0.2 if entries else 0.1, f'no entry has "{keys[0]}"')
        missing = [key for key in keys if key not in content]
        if not missing:
            return None
        return Miss(0.9 * (1 - len(missing) / len(keys)), f"without {', '.join(missing)}")

    return look


def json_list_in(key: str) -> Recognise:
    """Recognises a JSON object in which this key has a list."""

    def look(source: Source) -> Miss | None:
        content = source.json
        if isinstance(content, dict) and isinstance(content.get(key), list):
            return None
        return _NOTHING

    return look


def that(is_it: Callable[[Source], bool]) -> Recognise:
    """Recognises what ``is_it``, of text that is not JSON."""

    def look(source: Source) -> Miss | None:
        return None if not _is_json(source) and is_it(source) else _NOTHING

    return look


def table_with(lacking: Callable[..., tuple[str, ...]], fields: Sequence[str]) -> Recognise:
    """Recognises a table that lacks none of the fields."""

    def look(source: Source) -> Miss | None:
        if _is_json(source):
            return _NOTHING
        if source.table(lambda cells: not lacking(cells, needed=fields)) is not None:
            return None
        return nearest_header(
            source, lambda cells: lacking(cells, needed=fields), needed=len(fields)
        )

    return look


def either(*ways: Recognise) -> Recognise:
    """Recognises what any of these does."""

    def look(source: Source) -> Miss | None:
        misses: list[Miss] = []
        for way in ways:
            miss = way(source)
            if miss is None:
                return None
            misses.append(miss)
        return max(misses, key=lambda miss: miss.share)

    return look


def columns_of(*names: str, among: Collection[str] = ()) -> Recognise:
    """Recognises a first line with these columns, separated by commas."""

    def look(source: Source) -> Miss | None:
        if _is_json(source) or not source.first_lines:
            return _NOTHING
        found = header_names(source.first_lines[0].casefold())
        missing = [name for name in (*names, *among) if name not in found]
        if not set(missing) & set(names):
            return None
        share = 1 - len(missing) / (len(names) + len(among))
        return Miss(0.8 * share, f"no column {', '.join(missing)}")

    return look


def is_mma52_csv(source: Source) -> Miss | None:
    """Recognises anything that names video_id in its first line and is no plain table.

    Its reader explains a wrong separator or column.
    """
    first = source.first_lines[0].casefold() if source.first_lines else ""
    if _is_json(source) or "video_id" not in first:
        return _NOTHING
    return None if "total_frames" in first or plain.table_of(source) is None else _NOTHING


def is_clip_list(source: Source) -> Miss | None:
    """Recognises a list of clips with one label each."""
    lines = source.first_lines
    if _is_json(source) or not lines:
        return _NOTHING
    if is_clip_header(lines[0]) or all(CLIP_LINE.fullmatch(line) for line in lines):
        return None
    return _NOTHING


def is_emotion_csv(source: Source) -> Miss | None:
    """Recognises a table of videos with an emotion each."""
    if _is_json(source) or not source.first_lines:
        return _NOTHING
    return None if is_emotion_header(source.first_lines[0]) else _NOTHING


def is_elan(source: Source) -> Miss | None:
    """Recognises an ELAN document; whatever else is named .eaf is explained by its reader."""
    is_named = source.path.suffix.lower() == ".eaf"
    return None if "<ANNOTATION_DOCUMENT" in source.text or is_named else _NOTHING


def is_plain(source: Source) -> Miss | None:
    """Recognises a table with columns for start, end or duration, and label."""
    if _is_json(source):
        return _NOTHING
    if plain.table_of(source) is not None:
        return None
    return nearest_header(source, plain.lacking, needed=3)


def nearest_header(
    source: Source, lacking: Callable[[Sequence[str]], Sequence[str]], *, needed: int
) -> Miss:
    """How near the first row is to a header with ``needed`` columns."""
    best = _NOTHING
    for header in source.headers():
        missing = lacking(header)
        share = 0.8 * (1 - len(missing) / needed)
        if share > best.share:
            shown = ", ".join(header)
            best = Miss(share, f"no column for {', '.join(missing)}; found {shown:.120}")
    return best


def any_json(is_it: Callable[[Any], bool], *signs: str) -> Recognise:
    """Recognises a JSON value that ``is_it``; near if some of the keys ``signs`` are in it."""

    def look(source: Source) -> Miss | None:
        content = source.json
        if content is None:
            return _NOTHING
        if is_it(content):
            return None
        found = content if isinstance(content, dict) else (content or [{}])[0]
        has = [sign for sign in signs if isinstance(found, dict) and sign in found]
        missing = [sign for sign in signs if sign not in has]
        return Miss(0.9 * len(has) / max(1, len(signs)), f"without {', '.join(missing)}")

    return look


def _is_json(source: Source) -> bool:
    return source.text.lstrip()[:1] in ("{", "[")
