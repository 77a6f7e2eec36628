"""A file whose format is not known yet: its text in whatever encoding, its rows, its JSON."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import time, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from mmad.errors import AnnotationError
from mmad.packed import require_small_zip
from mmad.parsing import RepeatedKeyDict, encoding_of, json_value, reading, unpacked

DELIMITERS = ("\t", ";", ",")
# BORIS writes what it knows of an observation above the header of its table.
_HIGHEST_HEADER = 60
_WIDEST_HEADER = 500
_NO_TEXT = re.compile(r"[\x00-\x08\x0e-\x1f]")
_ZIP = b"PK\x03\x04"

Row = tuple[int, list[str]]


@dataclass(frozen=True)
class Table:
    """Rows below a header.

    Attributes:
        line: Line of the header.
        header: Cells of the header, stripped.
        rows: Line and cells of each row that is not empty.
        above: Rows above the header.
        delimiter: What separates cells; "" in a spreadsheet.
    """

    line: int
    header: list[str]
    rows: list[Row]
    above: list[Row]
    delimiter: str


class Source:
    """A file, read once and looked at by every reader.

    Attributes:
        path: The file.
        is_packed: Whether it is packed by gzip.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows: dict[str, list[Row]] = {}
        self._bad_rows: dict[str, str] = {}
        self._data, self.is_packed = unpacked(path)
        if not self._data.strip():
            raise AnnotationError(f"{path}: the annotation file is empty")

    @property
    def is_spreadsheet(self) -> bool:
        """Whether it is a zip, as .xlsx files are."""
        return self._data.startswith(_ZIP)

    @cached_property
    def encoding(self) -> str:
        """The encoding of the text.

        Raises: AnnotationError if it is not text.
        """
        found = encoding_of(self._data)
        if found != "utf-8":
            return found
        try:
            self._data.decode("utf-8")
        except UnicodeDecodeError as error:
            text = self._data.decode("cp1252", errors="replace")
            if _NO_TEXT.search(text) or "\ufffd" in text:
                raise AnnotationError(
                    f"{self.path}: expected a text file in UTF-8, found other bytes at position "
                    f"{error.start}"
                ) from None
            return "cp1252"
        return "utf-8"

    @cached_property
    def text(self) -> str:
        """The text, without a byte order mark, with the line ends of the file.

        Raises: AnnotationError if it is not text.
        """
        if self.is_spreadsheet:
            return ""
        try:
            text = self._data.decode(self.encoding)
        except UnicodeDecodeError as error:
            raise AnnotationError(
                f"{self.path}: expected a text file in UTF-8, found other bytes at position "
                f"{error.start}"
            ) from None
        if not text.strip():
            raise AnnotationError(f"{self.path}: the annotation file is empty")
        return text

    @cached_property
    def first_lines(self) -> list[str]:
        """The first five lines that are not empty, stripped."""
        head = self.text if len(self.text) < 2**20 else self.text[: 2**20]
        lines = (line.strip() for line in head.splitlines())
        return [line for line in lines if line][:5]

    @cached_property
    def json(self) -> Any:
        """The JSON value, its objects as `RepeatedKeyDict`; None if it does not begin like one.

        Raises: AnnotationError, with the place, if it begins like JSON but is not.
        """
        if not self.text.lstrip().startswith(("{", "[")):
            return None
        return json_value(self.path, self.text, pairs=RepeatedKeyDict)

    def notices(self) -> tuple[str, ...]:
        """What had to be assumed of the encoding."""
        if self.is_spreadsheet or self.encoding != "cp1252":
            return ()
        return (
            f"{self.path.name} is not UTF-8 and was read as Windows-1252; if letters look wrong, "
            "save it as UTF-8",
        )

    def rows(self, delimiter: str) -> list[Row]:
        """The rows that are not empty, with their lines, cells stripped.

        Raises: AnnotationError if it cannot be split into cells.
        """
        if self.is_spreadsheet:
            delimiter = ""
        if delimiter not in self._rows and delimiter not in self._bad_rows:
            found: list[Row] = []
            self._rows[delimiter] = found
            cells = self._sheet_rows() if self.is_spreadsheet else self._text_rows(delimiter)
            for line, row in cells:
                stripped = [cell.strip() for cell in row]
                if any(stripped):
                    found.append((line, stripped))
        if delimiter in self._bad_rows:
            raise AnnotationError(self._bad_rows[delimiter])
        return self._rows[delimiter]

    def _text_rows(self, delimiter: str) -> Iterator[Row]:
        reader = csv.reader(io.StringIO(self.text, newline=""), delimiter=delimiter, strict=True)
        try:
            for cells in reader:
                yield reader.line_num, cells
        except csv.Error as error:
            self._bad_rows[delimiter] = (
                f"{self.path}: not valid CSV at line {reader.line_num}: {error}"
            )

    def _sheet_rows(self) -> Iterator[Row]:
        """The rows of the first sheet; formulas by their last values."""
        expected = "a spreadsheet (.xlsx)"
        with reading(self.path, expected=expected):
            require_small_zip(self.path, error=AnnotationError)
            import openpyxl

            book = openpyxl.load_workbook(self.path, read_only=True, data_only=True)
            try:
                sheet: Any = book.worksheets[0]
                sheet.reset_dimensions()  # a file may claim more rows than it has
                for line, cells in enumerate(sheet.iter_rows(), start=1):
                    yield line, [_cell_text(cell.value, cell.number_format) for cell in cells]
            finally:
                book.close()

    def table(self, is_header: Callable[[Sequence[str]], bool]) -> Table | None:
        """The table below the first row that is such a header, whatever separates its cells.

        Raises: AnnotationError if there is such a header but the rows cannot be split.
        """
        for delimiter in ("",) if self.is_spreadsheet else DELIMITERS:
            if delimiter and delimiter not in self.text[: 2**20]:
                continue
            try:
                rows = self.rows(delimiter)
            except AnnotationError:
                rows = self._rows[delimiter]
            for place, (line, cells) in enumerate(rows[:_HIGHEST_HEADER]):
                if len(cells) <= _WIDEST_HEADER and is_header(cells):
                    below = self.rows(delimiter)[place + 1 :]
                    return Table(line, cells, below, rows[:place], delimiter)
        return None

    def headers(self) -> list[list[str]]:
        """The first row, split by each delimiter; for messages."""
        found = []
        for delimiter in ("",) if self.is_spreadsheet else DELIMITERS:
            try:
                rows = self.rows(delimiter)
            except AnnotationError:
                rows = self._rows[delimiter]
            if rows:
                found.append(rows[0][1][:_WIDEST_HEADER])
        return found


def _cell_text(value: object, number_format: str | None) -> str:
    """The text of a cell; a clock time as it is shown, so that 0:05 is what it is in a CSV."""
    if value is None:
        return ""
    if isinstance(value, time | timedelta) and "s" not in (number_format or "s").lower():
        return str(value).rpartition(":")[0]
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value)
