"""A project: a folder with the database of a study."""

from pathlib import Path
from typing import Self

from mmad.errors import ProjectError
from mmad.labels import LabelMap
from mmad.projects.blind import BlindShare
from mmad.projects.catalogue import Catalogue
from mmad.projects.database import Database, now
from mmad.projects.decisions import Decisions
from mmad.projects.findings import Findings
from mmad.projects.queue import Queue
from mmad.projects.schema import FILE_NAME, connect, create


class Project:
    """A project on disk. `new_project` makes one, `Project.open` opens one.

    Every change is on disk when its method returns. Several processes may use one project.

    Attributes:
        folder: Its folder.
        catalogue: Its behaviours and videos.
        findings: What models found.
        decisions: What people decided.
        queue: What waits for a decision.
        blind: The random share that is coded without suggestions.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.folder = database.folder
        self.catalogue = Catalogue(database)
        self.findings = Findings(database, self.catalogue)
        self.decisions = Decisions(database, self.catalogue)
        self.queue = Queue(database)
        self.blind = BlindShare(database, self.catalogue, self.decisions)

    @classmethod
    def open(cls, folder: str | Path) -> Self:
        """The project in ``folder``.

        Raises: ProjectError if there is none, or it is damaged, newer, locked or read-only.
        """
        folder = Path(folder)
        return cls(Database(folder, connect(folder / FILE_NAME)))

    def close(self) -> None:
        """Close the database."""
        self._database.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def new_project(folder: Path, *, labels: LabelMap) -> Project:
    """A new project with these behaviours and no video.

    Raises: ProjectError if the folder holds a project, or cannot be written to.
    """
    path = folder / FILE_NAME
    if path.exists():
        raise ProjectError(f"{folder}: is a project already; open it, or choose another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ProjectError(f"{folder}: cannot be made ({error.strerror})") from None
    database = Database(folder, create(path))
    rows = [
        (
            name,
            labels.codes[place] if labels.codes else None,
            labels.parent_names[labels.parents[place]] if labels.has_parents else None,
        )
        for place, name in enumerate(labels.names)
    ]
    with database.transaction():
        statement = "INSERT INTO behaviours (name, code, body_part) VALUES (?, ?, ?)"
        database.run_many(statement, rows)
        database.run("INSERT INTO facts VALUES ('made', ?)", (now(),))
    return Project(database)
