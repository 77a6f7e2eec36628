"""The behaviours and videos of a project."""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from mmad.errors import ProjectError, VideoError, raise_problems
from mmad.files import path_from, sha256_of
from mmad.projects.database import Database
from mmad.projects.records import Behaviour, ProjectVideo
from mmad.video.index import index_video


class Catalogue:
    """The behaviours that are coded, and the videos in which."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def behaviours(self) -> list[Behaviour]:
        """All behaviours, in their order."""
        rows = self._database.all("SELECT * FROM behaviours ORDER BY id")
        return [
            Behaviour(row["id"], row["name"], row["code"], row["body_part"], bool(row["is_active"]))
            for row in rows
        ]

    def require_behaviours(self, names: Iterable[str], *, of: str) -> None:
        """Make sure that the project has these behaviours.

        Args:
            names: Their names.
            of: The run that detects them.

        Raises: ProjectError that names some that it lacks.
        """
        known = {one.name for one in self.behaviours()}
        if missing := sorted(set(names) - known):
            some = ", ".join(f"'{one}'" for one in missing[:5])
            more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
            raise ProjectError(
                f"{of}: detects {some}{more}, not among the behaviours of {self._database.folder}; "
                "nothing was added. If they were renamed in the project or in labels.json of the "
                "run, name them alike; to teach the project's own behaviours on the features of "
                "this run, pass mmad project add --features-only"
            )

    def add_behaviour(self, name: str) -> Behaviour:
        """A new behaviour, or the one of this name.

        Raises: ProjectError if the name is empty, or that of another but for case.
        """
        name = name.strip()
        if not name:
            raise ProjectError("a behaviour needs a name")
        for known in self.behaviours():
            if known.name == name:
                return known
            if known.name.casefold() == name.casefold():
                raise ProjectError(
                    f"behaviour '{name}': there is '{known.name}' already; use that spelling"
                )
        with self._database.transaction():
            self._database.run("INSERT INTO behaviours (name) VALUES (?)", (name,))
        return self.behaviours()[-1]

    def rename_behaviour(self, behaviour: int, name: str) -> None:
        """Give a behaviour another name; everything that was coded keeps pointing at it.

        Raises: ProjectError if there is no such behaviour, or the name is taken.
        """
        others = {one.name.casefold(): one.id for one in self.behaviours()}
        if others.get(name.strip().casefold(), behaviour) != behaviour or not name.strip():
            raise ProjectError(f"behaviour '{name}': is empty, or the name of another one")
        with self._database.transaction():
            statement = "UPDATE behaviours SET name = ? WHERE id = ?"
            if self._database.run(statement, (name.strip(), behaviour)).rowcount != 1:
                raise ProjectError(f"there is no behaviour number {behaviour}")

    def videos(self) -> list[ProjectVideo]:
        """All videos, by name."""
        conditions = self._database.all("SELECT * FROM conditions ORDER BY name")
        return self._described(self._database.all("SELECT * FROM videos ORDER BY name"), conditions)

    def video(self, name: str) -> ProjectVideo:
        """The video of this name.

        Raises: ProjectError, with some names, if there is none.
        """
        rows = self._database.all("SELECT * FROM videos WHERE name = ?", name)
        if not rows:
            some = self._database.all("SELECT name FROM videos ORDER BY name LIMIT 5")
            known = ", ".join(row["name"] for row in some)
            raise ProjectError(f"{self._database.folder}: has no video '{name}'; it has {known}")
        statement = "SELECT * FROM conditions WHERE video = ? ORDER BY name"
        return self._described(rows, self._database.all(statement, rows[0]["id"]))[0]

    def _described(
        self, rows: Sequence[sqlite3.Row], conditions: Sequence[sqlite3.Row]
    ) -> list[ProjectVideo]:
        """Videos of rows, with their conditions."""
        by_video: dict[int, dict[str, str]] = {}
        for row in conditions:
            by_video.setdefault(row["video"], {})[row["name"]] = row["value"]
        return [
            ProjectVideo(
                row["id"],
                row["name"],
                self._database.folder / row["path"],
                row["bytes"],
                row["sha256"],
                row["duration_seconds"],
                row["fps"],
                row["num_frames"],
                row["person"],
                by_video.get(row["id"], {}),
            )
            for row in rows
        ]

    def add_videos(
        self, files: Mapping[str, Path], *, tell: Callable[[str], object] = lambda _: None
    ) -> list[str]:
        """Add videos that are not in the project yet, each at once; the names of the new ones.

        Args:
            files: File of each name.
            tell: Called with the name of each that was added.

        Raises: VideoError with all videos that cannot be opened; the others are added.
        """
        known = {row["name"] for row in self._database.all("SELECT name FROM videos")}
        added, problems = [], []
        for name, path in files.items():
            if name in known:
                continue
            try:
                index = index_video(path)
                digest = sha256_of(path)
            except (VideoError, OSError) as error:
                problems.append(str(error))
                continue
            facts = (index.duration_seconds, index.fps, index.num_frames)
            row = (
                name,
                path_from(self._database.folder, path) or path.resolve().as_posix(),
                path.stat().st_size,
                digest,
                *facts,
            )
            with self._database.transaction():
                self._database.run(
                    "INSERT INTO videos (name, path, bytes, sha256, duration_seconds, fps, "
                    "num_frames) VALUES (?, ?, ?, ?, ?, ?, ?)",
                    row,
                )
            added.append(name)
            tell(name)
        raise_problems(VideoError, source=str(self._database.folder), problems=problems)
        return added

    def describe_video(
        self, name: str, *, person: str | None, conditions: Mapping[str, str]
    ) -> None:
        """Say who is seen in a video, and its conditions, instead of what was said before.

        Raises: ProjectError if there is no such video.
        """
        video = self.video(name).id
        with self._database.transaction():
            self._database.run("UPDATE videos SET person = ? WHERE id = ?", (person, video))
            self._database.run("DELETE FROM conditions WHERE video = ?", (video,))
            self._database.run_many(
                "INSERT INTO conditions VALUES (?, ?, ?)",
                [(video, key, value) for key, value in conditions.items()],
            )

    def problems_of_videos(self, *, thorough: bool = False) -> dict[str, str]:
        """What is wrong with the file of each video that is gone or was replaced.

        Args:
            thorough: Hash the content; otherwise only sizes are compared.
        """
        found = {}
        for video in self.videos():
            if not video.path.is_file():
                found[video.name] = (
                    f"{video.path}: is gone; put it back, or move it with the project"
                )
            elif video.path.stat().st_size != video.num_bytes or (
                thorough and sha256_of(video.path) != video.sha256
            ):
                found[video.name] = (
                    f"{video.path}: is another video than the one that was coded; put that one "
                    "back, or give this one another name and add it"
                )
        return found
