"""The database of a project, as its parts use it."""

import sqlite3
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

from mmad.errors import ProjectError
from mmad.projects.schema import FILE_NAME, transaction


class Database:
    """An open database and the folder that it is in.

    Attributes:
        folder: Folder of the project.
        connection: Connection of SQLite.
    """

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        self.folder = folder
        self.connection = connection

    def all(self, statement: str, *values: object) -> list[sqlite3.Row]:
        """All rows of a query.

        Raises: ProjectError if the file is damaged.
        """
        try:
            return self.connection.execute(statement, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise ProjectError(f"{self.folder / FILE_NAME}: cannot be read ({error})") from None

    def run(self, statement: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        """Run a statement of a transaction."""
        return self.connection.execute(statement, values)

    def run_many(self, statement: str, rows: Sequence[Sequence[object]]) -> None:
        """Run a statement of a transaction for each row."""
        self.connection.executemany(statement, rows)

    def transaction(self) -> AbstractContextManager[None]:
        """All statements of the block, or none; on disk when it ends."""
        return transaction(self.connection)


def now() -> str:
    """The time in UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
