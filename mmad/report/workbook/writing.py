"""Writing workbooks (xlsx): sheets of named columns and rows.

Text stays text whatever it looks like: nothing that comes from a file name or a label becomes a
formula, and characters that the format does not allow are escaped.
"""

import math
import re
import unicodedata
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from mmad import __version__
from mmad.files import replaced

if TYPE_CHECKING:
    from openpyxl import Workbook
    from openpyxl.cell.cell import Cell as SheetCell
    from openpyxl.worksheet.worksheet import Worksheet

Cell = str | float | bool | None
Kind = Literal["text", "count", "number", "seconds", "score", "share"]

_FORMATS: dict[Kind, str] = {
    "text": "General",
    "count": "#,##0",
    "number": "0.00",
    "seconds": "0.000",
    "score": "0.000",
    "share": "0.0%",
}
# Limits of the format.
_MOST_ROWS = 1_048_576
_MOST_CHARACTERS = 32_767
_LONGEST_TITLE = 31
_LARGEST_EXACT_INTEGER = 10**15
# Widths in characters.
_NARROWEST, _WIDEST, _WIDEST_NOTE = 8.0, 48.0, 100.0
_PADDING = 2.0
# Of 100,000 rows, the first say how wide a column is.
_MEASURED_ROWS = 2_000

_FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r", "\n")
# What XML 1.0 does not allow, and lone surrogates, which UTF-8 does not.
_ILLEGAL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
# Programs read these five characters as one, so the first underscore is escaped in the same way.
_ESCAPE_OF_FORMAT = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
_NOT_IN_TITLES = re.compile(r"[\[\]:*?/\\\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_RESERVED_TITLES = ("history",)


@dataclass(frozen=True)
class Column:
    """A column of a sheet.

    Attributes:
        name: Header.
        kind: How its numbers are shown: "count" without decimals, "number" with two, "seconds" and
            "score" with three, "share" in percent. Cells keep all digits.
    """

    name: str
    kind: Kind = "text"


@dataclass(frozen=True)
class Sheet:
    """A sheet of a workbook.

    Attributes:
        title: Name of the sheet; shortened and made unique where the format requires it.
        columns: Its columns.
        rows: Cells of each row, as many as columns; None, NaN and infinity leave a cell empty.
        is_table: Whether the header stays in view and rows can be filtered; otherwise it is a page
            of notes, whose text is wrapped.
    """

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    is_table: bool = True


def write_workbook(path: str | Path, sheets: Sequence[Sheet], *, title: str = "") -> None:
    """Write sheets as a workbook, atomically.

    A sheet of more than 1,048,575 rows continues on the next one.

    Args:
        path: File to write; its name ends in .xlsx.
        sheets: Sheets in order, at least one.
        title: Title among the properties of the document.

    Raises: OutputError if it cannot be written.
    """
    from openpyxl import Workbook

    assert sheets, "a workbook has a sheet"
    workbook = Workbook(write_only=True)
    workbook.properties.creator = f"mmad {__version__}"
    workbook.properties.title = _xml_text(title)
    with replaced(path, errors=(zipfile.LargeZipFile,)) as partial:
        titles: set[str] = set()
        for sheet in sheets:
            for first in range(0, max(len(sheet.rows), 1), _MOST_ROWS - 1):
                title_of_sheet = sheet_title(sheet.title, taken=titles)
                titles.add(title_of_sheet.casefold())
                _add(workbook, sheet, title_of_sheet, sheet.rows[first : first + _MOST_ROWS - 1])
        workbook.save(partial)


def sheet_title(wanted: str, *, taken: set[str]) -> str:
    """A name that a sheet may have: at most 31 characters, without signs of formulas, unique.

    Args:
        wanted: Wanted name.
        taken: Names of the other sheets, case-folded.

    >>> sheet_title("P01/cam [1]", taken=set()), sheet_title("Events", taken={"events"})
    ('P01 cam  1', 'Events 2')
    """
    plain = _NOT_IN_TITLES.sub(" ", wanted).strip().strip("'").strip() or "Sheet"
    if plain.casefold() in _RESERVED_TITLES:
        plain += " 1"
    name, number = plain[:_LONGEST_TITLE].rstrip("' "), 1
    while name.casefold() in taken:
        number += 1
        ending = f" {number}"
        name = plain[: _LONGEST_TITLE - len(ending)].rstrip("' ") + ending
    return name


def is_formula(text: str) -> bool:
    """Whether spreadsheets would take the text for a formula, or for what begins one.

    >>> [is_formula(text) for text in ("=1+1", "@sum", "-2", "nod")]
    [True, True, True, False]
    """
    return text.startswith(_FORMULA_SIGNS)


def harmless(text: str) -> str:
    """Text for a CSV that people open in a spreadsheet: an apostrophe keeps it from being computed.

    >>> harmless("=HYPERLINK(1)"), harmless("nod")
    ("'=HYPERLINK(1)", 'nod')
    """
    return f"'{text}" if is_formula(text) else text


def _add(workbook: "Workbook", sheet: Sheet, title: str, rows: Sequence[Sequence[Cell]]) -> None:
    from openpyxl.styles import Alignment, Border, Font, Side
    from openpyxl.utils import get_column_letter
    from openpyxl.worksheet.properties import PageSetupProperties

    page = cast("Worksheet", workbook.create_sheet(title))
    widths = _widths(sheet, rows)
    letters = [get_column_letter(place) for place in range(1, len(sheet.columns) + 1)]
    for letter, width in zip(letters, widths, strict=True):
        page.column_dimensions[letter].width = width
    page.page_setup.orientation = "landscape" if sum(widths) > 90 else "portrait"
    page.page_setup.fitToHeight = 0
    page.sheet_properties.pageSetUpPr = PageSetupProperties(fitToPage=True)
    if sheet.is_table:
        page.freeze_panes = "A2"
        page.auto_filter.ref = f"A1:{letters[-1]}{len(rows) + 1}"
        page.print_title_rows = "1:1"
    header = [_cell(page, column.name, "text") for column in sheet.columns]
    for cell, column in zip(header, sheet.columns, strict=True):
        cell.font = Font(bold=True)
        cell.border = Border(bottom=Side(style="thin"))
        side: Literal["left", "right"] = "left" if column.kind == "text" else "right"
        cell.alignment = Alignment(horizontal=side, vertical="top")
    page.append(header)
    kinds = [column.kind for column in sheet.columns]
    for row in rows:
        cells = [_cell(page, value, kind) for value, kind in zip(row, kinds, strict=True)]
        for cell in () if sheet.is_table else cells:
            cell.alignment = Alignment(wrap_text=True, vertical="top", horizontal="left")
        page.append(cells)


def _cell(page: "Worksheet", value: Cell, kind: Kind) -> "SheetCell":
    from openpyxl.cell import WriteOnlyCell

    if value is None or value == "":
        return WriteOnlyCell(page, value=None)
    if isinstance(value, str):
        text = _xml_text(value)[:_MOST_CHARACTERS]
        cell = WriteOnlyCell(page, value=text)
        cell.data_type = "s"  # whatever openpyxl has taken it for: a formula, or an error
        if is_formula(text):
            cell.quotePrefix = True  # so that it stays text when somebody edits it
        return cell
    if isinstance(value, bool):
        return WriteOnlyCell(page, value=value)
    number = value if isinstance(value, int) else float(value)
    if isinstance(number, float) and not math.isfinite(number):
        return WriteOnlyCell(page, value=None)
    if isinstance(number, int) and abs(number) >= _LARGEST_EXACT_INTEGER:
        return _cell(page, str(number), "text")
    cell = WriteOnlyCell(page, value=number)
    cell.number_format = _FORMATS[kind]
    return cell


def _xml_text(text: str) -> str:
    r"""Text that the format can hold, with escapes for what it cannot.

    >>> _xml_text("a\x07b"), _xml_text("_x0041_")
    ('a\\x07b', '_x005F_x0041_')
    """
    text = _ESCAPE_OF_FORMAT.sub("_x005F_", text.replace("\r\n", "\n").replace("\r", "\n"))
    return _ILLEGAL.sub(lambda match: ascii(match.group())[1:-1], text)


def _widths(sheet: Sheet, rows: Sequence[Sequence[Cell]]) -> list[float]:
    """Width of each column in characters."""
    filter_button = 2.0 if sheet.is_table else 0.0
    widths = [_characters(column.name) + filter_button for column in sheet.columns]
    for row in rows[:_MEASURED_ROWS]:
        for place, (value, column) in enumerate(zip(row, sheet.columns, strict=True)):
            widths[place] = max(widths[place], _characters(_shown(value, column.kind)))
    widest = _WIDEST if sheet.is_table else _WIDEST_NOTE
    return [min(max(width + _PADDING, _NARROWEST), widest) for width in widths]


def _shown(value: Cell, kind: Kind) -> str:
    if value is None or isinstance(value, str | bool):
        return "" if value is None else str(value)
    if not math.isfinite(value):
        return ""
    decimals = {"count": 0, "number": 2, "seconds": 3, "score": 3, "share": 1, "text": 0}[kind]
    return f"{value:,.{decimals}f}"


def _characters(text: str) -> float:
    """Width of the longest line; East Asian characters are twice as wide as others."""
    return max(
        (sum(1 + (unicodedata.east_asian_width(one) in "WF") for one in line[:200]))
        for line in (text.splitlines() or [""])
    )
