"""What models found in the videos of a project."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmad.errors import ProjectError
from mmad.labels import LabelMap
from mmad.projects.catalogue import Catalogue
from mmad.projects.database import Database, now
from mmad.projects.records import Curves, Extractor, FoundDetection, Source
from mmad.structures import Detections


@dataclass(frozen=True)
class Result:
    """What a source has found in a video.

    Attributes:
        found: Detections, labelled with the numbers of the behaviours.
        curves: Score curves, or None.
    """

    found: Detections
    curves: Curves | None = None


class Findings:
    """The detections of each source: a run of a model over videos."""

    def __init__(self, database: Database, catalogue: Catalogue) -> None:
        self._database = database
        self._catalogue = catalogue

    def add_source(
        self, model: str, settings: Mapping[str, Any], *, threshold: float | None = None
    ) -> int:
        """A run of a model over videos, to which its detections belong; its number.

        Args:
            model: The run, as it is named.
            settings: What decides its detections.
            threshold: Score with the best F1 on what the model was judged on; None if not known.
        """
        with self._database.transaction():
            return self._insert_source(model, settings, threshold)

    def add_results(
        self,
        model: str,
        settings: Mapping[str, Any],
        results: Mapping[str, Result],
        *,
        threshold: float | None = None,
    ) -> int:
        """A new source with its detections and curves in all its videos, or nothing of it.

        Args:
            model, settings, threshold: As in `add_source`.
            results: What it has found in each video.

        Raises: ProjectError if there is no such video.
        """
        numbers = {name: self._catalogue.video(name).id for name in results}
        with self._database.transaction():
            source = self._insert_source(model, settings, threshold)
            for name, result in results.items():
                searched = (source, numbers[name], now())
                self._database.run("INSERT INTO searched VALUES (?, ?, ?)", searched)
                self._insert_detections(
                    [
                        (source, numbers[name], int(behaviour), *map(float, segment), float(score))
                        for behaviour, segment, score in zip(
                            result.found.labels,
                            result.found.segments_seconds,
                            result.found.scores,
                            strict=True,
                        )
                    ]
                )
                if result.curves is not None:
                    self._insert_curves(source, numbers[name], result.curves)
        return source

    def _insert_source(
        self, model: str, settings: Mapping[str, Any], threshold: float | None
    ) -> int:
        row = (now(), model, json.dumps(settings, sort_keys=True), threshold)
        cursor = self._database.run(
            "INSERT INTO sources (made, model, settings, threshold) VALUES (?, ?, ?, ?)", row
        )
        return int(cursor.lastrowid or 0)

    def _insert_detections(self, rows: Sequence[Sequence[object]]) -> None:
        self._database.run_many(
            "INSERT INTO detections (source, video, behaviour, start_seconds, end_seconds, score) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            rows,
        )

    def _insert_curves(self, source: int, video: int, curves: Curves) -> None:
        row = (
            source,
            video,
            curves.step_seconds,
            json.dumps(curves.behaviours),
            np.ascontiguousarray(curves.scores, np.uint8).tobytes(),
        )
        self._database.run("INSERT OR REPLACE INTO curves VALUES (?, ?, ?, ?, ?)", row)

    def sources(self) -> list[Source]:
        """All runs of models over videos, oldest first."""
        rows = self._database.all(
            "SELECT sources.*, (SELECT COUNT(*) FROM searched WHERE source = sources.id) AS videos,"
            " (SELECT COUNT(*) FROM detections WHERE source = sources.id) AS detections "
            "FROM sources ORDER BY id"
        )
        return [
            Source(
                row["id"],
                row["made"],
                row["model"],
                json.loads(row["settings"]),
                row["videos"],
                row["detections"],
                row["threshold"],
            )
            for row in rows
        ]

    def searched(self, source: int) -> set[str]:
        """Names of the videos in which a source has searched, also those without detections."""
        rows = self._database.all(
            "SELECT name FROM searched JOIN videos ON video = videos.id WHERE source = ?", source
        )
        return {row["name"] for row in rows}

    def add_detections(self, source: int, name: str, found: Detections, labels: LabelMap) -> None:
        """The detections of a source in a video; those it had there are replaced.

        Raises: ProjectError if the project lacks a behaviour of them, or a person has already
            decided about those of this source.
        """
        video = self._catalogue.video(name).id
        known = {one.name: one.id for one in self._catalogue.behaviours()}
        names = {labels.names[one] for one in found.labels}
        self._catalogue.require_behaviours(names, of=f"source {source}")
        rows = [
            (source, video, known[labels.names[label]], float(start), float(end), float(score))
            for label, (start, end), score in zip(
                found.labels, found.segments_seconds, found.scores, strict=True
            )
        ]
        try:
            with self._database.transaction():
                self._database.run(
                    "DELETE FROM detections WHERE source = ? AND video = ?", (source, video)
                )
                self._database.run(
                    "INSERT OR REPLACE INTO searched VALUES (?, ?, ?)", (source, video, now())
                )
                self._insert_detections(rows)
        except sqlite3.IntegrityError:
            raise ProjectError(
                f"video '{name}': somebody has decided about detections of source {source}; add "
                "new ones as another source"
            ) from None

    def add_curves(self, source: int, name: str, curves: Curves) -> None:
        """The scores of a source over a video, instead of those it had there."""
        video = self._catalogue.video(name).id
        with self._database.transaction():
            self._insert_curves(source, video, curves)

    def curves(self, name: str, *, source: int | None = None) -> Curves | None:
        """The scores over a video, of a source or of the newest one; None if they are not kept."""
        video = self._catalogue.video(name).id
        rows = self._database.all(
            "SELECT * FROM curves WHERE video = ? AND source = ?",
            video,
            self._newest(video) if source is None else source,
        )
        if not rows:
            return None
        behaviours = tuple(json.loads(rows[0]["behaviours"]))
        scores = np.frombuffer(rows[0]["scores"], np.uint8)
        shape = (-1, max(1, len(behaviours)))
        return Curves(rows[0]["step_seconds"], behaviours, scores.reshape(shape))

    def detections(self, name: str, *, source: int | None = None) -> list[FoundDetection]:
        """The detections in a video by descending score, of a source or of the newest one."""
        video = self._catalogue.video(name).id
        rows = self._database.all(
            "SELECT * FROM detections WHERE video = ? AND source = ? ORDER BY score DESC, id",
            video,
            self._newest(video) if source is None else source,
        )
        return [_detection(row) for row in rows]

    def detection(self, name: str, number: int) -> FoundDetection | None:
        """A detection in a video by its number, of any source; None if there is none."""
        rows = self._database.all(
            "SELECT * FROM detections WHERE id = ? AND video = ?",
            number,
            self._catalogue.video(name).id,
        )
        return _detection(rows[0]) if rows else None

    def add_extractor(self, model: str, path: Path) -> None:
        """Note whose features a file in the folder of the project holds, unless it is noted."""
        file = path.relative_to(self._database.folder).as_posix()
        with self._database.transaction():
            self._database.run(
                "INSERT OR IGNORE INTO extractors (made, model, file) VALUES (?, ?, ?)",
                (now(), model, file),
            )

    def extractors(self) -> list[Extractor]:
        """The networks whose features are stored, oldest first."""
        return [
            Extractor(row["id"], row["made"], row["model"], self._database.folder / row["file"])
            for row in self._database.all("SELECT * FROM extractors ORDER BY id")
        ]

    def _newest(self, video: int) -> int | None:
        """The newest source that has searched a video."""
        newest = "SELECT MAX(source) AS newest FROM searched WHERE video = ?"
        found: int | None = self._database.all(newest, video)[0]["newest"]
        return found


def _detection(row: sqlite3.Row) -> FoundDetection:
    return FoundDetection(
        row["id"], row["behaviour"], row["start_seconds"], row["end_seconds"], row["score"]
    )
