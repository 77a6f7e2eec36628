"""Label files: the classes of a data set, with or without a second level such as body parts.

Text has one name per line, or ``number name`` as in the classInd.txt of UCF101; CSV has a header;
JSON is the labels.json of a run, a list of names or of objects, or an object with a number for
each name.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmad.annotations.labels.changes import (
    LabelChanges,
    is_table_of_changes,
    read_label_changes,
)
from mmad.config.labels import read_label_map
from mmad.errors import AnnotationError, raise_problems
from mmad.labels import MA52, LabelMap
from mmad.parsing import RepeatedKeyDict, json_value, parse_csv, read_text, wrong_width

MA52_LABELS = "ma52"
# Possible names of a column, or of a key of a JSON object; the first one present is used.
_NAME = ("name", "label_name", "class_name", "action", "label", "class")
_NUMBER = ("number", "index", "id", "label_id", "class_id", "label", "class")
_PARENT = ("parent", "body_part", "body part", "part", "body", "group")
_CODE = ("code",)
_COLUMNS = "name, and if you like number, parent (body part) and code"
_NUMBERED_LINE = re.compile(r"(\d+)(?:\s*[,:;]\s*|\s+)(\S.*)")
_NAMED = 5


@dataclass(frozen=True)
class _Row:
    """A class as in the file; missing fields are empty."""

    where: str
    name: str
    number: str = ""
    parent: str = ""
    code: str = ""


def labels_named(setting: str | Path) -> LabelMap:
    """The label set for a value of ``data.labels`` or ``--labels``: ma52 or a label file.

    Raises: AnnotationError as in `read_labels`, or if it is neither.
    """
    if str(setting) == MA52_LABELS:
        return MA52
    path = Path(setting)
    if not path.is_file():
        raise AnnotationError(
            f"labels {setting}: there is no such file; expected ma52, or a label file: a name a "
            "line, or CSV or JSON"
        )
    return read_labels(path)


def labels_or_changes(setting: str | Path) -> LabelMap | LabelChanges:
    """As `labels_named`, or the new names of a CSV with the columns from and to.

    Raises: AnnotationError as in `labels_named` and `read_label_changes`.
    """
    path = Path(setting)
    if path.is_file() and path.suffix.lower() == ".csv":
        header, _ = parse_csv(path, read_text(path))
        if is_table_of_changes(header):
            return read_label_changes(path)
    return labels_named(setting)


def read_labels(path: str | Path) -> LabelMap:
    """The label set in a label file, in the order of its numbers, else of the file.

    Numbers begin at 0 or 1; lists of clips are read with the same numbers.

    Raises: AnnotationError with all problems of the file: a repeated class, a gap in the numbers,
    a class without a parent where others have one.
    """
    path = Path(path)
    text = read_text(path)
    problems: list[str] = []
    if path.suffix.lower() == ".json":
        content = json_value(path, text, pairs=RepeatedKeyDict)
        if isinstance(content, Mapping) and "names" in content:
            return read_label_map(path, error=AnnotationError)
        rows = _rows_of_json(path, content, problems)
    elif path.suffix.lower() == ".csv":
        rows = _rows_of_csv(path, text, problems)
    else:
        rows = _rows_of_text(text, problems)
    if not rows and not problems:
        raise AnnotationError(f"{path}: expected the names of the classes, found none")
    return _label_map(path, rows, problems)


def _rows_of_text(text: str, problems: list[str]) -> list[_Row]:
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1)]
    while lines and not lines[-1][1]:
        lines.pop()
    filled = [(number, line) for number, line in lines if line]
    matches = [_NUMBERED_LINE.fullmatch(line) for _, line in filled]
    if 2 * sum(match is not None for match in matches) <= len(filled):
        problems += [
            f"line {number} is empty; remove it: a class has the number of its line"
            for number, line in lines
            if not line
        ]
        return [_Row(f"line {number}", line) for number, line in filled]
    rows = []
    for (number, line), match in zip(filled, matches, strict=True):
        if match is None:
            problems.append(
                f"line {number}: expected 'number name' as in other lines, found {line!r:.60}"
            )
        else:
            rows.append(_Row(f"line {number}", match[2].strip(), number=match[1]))
    return rows


def _rows_of_csv(path: Path, text: str, problems: list[str]) -> list[_Row]:
    header, lines = parse_csv(path, text)
    names = _first_of(_NAME, header)
    if names is None:
        if len(header) == 1 or header[0].isdigit():
            return _rows_of_text(text, problems)
        raise AnnotationError(
            f"{path}: expected a header with the columns {_COLUMNS}; found {', '.join(header):.80}"
        )
    rows = []
    for line, cells in lines:
        if wrong := wrong_width(header, cells):
            problems.append(f"line {line}: {wrong}")
            continue
        rows.append(_row_of(f"line {line}", dict(zip(header, cells, strict=False))))
    return rows


def _rows_of_json(path: Path, content: Any, problems: list[str]) -> list[_Row]:
    expected = (
        "a list of names, a list of objects with name and, if you like, number, parent and code, "
        "an object with a number for each name, or the labels.json of a run"
    )
    rows: list[_Row] = []
    if isinstance(content, RepeatedKeyDict):
        problems += [f"'{key}' appears twice" for key in content.repeated_keys]
        for key, value in content.items():
            if isinstance(value, int) and not isinstance(value, bool):
                rows.append(_Row(f"'{key}'", key, number=str(value)))
            elif isinstance(value, str) and key.isdigit():
                rows.append(_Row(f"'{key}'", value, number=key))
            else:
                raise AnnotationError(f"{path}: expected {expected}; found {key!r}: {value!r:.60}")
        return rows
    if not isinstance(content, list):
        raise AnnotationError(f"{path}: expected {expected}; found {content!r:.60}")
    for place, item in enumerate(content):
        if isinstance(item, str):
            rows.append(_Row(f"item {place}", item.strip()))
        elif isinstance(item, Mapping) and _first_of(_NAME, item) is not None:
            cells = {str(key).casefold(): str(value).strip() for key, value in item.items()}
            rows.append(_row_of(f"item {place}", cells))
        else:
            raise AnnotationError(
                f"{path}: expected {expected}; found {item!r:.60} as item {place}"
            )
    return rows


def _first_of(names: Sequence[str], present: Iterable[str]) -> str | None:
    known = {name.casefold() for name in present}
    return next((name for name in names if name in known), None)


def _row_of(where: str, cells: Mapping[str, str]) -> _Row:
    name = _first_of(_NAME, cells)
    assert name is not None
    rest = [column for column in cells if column != name]

    def cell(names: Sequence[str]) -> str:
        column = _first_of(names, rest)
        return "" if column is None else cells[column]

    return _Row(where, cells[name], cell(_NUMBER), cell(_PARENT), cell(_CODE))


def _label_map(path: Path, rows: Sequence[_Row], problems: list[str]) -> LabelMap:
    problems += [f"{row.where}: the class has no name" for row in rows if not row.name]
    problems += _doubles(rows, lambda row: row.name, "class")
    problems += _doubles(rows, lambda row: row.code, "code")
    problems += _lacking(rows, lambda row: row.code, "code")
    problems += _lacking(rows, lambda row: row.parent, "parent")
    numbers = _numbers(rows, problems)
    raise_problems(AnnotationError, source=str(path), problems=problems)
    if numbers:
        rows = [row for _, row in sorted(zip(numbers, rows, strict=True), key=lambda pair: pair[0])]
    parents = list(dict.fromkeys(row.parent for row in rows if row.parent))
    return LabelMap(
        names=tuple(row.name for row in rows),
        codes=tuple(row.code for row in rows if row.code),
        parents=tuple(parents.index(row.parent) for row in rows if row.parent),
        parent_names=tuple(parents),
        first_number=min(numbers, default=0),
    )


def _doubles(rows: Sequence[_Row], value: Callable[[_Row], str], what: str) -> list[str]:
    """Problems of rows that repeat the ``value`` of an earlier one, case-insensitively."""
    first: dict[str, str] = {}
    problems = []
    for row in rows:
        text = value(row)
        earlier = first.setdefault(text.casefold(), row.where)
        if text and earlier != row.where:
            problems.append(f"{row.where}: {what} '{text}' appears twice, first at {earlier}")
    return problems


def _lacking(rows: Sequence[_Row], value: Callable[[_Row], str], what: str) -> list[str]:
    """Problems of rows without a ``value`` that others have."""
    without = [row for row in rows if not value(row)]
    if len(without) == len(rows):
        return []
    return [f"{row.where}: class '{row.name}' has no {what}, others have one" for row in without]


def _numbers(rows: Sequence[_Row], problems: list[str]) -> list[int]:
    """The number of each row; empty if the file has none."""
    problems += _lacking(rows, lambda row: row.number, "number")
    given = [row for row in rows if row.number]
    wrong = [row for row in given if not (row.number.isascii() and row.number.isdigit())]
    problems += [
        f"{row.where}: class '{row.name}': expected a whole number, found {row.number!r:.20}"
        for row in wrong
    ]
    if wrong or len(given) < len(rows) or not rows:
        return []
    numbers = [int(row.number[:9]) for row in rows]
    problems += [
        f"number {number} appears {times} times, such as for '{rows[numbers.index(number)].name}'"
        for number, times in Counter(numbers).items()
        if times > 1
    ]
    first = min(numbers)
    if first > 1:
        problems.append(f"the numbers begin at {first}; expected 0 or 1")
    missing = [n for n in range(first, first + len(rows)) if n not in set(numbers)]
    if missing and len(set(numbers)) == len(numbers):
        dots = ", ..." if len(missing) > _NAMED else ""
        problems.append(
            f"the numbers go up to {max(numbers)} without {', '.join(map(str, missing[:_NAMED]))}"
            f"{dots}; number all classes without a gap"
        )
    return numbers
