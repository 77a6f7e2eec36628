"""The database of a project: older versions get what they lack."""

import sqlite3
from pathlib import Path

import pytest

from mmad.errors import ProjectError
from mmad.projects import schema
from mmad.projects.schema import FILE_NAME, connect, create


def tables(path: Path) -> list[str]:
    with sqlite3.connect(path) as opened:
        return [row[0] for row in opened.execute("SELECT sql FROM sqlite_master ORDER BY name")]


@pytest.mark.parametrize("version", range(1, schema.VERSION))
def test_an_older_database_becomes_a_new_one_and_keeps_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    new, old = tmp_path / "new.sqlite", tmp_path / FILE_NAME
    create(new).close()
    with monkeypatch.context() as older:
        older.setattr(schema, "_STEPS", schema._STEPS[:version])
        older.setattr(schema, "VERSION", version)
        connection = create(old)
        connection.execute("INSERT INTO annotators (name) VALUES ('Ann')")
        connection.close()
    assert tables(old) != tables(new)

    connection = connect(old)
    assert [row["name"] for row in connection.execute("SELECT * FROM annotators")] == ["Ann"]
    assert connection.execute("PRAGMA user_version").fetchone()[0] == schema.VERSION
    connection.close()
    assert tables(old) == tables(new)


def test_two_processes_upgrade_one_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / FILE_NAME
    with monkeypatch.context() as older:
        older.setattr(schema, "_STEPS", schema._STEPS[:1])
        older.setattr(schema, "VERSION", 1)
        create(path).close()
    connect(path).close()
    late = sqlite3.connect(path, isolation_level=None)
    # As if it had read the version before the other one.
    schema._upgrade(late, 1)
    assert not late.in_transaction
    late.close()


def test_a_step_that_fails_leaves_the_database_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / FILE_NAME
    create(path).close()
    before = tables(path)
    steps = (*schema._STEPS, "CREATE TABLE new_one (a); CREATE TABLE new_one (a);")
    monkeypatch.setattr(schema, "_STEPS", steps)
    monkeypatch.setattr(schema, "VERSION", len(steps))
    with pytest.raises(ProjectError, match="cannot be opened"):
        connect(path)
    assert tables(path) == before
