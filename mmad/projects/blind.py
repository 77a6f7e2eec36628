"""The blind share: random stretches that people code without seeing what a model found in them.

Each video is cut into stretches of about the same length, and all stretches of the project have a
place in one random order. In it those of each video are spread evenly: any beginning of the order
has nearly the same share of every video, and every stretch is as likely to be in it as any other.
The share is such a beginning, so it can be enlarged, and videos be added, without changing what was
drawn before.
"""

import hashlib
from collections.abc import Iterable

import numpy as np

from mmad.errors import ProjectError
from mmad.projects.catalogue import Catalogue
from mmad.projects.database import Database, now
from mmad.projects.decisions import Decisions
from mmad.projects.records import BlindStretch, ProjectVideo
from mmad.structures import Floats

# What is shown on either side of a stretch, so that behaviours at its borders are seen whole.
CONTEXT_SECONDS = 2.0
_LENGTH, _SEED = "blind_stretch_seconds", "blind_seed"

# Of the stretches, those that a person has coded (done) or had seen with suggestions (seen).
_OF_PERSON = (
    "blind_stretches AS blind JOIN (SELECT (SELECT id FROM annotators WHERE name = ?) AS id) AS who"
    " LEFT JOIN reviewed AS done ON done.annotator = who.id AND done.is_blind AND done.ended IS "
    "NULL AND done.video = blind.video AND done.start_seconds = blind.start_seconds AND "
    "done.end_seconds = blind.end_seconds "
    "LEFT JOIN seen_before AS seen ON seen.annotator = who.id AND seen.stretch = blind.id"
)
# A condition on detections, with the name of a person: they touch no stretch that this person has
# yet to code.
NOT_BLIND = (
    f"NOT EXISTS (SELECT 1 FROM {_OF_PERSON} WHERE blind.video = detections.video AND "
    "done.id IS NULL AND seen.stretch IS NULL AND "
    f"detections.start_seconds < blind.end_seconds + {CONTEXT_SECONDS} AND "
    f"detections.end_seconds > blind.start_seconds - {CONTEXT_SECONDS})"
)


class BlindShare:
    """The stretches that are coded without suggestions, and how far each person is."""

    def __init__(self, database: Database, catalogue: Catalogue, decisions: Decisions) -> None:
        self._database = database
        self._catalogue = catalogue
        self._decisions = decisions

    @property
    def stretch_seconds(self) -> float | None:
        """The length of a stretch that was chosen at the first drawing; None before."""
        found = self._fact(_LENGTH)
        return None if found is None else float(found)

    @property
    def seed(self) -> int | None:
        """The seed of the first drawing; None before."""
        found = self._fact(_SEED)
        return None if found is None else int(found)

    def stretches(self) -> list[BlindStretch]:
        """The stretches that were drawn, in their random order."""
        return _stretches(
            self._database.all(
                "SELECT blind.*, videos.name AS name FROM blind_stretches AS blind JOIN videos ON "
                "videos.id = blind.video ORDER BY place, blind.id"
            )
        )

    def all_stretches(self) -> list[BlindStretch]:
        """All stretches of all videos, drawn or not, in their random order; none before a drawing.

        Those that were not drawn have the number 0.
        """
        if self.stretch_seconds is None or self.seed is None:
            return []
        return self._in_order(self.stretch_seconds, self.seed)

    def draw(
        self, seconds: float, *, stretch_seconds: float | None = None, seed: int | None = None
    ) -> list[BlindStretch]:
        """Draw stretches until the share is at least so long; the new ones.

        Args:
            seconds: How long the share is to be, with what was drawn before.
            stretch_seconds: About how long a stretch is; 30 if nothing was drawn before.
            seed: Seed of the random order; 0 if nothing was drawn before.

        Raises: ProjectError if there is no video, a length is not above 0, or a choice is not that
            of the first drawing.
        """
        chosen = self._choice(stretch_seconds, seed)
        if not seconds > 0:
            raise ProjectError("a blind share is longer than 0 minutes")
        known = {(one.video, one.start_seconds) for one in self.stretches()}
        total = sum(one.seconds for one in self.stretches())
        new: list[BlindStretch] = []
        order = self._in_order(*chosen)
        if not order:
            raise ProjectError(f"{self._database.folder}: has no video to draw stretches from")
        for one in order:
            if total >= seconds - 1e-6:
                break
            if (one.video, one.start_seconds) not in known:
                new.append(one)
                total += one.seconds
        self._keep(new, *chosen)
        drawn = {(one.video, one.start_seconds) for one in new}
        return [one for one in self.stretches() if (one.video, one.start_seconds) in drawn]

    def done(self, annotator: str) -> dict[int, str]:
        """The numbers of the stretches that a person has coded, and when each was done."""
        rows = self._database.all(
            f"SELECT blind.id AS id, MIN(done.made) AS made FROM {_OF_PERSON} "
            "WHERE done.id IS NOT NULL GROUP BY blind.id",
            annotator,
        )
        return {row["id"]: row["made"] for row in rows}

    def seen(self, annotator: str) -> set[int]:
        """The numbers of the stretches that a person had seen with suggestions before the drawing.

        That is: had decided about something in them, or had marked part of them as reviewed.
        """
        rows = self._database.all(
            f"SELECT blind.id AS id FROM {_OF_PERSON} WHERE seen.stretch IS NOT NULL", annotator
        )
        return {row["id"] for row in rows}

    def waiting(self, annotator: str) -> list[BlindStretch]:
        """The stretches that a person has yet to code, in the order in which to do so."""
        settled = self.done(annotator).keys() | self.seen(annotator)
        return [one for one in self.stretches() if one.id not in settled]

    def hidden(self, annotator: str, name: str) -> list[tuple[float, float]]:
        """The times of a video in which a person must not see what a model found, by start."""
        return sorted(
            (one.start_seconds - CONTEXT_SECONDS, one.end_seconds + CONTEXT_SECONDS)
            for one in self.waiting(annotator)
            if one.video == name
        )

    def finish(self, annotator: str, number: int) -> None:
        """Note that a person has coded a stretch; to do so again changes nothing.

        Raises: ProjectError if there is no such stretch, or the person had seen it before.
        """
        found = {one.id: one for one in self.stretches()}.get(number)
        if found is None:
            raise ProjectError("there is no such stretch in the blind share")
        if number in self.seen(annotator):
            raise ProjectError("this stretch was seen with suggestions before it was drawn")
        if number not in self.done(annotator):
            self._decisions.mark_reviewed(
                annotator, found.video, found.start_seconds, found.end_seconds, blind=True
            )

    def _choice(self, stretch_seconds: float | None, seed: int | None) -> tuple[float, int]:
        """Length and seed, which are those of the first drawing."""
        for option, given, kept in (
            ("--stretch-seconds", stretch_seconds, self.stretch_seconds),
            ("--seed", seed, self.seed),
        ):
            if given is not None and kept is not None and given != kept:
                raise ProjectError(
                    f"{option} {given:g}: the blind share was drawn with {kept:g}, which cannot be "
                    f"changed any more; leave out {option}"
                )
        length = self.stretch_seconds or (30.0 if stretch_seconds is None else stretch_seconds)
        if not 1 <= length < float("inf"):
            raise ProjectError(f"--stretch-seconds {length:g}: expected seconds, at least 1")
        return length, (seed or 0) if self.seed is None else self.seed

    def _in_order(self, stretch_seconds: float, seed: int) -> list[BlindStretch]:
        known = {(one.video, one.start_seconds): one.id for one in self.stretches()}
        cut = [
            BlindStretch(known.get((video.name, start), 0), video.name, start, end, place)
            for video in self._catalogue.videos()
            for start, end, place in _cut(video, stretch_seconds, seed)
        ]
        return sorted(cut, key=lambda one: (one.place, one.video))

    def _keep(self, new: Iterable[BlindStretch], length: float, seed: int) -> None:
        videos = {one.name: one.id for one in self._catalogue.videos()}
        looked_at = {one: self._looked_at(one) for one in self._decisions.annotators()}
        with self._database.transaction():
            for key, value in ((_LENGTH, length), (_SEED, seed)):
                self._database.run("INSERT OR IGNORE INTO facts VALUES (?, ?)", (key, str(value)))
            for one in new:
                video = videos[one.video]
                row = (now(), video, one.start_seconds, one.end_seconds, one.place)
                cursor = self._database.run(
                    "INSERT OR IGNORE INTO blind_stretches (made, video, start_seconds, "
                    "end_seconds, place) VALUES (?, ?, ?, ?, ?)",
                    row,
                )
                for annotator, segments in looked_at.items():
                    if cursor.rowcount == 1 and any(
                        where == video and start < one.end_seconds and end > one.start_seconds
                        for where, start, end in segments
                    ):
                        self._database.run(
                            "INSERT INTO seen_before SELECT ?, id FROM annotators WHERE name = ?",
                            (cursor.lastrowid, annotator),
                        )

    def _looked_at(self, annotator: str) -> list[tuple[int, float, float]]:
        """Where a person has ever decided about something, or reviewed it with suggestions."""
        rows = self._database.all(
            "SELECT * FROM reviewed WHERE NOT is_blind AND annotator = "
            "(SELECT id FROM annotators WHERE name = ?)",
            annotator,
        )
        return [(row["video"], row["start_seconds"], row["end_seconds"]) for row in rows] + [
            (change.video, one.start_seconds, one.end_seconds)
            for change in self._decisions.history(annotator=annotator)
            for one in (*change.before, *change.after)
        ]

    def _fact(self, key: str) -> str | None:
        rows = self._database.all("SELECT value FROM facts WHERE key = ?", key)
        return rows[0]["value"] if rows else None


def random_places(number: int, rng: np.random.Generator) -> Floats:
    """Places of the stretches of a video in the order of all, (number,), above 0 and up to 1.

    Each is equally likely to be anywhere, and there is one in each of ``number`` equal parts, but
    for a shift of all.
    """
    return (rng.permutation(number) + 1 - rng.random()) / number


def _cut(video: ProjectVideo, length: float, seed: int) -> list[tuple[float, float, float]]:
    """Start, end and place of the stretches of a video, which are equally long."""
    number = max(1, round(video.duration_seconds / length))
    edges = [video.duration_seconds * one / number for one in range(number + 1)]
    # Of the content, so that a video that is renamed or added later keeps its order.
    words = np.frombuffer(hashlib.sha256(video.sha256.encode()).digest(), np.uint32)
    rng = np.random.default_rng([seed, *words.tolist()])
    places = random_places(number, rng)
    return list(zip(edges, edges[1:], places.tolist(), strict=False))


def _stretches(rows: Iterable) -> list[BlindStretch]:
    return [
        BlindStretch(row["id"], row["name"], row["start_seconds"], row["end_seconds"], row["place"])
        for row in rows
    ]
