"""The queue of detections that a person has not decided about yet, and how far they are.

A detection is *settled* without a decision of its own if the person has decided about the same
thing when another source had found it (same behaviour, tIoU of at least 0.5), or if it lies in a
stretch that they have looked at as a whole: what is not coded there is not there.
"""

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from mmad.projects.blind import NOT_BLIND
from mmad.projects.calibration import Calibration
from mmad.projects.database import Database
from mmad.projects.records import FoundDetection

Order = Literal["uncertain", "time", "score", "random"]
ORDERS: tuple[str, ...] = get_args(Order)
# Segments of a behaviour that overlap by this tIoU are about the same thing.
SAME_TIOU = 0.5

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
            order: ``uncertain``: those first whose acceptance is most uncertain, as far as the
                decisions on their source tell, else scores near 0.5; ``time``: by video and start;
                ``score``: highest first; ``random``: at random, the same whenever it is asked.
            min_score, max_score: Range of scores, with its ends.
            behaviours: Numbers of behaviours; all if empty.
            videos: Names of videos; all if empty.
        """
        rows = self._open(annotator, min_score=min_score, max_score=max_score)
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
        if order == "uncertain":
            return self._uncertain(found, rows, annotator)
        return sorted(found, key=_KEYS[order])

    def settled(self, annotator: str, video: str) -> list[int]:
        """Numbers of the detections in a video that are settled without a decision of a person."""
        settled = self._settled(annotator)
        return sorted(row["id"] for row in self._undecided(annotator, video) if settled.holds(row))

    def _open(
        self, annotator: str, *, min_score: float = 0.0, max_score: float = 1.0
    ) -> list[sqlite3.Row]:
        """The detections that a person has to decide about, with the names of their videos."""
        settled = self._settled(annotator)
        return [
            row
            for row in self._undecided(annotator)
            if min_score <= row["score"] <= max_score and not settled.holds(row)
        ]

    def _undecided(self, annotator: str, video: str | None = None) -> list[sqlite3.Row]:
        """The detections that a person may see and has not decided about, settled or not."""
        return self._database.all(
            f"SELECT detections.*, videos.name AS name FROM {_NEWEST} JOIN videos ON "
            f"videos.id = detections.video WHERE (? IS NULL OR name = ?) AND {_UNDECIDED}",
            video,
            video,
            annotator,
            annotator,
        )

    def _settled(self, annotator: str) -> "_Settled":
        found = _Settled()
        who = "(SELECT id FROM annotators WHERE name = ?)"
        for row in self._database.all(
            f"SELECT * FROM instances WHERE annotator = {who}", annotator
        ):
            found.instances.setdefault((row["video"], row["behaviour"]), []).append(_segment(row))
        for row in self._database.all(
            f"SELECT * FROM reviewed WHERE annotator = {who} AND ended IS NULL",
            annotator,
        ):
            found.stretches.setdefault(row["video"], []).append(_segment(row))
        return found

    def _uncertain(
        self, waiting: list[Waiting], rows: Sequence[sqlite3.Row], annotator: str
    ) -> list[Waiting]:
        """Those first whose acceptance is as likely as not, as the decisions on each source say."""
        source = {row["id"]: row["source"] for row in rows}
        chances: dict[int, float] = {}
        for number in {source[one.detection.id] for one in waiting}:
            calibration = self._calibration(number, annotator)
            mine = [one.detection for one in waiting if source[one.detection.id] == number]
            scores = [one.score for one in mine]
            likely = (
                scores
                if calibration is None
                else calibration.probability(scores, [one.behaviour for one in mine]).tolist()
            )
            chances |= dict(zip([one.id for one in mine], likely, strict=True))
        return sorted(
            waiting, key=lambda one: (abs(chances[one.detection.id] - 0.5), one.detection.id)
        )

    def _calibration(self, source: int, annotator: str) -> Calibration | None:
        """How likely a person accepts the detections of a source; None with few decisions."""
        rows = self._database.all(
            "SELECT detections.score, detections.behaviour, instances.state, "
            "instances.behaviour AS accepted FROM instances JOIN detections ON "
            "instances.detection = detections.id WHERE detections.source = ? AND "
            "instances.annotator = (SELECT id FROM annotators WHERE name = ?)",
            source,
            annotator,
        )
        right = [row["state"] != "rejected" and row["accepted"] == row["behaviour"] for row in rows]
        return Calibration.fit(
            [row["score"] for row in rows], [row["behaviour"] for row in rows], right
        )

    def progress(self, annotator: str, *, min_score: float = 0.0) -> list[Progress]:
        """How far a person is in each video, by name.

        Args:
            annotator: Who decides.
            min_score: Detections with a lower score are not counted as open.
        """
        opened = Counter(row["video"] for row in self._open(annotator, min_score=min_score))
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
                opened[row["id"]],
                decided.get((row["id"], "accepted"), 0),
                decided.get((row["id"], "rejected"), 0),
            )
            for row in self._database.all("SELECT id, name FROM videos ORDER BY name")
        ]


@dataclass
class _Settled:
    """What a person has decided, wherever it was found.

    Attributes:
        instances: Segments by video and behaviour.
        stretches: Stretches that they have looked at, blind or not, by video.
    """

    instances: dict[tuple[int, int], list[tuple[float, float]]] = field(default_factory=dict)
    stretches: dict[int, list[tuple[float, float]]] = field(default_factory=dict)

    def holds(self, row: sqlite3.Row) -> bool:
        """Whether a detection is settled."""
        start, end = _segment(row)
        for low, high in self.instances.get((row["video"], row["behaviour"]), ()):
            inner = min(end, high) - max(start, low)
            if inner > 0 and inner >= SAME_TIOU * (max(end, high) - min(start, low)):
                return True
        return any(
            low <= start and end <= high for low, high in self.stretches.get(row["video"], ())
        )


def _segment(row: sqlite3.Row) -> tuple[float, float]:
    return row["start_seconds"], row["end_seconds"]


def _shuffled(waiting: Waiting) -> bytes:
    return hashlib.sha256(str(waiting.detection.id).encode()).digest()


_KEYS: dict[str, Callable[[Waiting], Any]] = {
    "time": lambda one: (one.video, one.detection.start_seconds, one.detection.id),
    "score": lambda one: (-one.detection.score, one.detection.id),
    "random": _shuffled,
}
