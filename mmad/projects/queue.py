"""The queue of detections that a person has not decided about yet, and how far they are."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from mmad.projects.blind import NOT_BLIND
from mmad.projects.database import Database
from mmad.projects.records import FoundDetection

Order = Literal["uncertain", "time", "score", "random"]
ORDERS: tuple[str, ...] = get_args(Order)

# Of each video, the detections of the newest source that has searched it.
_NEWEST = (
    "detections JOIN (SELECT video AS of_video, MAX(source) AS newest FROM searched GROUP BY video)"
    " ON detections.video = of_video AND detections.source = newest"
)
_UNDECIDED = (
    "NOT EXISTS (SELECT 1 FROM instances WHERE instances.detection = detections.id AND "
    f"instances.annotator = (SELECT id FROM annotators WHERE name = ?)) AND {NOT_BLIND}"
)


@dataclass(frozen=True)
class Waiting:
    """A detection that waits for a decision.

    Attributes:
        video: Name of its video.
        detection: The detection.
    """

    video: str
    detection: FoundDetection


@dataclass(frozen=True)
class Progress:
    """How far a person is in a video.

    Attributes:
        video: Name of the video.
        open: Detections without a decision.
        accepted, rejected: Decisions, drawn instances among the accepted ones.
    """

    video: str
    open: int
    accepted: int
    rejected: int


class Queue:
    """What waits for the decision of a person."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def waiting(
        self,
        annotator: str,
        *,
        order: Order = "uncertain",
        min_score: float = 0.0,
        max_score: float = 1.0,
        behaviours: Sequence[int] = (),
        videos: Sequence[str] = (),
    ) -> list[Waiting]:
        """The detections without a decision of a person, in an order.

        Args:
            annotator: Who decides.
            order: ``uncertain``: scores near 0.5 first; ``time``: by video and start; ``score``:
                highest first; ``random``: at random, the same whenever it is asked.
            min_score, max_score: Range of scores, with its ends.
            behaviours: Numbers of behaviours; all if empty.
            videos: Names of videos; all if empty.
        """
        rows = self._database.all(
            f"SELECT detections.*, videos.name AS name FROM {_NEWEST} JOIN videos ON "
            f"videos.id = detections.video WHERE score BETWEEN ? AND ? AND {_UNDECIDED}",
            min_score,
            max_score,
            annotator,
            annotator,
        )
        found = [
            Waiting(
                row["name"],
                FoundDetection(
                    row["id"],
                    row["behaviour"],
                    row["start_seconds"],
                    row["end_seconds"],
                    row["score"],
                ),
            )
            for row in rows
            if (not behaviours or row["behaviour"] in behaviours)
            and (not videos or row["name"] in videos)
        ]
        return sorted(found, key=_KEYS[order])

    def progress(self, annotator: str, *, min_score: float = 0.0) -> list[Progress]:
        """How far a person is in each video, by name.

        Args:
            annotator: Who decides.
            min_score: Detections with a lower score are not counted as open.
        """
        opened = {
            row["video"]: row["number"]
            for row in self._database.all(
                f"SELECT detections.video AS video, COUNT(*) AS number FROM {_NEWEST} "
                f"WHERE score >= ? AND {_UNDECIDED} GROUP BY detections.video",
                min_score,
                annotator,
                annotator,
            )
        }
        decided = {
            (row["video"], row["state"]): row["number"]
            for row in self._database.all(
                "SELECT video, state, COUNT(*) AS number FROM instances WHERE annotator = "
                "(SELECT id FROM annotators WHERE name = ?) GROUP BY video, state",
                annotator,
            )
        }
        return [
            Progress(
                row["name"],
                opened.get(row["id"], 0),
                decided.get((row["id"], "accepted"), 0),
                decided.get((row["id"], "rejected"), 0),
            )
            for row in self._database.all("SELECT id, name FROM videos ORDER BY name")
        ]


def _shuffled(waiting: Waiting) -> bytes:
    return hashlib.sha256(str(waiting.detection.id).encode()).digest()


_KEYS: dict[str, Callable[[Waiting], Any]] = {
    "uncertain": lambda one: (abs(one.detection.score - 0.5), one.detection.id),
    "time": lambda one: (one.video, one.detection.start_seconds, one.detection.id),
    "score": lambda one: (-one.detection.score, one.detection.id),
    "random": _shuffled,
}
