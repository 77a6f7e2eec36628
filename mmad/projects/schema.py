"""The SQLite file of a project: its tables, and opening it."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mmad.errors import ProjectError

FILE_NAME = "project.sqlite"
# "mmad" in ASCII; the program `file` and we tell by it what the database is.
_APPLICATION_ID = 0x6D6D6164
_BUSY_SECONDS = 10.0

# Model output (sources, searched, detections, curves) and human decisions (instances, changes,
# reviewed) are separate tables, and nothing in the first ever changes a row of the second.
_FIRST = """
CREATE TABLE facts (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE behaviours (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    code TEXT,
    body_part TEXT,
    is_active INTEGER NOT NULL DEFAULT 1
);
CREATE TABLE videos (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    path TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    duration_seconds REAL NOT NULL,
    fps REAL NOT NULL,
    num_frames INTEGER NOT NULL,
    person TEXT
);
CREATE TABLE conditions (
    video INTEGER NOT NULL REFERENCES videos,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (video, name)
) WITHOUT ROWID;
CREATE TABLE annotators (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE sources (
    id INTEGER PRIMARY KEY,
    made TEXT NOT NULL,
    model TEXT NOT NULL,
    settings TEXT NOT NULL
);
CREATE TABLE searched (
    source INTEGER NOT NULL REFERENCES sources,
    video INTEGER NOT NULL REFERENCES videos,
    made TEXT NOT NULL,
    PRIMARY KEY (source, video)
) WITHOUT ROWID;
CREATE INDEX searched_of_video ON searched (video, source);
CREATE TABLE detections (
    id INTEGER PRIMARY KEY,
    source INTEGER NOT NULL REFERENCES sources,
    video INTEGER NOT NULL REFERENCES videos,
    behaviour INTEGER NOT NULL REFERENCES behaviours,
    start_seconds REAL NOT NULL,
    end_seconds REAL NOT NULL,
    score REAL NOT NULL
);
CREATE INDEX detections_of_video ON detections (video, source, score);
CREATE TABLE instances (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    annotator INTEGER NOT NULL REFERENCES annotators,
    video INTEGER NOT NULL REFERENCES videos,
    behaviour INTEGER NOT NULL REFERENCES behaviours,
    start_seconds REAL NOT NULL,
    end_seconds REAL NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('accepted', 'rejected', 'merged')),
    detection INTEGER REFERENCES detections
);
CREATE INDEX instances_of_video ON instances (video, annotator, start_seconds);
CREATE INDEX instances_of_detection ON instances (detection, annotator);
CREATE TABLE changes (
    id INTEGER PRIMARY KEY,
    made TEXT NOT NULL,
    annotator INTEGER NOT NULL REFERENCES annotators,
    video INTEGER NOT NULL REFERENCES videos,
    what TEXT NOT NULL,
    before TEXT NOT NULL,
    after TEXT NOT NULL,
    undoes INTEGER REFERENCES changes
);
CREATE INDEX changes_of_annotator ON changes (annotator, id);
CREATE TABLE reviewed (
    id INTEGER PRIMARY KEY,
    made TEXT NOT NULL,
    annotator INTEGER NOT NULL REFERENCES annotators,
    video INTEGER NOT NULL REFERENCES videos,
    start_seconds REAL NOT NULL,
    end_seconds REAL NOT NULL,
    is_blind INTEGER NOT NULL
);
CREATE INDEX reviewed_of_video ON reviewed (video, annotator);
"""
_SECOND = """
CREATE TABLE curves (
    source INTEGER NOT NULL REFERENCES sources,
    video INTEGER NOT NULL REFERENCES videos,
    step_seconds REAL NOT NULL,
    behaviours TEXT NOT NULL,
    scores BLOB NOT NULL,
    PRIMARY KEY (source, video)
);
CREATE TABLE blind_stretches (
    id INTEGER PRIMARY KEY,
    made TEXT NOT NULL,
    video INTEGER NOT NULL REFERENCES videos,
    start_seconds REAL NOT NULL,
    end_seconds REAL NOT NULL,
    place REAL NOT NULL
);
CREATE UNIQUE INDEX blind_stretches_of_video ON blind_stretches (video, start_seconds);
CREATE TABLE seen_before (
    stretch INTEGER NOT NULL REFERENCES blind_stretches,
    annotator INTEGER NOT NULL REFERENCES annotators,
    PRIMARY KEY (stretch, annotator)
) WITHOUT ROWID;
ALTER TABLE reviewed ADD COLUMN ended TEXT;
ALTER TABLE sources ADD COLUMN threshold REAL;
CREATE TABLE extractors (
    id INTEGER PRIMARY KEY,
    made TEXT NOT NULL,
    model TEXT NOT NULL,
    file TEXT NOT NULL UNIQUE
);
"""
# Step n makes a database of version n out of one of version n - 1. What is in a release stays as
# it is; changes are a new step.
_STEPS = (_FIRST, _SECOND)
VERSION = len(_STEPS)


def create(path: Path) -> sqlite3.Connection:
    """A new, empty database at ``path``, which must not exist.

    Raises: ProjectError if it cannot be written.
    """
    try:
        connection = _connected(f"{path.resolve().as_uri()}?mode=rwc")
        _upgrade(connection, 0)
    except sqlite3.Error as error:
        raise ProjectError(f"{path}: cannot be written ({error}); check the folder") from None
    return connection


def connect(path: Path) -> sqlite3.Connection:
    """The database at ``path``, to read and write.

    Every transaction is on disk when it ends, so that a killed process loses none that it reported.
    A database of an older version gets the tables that it lacks.

    Raises: ProjectError if it is not the database of a project, is of a newer version, or is
        read-only.
    """
    if not path.is_file():
        raise ProjectError(
            f"{path.parent}: is not a project (it has no {FILE_NAME}); make one with mmad project "
            "new"
        )
    try:
        connection = _connected(f"{path.resolve().as_uri()}?mode=rw")
        found = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if found == _APPLICATION_ID and version < VERSION:
            _upgrade(connection, version)
        elif found == _APPLICATION_ID and version == VERSION:
            with transaction(connection):
                pass
    except sqlite3.OperationalError as error:
        raise ProjectError(_reason(path, error)) from None
    except sqlite3.DatabaseError as error:
        raise ProjectError(f"{path}: is not a database, or is damaged ({error})") from None
    if found != _APPLICATION_ID:
        raise ProjectError(f"{path}: is the database of another program, not of mmad")
    if version > VERSION:
        raise ProjectError(
            f"{path}: is of a newer mmad (version {version} of its tables, here {VERSION}); "
            "update mmad with pip install --upgrade mmad"
        )
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All statements of the block, or none; on disk when it ends."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _upgrade(connection: sqlite3.Connection, version: int) -> None:
    """Run the steps after ``version``, all or none."""
    steps = "".join(_STEPS[version:])
    pragmas = f"PRAGMA application_id = {_APPLICATION_ID}; PRAGMA user_version = {VERSION};"
    try:
        connection.executescript(f"BEGIN EXCLUSIVE; {steps} {pragmas} COMMIT;")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        # Another process may have done the same meanwhile.
        if connection.execute("PRAGMA user_version").fetchone()[0] != VERSION:
            raise


def _connected(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA foreign_keys = ON")
    with suppress(sqlite3.OperationalError):  # on a read-only disk; the caller finds out
        connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _reason(path: Path, error: sqlite3.OperationalError) -> str:
    text = str(error)
    if "locked" in text:
        return f"{path}: another process is writing to it; close that one, or wait"
    if "readonly" in text:
        return f"{path}: is read-only; copy the project to a folder that you may write to"
    return f"{path}: cannot be opened ({text})"
