"""What people decided about the videos of a project, and its history."""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from mmad.errors import ProjectError
from mmad.projects.catalogue import Catalogue
from mmad.projects.database import Database, now
from mmad.projects.records import Change, Instance, ProjectVideo, Stretch, What


class Decisions:
    """The instances that people coded; every change of them is kept, with who and when."""

    def __init__(self, database: Database, catalogue: Catalogue) -> None:
        self._database = database
        self._catalogue = catalogue

    def annotators(self) -> list[str]:
        """Names of all annotators."""
        return [
            row["name"] for row in self._database.all("SELECT name FROM annotators ORDER BY id")
        ]

    def instances(self, name: str, annotator: str) -> list[Instance]:
        """What a person has decided about a video, by start."""
        rows = self._database.all(
            "SELECT instances.* FROM instances JOIN annotators ON annotator = annotators.id "
            "WHERE video = ? AND annotators.name = ? ORDER BY start_seconds, instances.id",
            self._catalogue.video(name).id,
            annotator,
        )
        return [_instance(dict(row)) for row in rows]

    def instances_at(self, name: str, annotator: str, made: str) -> list[Instance]:
        """What a person had decided about a video at a time in UTC (ISO 8601), by start."""
        rows = self._database.all(
            "SELECT changes.* FROM changes JOIN annotators ON annotator = annotators.id "
            "WHERE annotators.name = ? AND video = ? AND made <= ? ORDER BY changes.id",
            annotator,
            self._catalogue.video(name).id,
            made,
        )
        found: dict[int | None, Instance] = {}
        for change in self._changes(rows):
            for one in change.before:
                del found[one.id]
            found |= {one.id: one for one in change.after}
        return sorted(found.values(), key=lambda one: (one.start_seconds, one.id or 0))

    def change(
        self,
        annotator: str,
        name: str,
        what: What,
        *,
        remove: Iterable[int] = (),
        add: Sequence[Instance] = (),
    ) -> Change:
        """Replace instances of a person in a video by others, and keep both in the history.

        Args:
            annotator: Who decides.
            name: Video.
            what: What is done, for the history.
            remove: Numbers of the instances that end.
            add: The new ones; an ``id`` that is in ``remove`` is kept.

        Raises: ProjectError if an instance is not this person's in this video, a segment is
            reversed, empty or outside the video, or there is no such behaviour.
        """
        segments = [time for one in add for time in (one.start_seconds, one.end_seconds)]
        video = self._video_with(name, *segments)
        known = {one.id for one in self._catalogue.behaviours()}
        if unknown := {one.behaviour for one in add} - known:
            raise ProjectError(f"{min(unknown)} is not the number of a behaviour of the project")
        with self._database.transaction():
            return self._change(self._annotator(annotator), video.id, what, tuple(remove), add)

    def undo(self, annotator: str) -> Change | None:
        """Undo the last change of a person that is not undone; None if there is none.

        An undoing is a change, too: the history keeps both.
        """
        return self._take_back(annotator, "undo")

    def redo(self, annotator: str) -> Change | None:
        """Take back the last undoing, unless a new change came after it; None if there is none."""
        return self._take_back(annotator, "redo")

    def can_take_back(self, annotator: str) -> tuple[int, int]:
        """The number of changes that a person can undo, and of those that can be done again."""
        undoable, undone = self._stacks(annotator)
        return len(undoable), len(undone)

    def history(self, *, annotator: str | None = None) -> list[Change]:
        """All changes, or those of a person, in their order."""
        if annotator is None:
            return self._changes(self._database.all("SELECT * FROM changes ORDER BY id"))
        return self._changes(
            self._database.all(
                "SELECT * FROM changes WHERE annotator = "
                "(SELECT id FROM annotators WHERE name = ?) ORDER BY id",
                annotator,
            )
        )

    def mark_reviewed(
        self, annotator: str, name: str, start_seconds: float, end_seconds: float, *, blind: bool
    ) -> None:
        """Note that a person has looked at all of a stretch of a video.

        Unless they were blind, stretches that meet or overlap become one.

        Raises: ProjectError if it is not a stretch of the video.
        """
        video = self._video_with(name, start_seconds, end_seconds)
        with self._database.transaction():
            who = self._annotator(annotator)
            if not blind:
                for old in self._end_reviewed(who, video.id, start_seconds, end_seconds):
                    start_seconds = min(start_seconds, old.start_seconds)
                    end_seconds = max(end_seconds, old.end_seconds)
            self._add_reviewed(who, Stretch(video.id, start_seconds, end_seconds, blind))

    def clear_reviewed(
        self, annotator: str, name: str, start_seconds: float, end_seconds: float
    ) -> None:
        """Take back that a person has looked at a stretch; what they saw blind stays.

        Raises: ProjectError if it is not a stretch of the video.
        """
        video = self._video_with(name, start_seconds, end_seconds)
        with self._database.transaction():
            who = self._annotator(annotator)
            for old in self._end_reviewed(who, video.id, start_seconds, end_seconds):
                for start, end in (
                    (old.start_seconds, start_seconds),
                    (end_seconds, old.end_seconds),
                ):
                    if start < end:
                        self._add_reviewed(who, Stretch(video.id, start, end, False))

    def reviewed(self, annotator: str) -> list[Stretch]:
        """The stretches that a person has looked at, without those taken back."""
        rows = self._database.all(
            "SELECT reviewed.* FROM reviewed JOIN annotators ON annotator = annotators.id "
            "WHERE annotators.name = ? AND ended IS NULL ORDER BY reviewed.id",
            annotator,
        )
        return [_stretch(row) for row in rows]

    def _end_reviewed(self, annotator: int, video: int, start: float, end: float) -> list[Stretch]:
        """End the stretches that a person saw, not blind, and that meet or overlap this one."""
        rows = self._database.all(
            "SELECT * FROM reviewed WHERE annotator = ? AND video = ? AND ended IS NULL AND "
            "NOT is_blind AND start_seconds <= ? AND end_seconds >= ?",
            annotator,
            video,
            end,
            start,
        )
        ended = [(now(), row["id"]) for row in rows]
        self._database.run_many("UPDATE reviewed SET ended = ? WHERE id = ?", ended)
        return [_stretch(row) for row in rows]

    def _add_reviewed(self, annotator: int, one: Stretch) -> None:
        row = (now(), annotator, one.video, one.start_seconds, one.end_seconds, one.is_blind)
        self._database.run(
            "INSERT INTO reviewed (made, annotator, video, start_seconds, end_seconds, is_blind) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            row,
        )

    def _video_with(self, name: str, *segments: float) -> ProjectVideo:
        """The video, which has these segments: starts and ends in turn."""
        video = self._catalogue.video(name)
        for start, end in zip(segments[::2], segments[1::2], strict=True):
            if not 0 <= start < end <= video.duration_seconds + 1 / video.fps:
                raise ProjectError(
                    f"video '{name}': {start:.3f} to {end:.3f} s is not a stretch of its "
                    f"{video.duration_seconds:.3f} s"
                )
        return video

    def _stacks(self, annotator: str) -> tuple[list[int], list[int]]:
        """Numbers of the changes that can be undone, and of undoings that can be taken back."""
        undoable: list[int] = []
        undone: list[int] = []
        for row in self._database.all(
            "SELECT id, what, undoes FROM changes WHERE annotator = "
            "(SELECT id FROM annotators WHERE name = ?) ORDER BY id",
            annotator,
        ):
            if row["what"] == "undo":
                undoable.pop()
                undone.append(row["id"])
                continue
            if row["what"] == "redo":
                undone.pop()
            else:
                undone.clear()
            undoable.append(row["id"])
        return undoable, undone

    def _take_back(self, annotator: str, what: Literal["undo", "redo"]) -> Change | None:
        with self._database.transaction():
            undoable, undone = self._stacks(annotator)
            stack = undoable if what == "undo" else undone
            if not stack:
                return None
            rows = self._database.all("SELECT * FROM changes WHERE id = ?", stack[-1])
            last = self._changes(rows)[0]
            return self._change(
                self._annotator(annotator),
                last.video,
                what,
                tuple(one.id for one in last.after if one.id is not None),
                last.before,
                undoes=last.id,
            )

    def _annotator(self, name: str) -> int:
        """The number of a person, who is added at the first decision."""
        if not name.strip():
            raise ProjectError("who decides? an annotator needs a name")
        self._database.run("INSERT OR IGNORE INTO annotators (name) VALUES (?)", (name,))
        return int(self._database.all("SELECT id FROM annotators WHERE name = ?", name)[0]["id"])

    def _change(
        self,
        annotator: int,
        video: int,
        what: str,
        remove: tuple[int, ...],
        add: Sequence[Instance],
        undoes: int | None = None,
    ) -> Change:
        before = []
        for number in remove:
            rows = self._database.all(
                "SELECT * FROM instances WHERE id = ? AND annotator = ? AND video = ?",
                number,
                annotator,
                video,
            )
            if not rows:
                raise ProjectError(
                    f"instance {number} is not there any more, or is another person's; load the "
                    "video again"
                )
            before.append(_instance(dict(rows[0])))
            self._database.run("DELETE FROM instances WHERE id = ?", (number,))
        after = []
        for one in add:
            kept = one.id if undoes is not None or one.id in remove else None
            cursor = self._database.run(
                "INSERT INTO instances VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    kept,
                    annotator,
                    video,
                    one.behaviour,
                    one.start_seconds,
                    one.end_seconds,
                    one.state,
                    one.detection,
                ),
            )
            after.append(_instance(one.as_json() | {"id": cursor.lastrowid}))
        texts = [json.dumps([one.as_json() for one in each]) for each in (before, after)]
        cursor = self._database.run(
            "INSERT INTO changes (made, annotator, video, what, before, after, undoes) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (now(), annotator, video, what, *texts, undoes),
        )
        return self._changes(
            self._database.all("SELECT * FROM changes WHERE id = ?", cursor.lastrowid)
        )[0]

    def _changes(self, rows: Iterable[sqlite3.Row]) -> list[Change]:
        names = {row["id"]: row["name"] for row in self._database.all("SELECT * FROM annotators")}
        return [
            Change(
                row["id"],
                row["made"],
                names[row["annotator"]],
                row["video"],
                row["what"],
                tuple(_instance(one) for one in json.loads(row["before"])),
                tuple(_instance(one) for one in json.loads(row["after"])),
                row["undoes"],
            )
            for row in rows
        ]


def _instance(fields: Mapping[str, Any]) -> Instance:
    names = ("id", "behaviour", "start_seconds", "end_seconds", "state", "detection")
    return Instance(**{name: fields[name] for name in names})


def _stretch(row: sqlite3.Row) -> Stretch:
    return Stretch(row["video"], row["start_seconds"], row["end_seconds"], bool(row["is_blind"]))
