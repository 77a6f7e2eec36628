"""Changing a JSON text here and there: what is not changed stays byte for byte."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_BLANK = re.compile(r"[ \t\r\n]*")
_ATOM = re.compile(r"[^,\]}\s]+")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)


@dataclass(frozen=True)
class Member:
    """A member of an object: its key, and where its value begins and ends in the text."""

    key: str
    start: int
    end: int


def members(text: str, start: int = 0) -> list[Member]:
    """The members of the object whose ``{`` is at ``start``, after blanks, of a valid JSON text.

    >>> text = '{"a": [1, {"b": "}"}], "c": 2}'
    >>> [(one.key, text[one.start : one.end]) for one in members(text)]
    [('a', '[1, {"b": "}"}]'), ('c', '2')]
    """
    at = _skip(text, start) + 1
    found: list[Member] = []
    while True:
        at = _skip(text, at)
        if text[at] == "}":
            return found
        if text[at] == ",":
            at = _skip(text, at + 1)
        match = _STRING.match(text, at)
        assert match is not None, "a valid object has keys in quotes"
        at = _skip(text, _skip(text, match.end()) + 1)
        end = _end(text, at)
        found.append(Member(json.loads(match.group()), at, end))
        at = end


def with_members(text: str, start: int, added: Mapping[str, Any]) -> str:
    r"""The text with new members at the end of the object whose ``{`` is at ``start``.

    They are laid out as the members before them.

    >>> with_members('{"a": 1}', 0, {"b": [2]})
    '{"a": 1, "b": [2]}'
    >>> with_members('{\n "a": {}\n}', 8, {"b": 1})
    '{\n "a": {"b": 1}\n}'
    """
    begin = _skip(text, start)
    known = members(text, begin)
    for key, value in added.items():
        if known:
            at = known[-1].end
            first = _skip(text, begin + 1)
            indent = text[begin + 1 : first]
            level = indent.rpartition("\n")[2] if "\n" in indent else None
        else:
            at, indent, level = begin + 1, "", None
        body = _laid_out(value, level)
        gap = "," + (indent or " ") if known else ""
        piece = f"{gap}{json.dumps(key, ensure_ascii=False)}: {body}"
        text = text[:at] + piece + text[at:]
        known = members(text, begin)
    return text


def _laid_out(value: Any, level: str | None) -> str:
    if level is None:
        return json.dumps(value, ensure_ascii=False)
    step = level[:1] * max(1, len(level) // 2) if level else " "
    return json.dumps(value, ensure_ascii=False, indent=step).replace("\n", "\n" + level)


def _skip(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return match.end() if match else at


def _end(text: str, at: int) -> int:
    """Where the value that begins at ``at`` ends."""
    if text[at] == '"':
        match = _STRING.match(text, at)
        return match.end() if match else len(text)
    if text[at] not in "[{":
        match = _ATOM.match(text, at)
        return match.end() if match else len(text)
    depth = 0
    for match in re.compile(r'[\[\]{}]|"(?:[^"\\]|\\.)*"', re.DOTALL).finditer(text, at):
        sign = match.group()
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(sign, 0)
        if depth == 0:
            return match.end()
    return len(text)
