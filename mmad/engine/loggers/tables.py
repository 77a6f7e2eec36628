"""The log as CSV files: ``steps.csv`` and ``validations.csv`` of the run folder."""

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

from mmad.engine.loggers.contract import Row
from mmad.files import cannot_write, write_text

# Kind of a row -> its file.
TABLES: Mapping[str, str] = {"step": "steps.csv", "validation": "validations.csv"}


class LogTables:
    """A table for each kind of rows; the columns are the figures of its rows.

    Args:
        folder: Run folder.
        rows: Rows of the log so far; the tables have these to begin with.

    Raises: OutputError if a file cannot be written.
    """

    def __init__(self, folder: Path, rows: Iterable[Row]) -> None:
        self._folder = folder
        self._columns: dict[str, list[str]] = {}
        found: dict[str, list[Row]] = {kind: [] for kind in TABLES}
        for row in rows:
            found.get(row["kind"], []).append(row)
        for kind, those in found.items():
            self._columns[kind] = _columns(those)
            if those:
                self._write(kind, those)

    def append(self, row: Row) -> None:
        """Add a row to the table of its kind."""
        kind = row["kind"]
        if kind not in TABLES:
            return
        columns = _columns([dict.fromkeys(self._columns[kind]), row])
        if columns != self._columns[kind]:  # the first row, or one with more figures
            written = self._written(kind)
            self._columns[kind] = columns
            self._write(kind, [*written, row])
            return
        try:
            with self._path(kind).open("a", encoding="utf-8", newline="") as file:
                file.write(self._text(kind, [row]))
        except OSError as error:
            raise cannot_write(self._path(kind), error) from None

    def _path(self, kind: str) -> Path:
        return self._folder / TABLES[kind]

    def _written(self, kind: str) -> list[Row]:
        """The rows in a file; none if there is no file."""
        if not self._columns[kind]:
            return []
        with self._path(kind).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def _write(self, kind: str, rows: Iterable[Row]) -> None:
        header = dict(zip(self._columns[kind], self._columns[kind], strict=True))
        write_text(self._path(kind), self._text(kind, [header, *rows]))

    def _text(self, kind: str, rows: Iterable[Row]) -> str:
        out = io.StringIO()
        table = csv.DictWriter(out, self._columns[kind], extrasaction="ignore", lineterminator="\n")
        table.writerows(rows)
        return out.getvalue()


def _columns(rows: Iterable[Row]) -> list[str]:
    """The names in the rows but ``kind``, in the order in which they come."""
    return [name for name in dict.fromkeys(name for row in rows for name in row) if name != "kind"]
