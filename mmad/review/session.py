"""What the page shows and does, as JSON values, from the project on disk."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np

from mmad.errors import VideoError
from mmad.evaluation.budget.summaries import unions
from mmad.projects.actions import Actions
from mmad.projects.project import Project
from mmad.projects.records import Change, Curves, Instance, ProjectVideo, Stretch
from mmad.review.blind import blanked, progress_of, shown
from mmad.review.media import Media
from mmad.review.refusals import Refused, refusals
from mmad.review.requests import (
    Accept,
    BlindDone,
    Decide,
    Draw,
    Merge,
    Move,
    QueueRequest,
    Relabel,
    Reviewed,
    Split,
)
from mmad.review.thumbnails import Thumbnails
from mmad.video.index import index_video

# The page asks again when it has worked these off.
_MOST_WAITING = 300


class Session:
    """A project as one server uses it, from several threads.

    Args:
        project: The project.
        media: What is played for each video.
        annotator: The only person who may decide, or None for anyone who gives a name.
        shows_others: Whether people see the decisions of the others.
    """

    def __init__(
        self,
        project: Project,
        media: Mapping[int, Media],
        *,
        annotator: str | None,
        shows_others: bool = False,
    ) -> None:
        self._project = project
        self._media = dict(media)
        self._annotator = annotator
        self._shows_others = shows_others
        self._lock = RLock()
        self._videos = {one.id: one for one in project.catalogue.videos()}
        self._names = {number: one.name for number, one in self._videos.items()}
        self._thumbnails = Thumbnails(project.folder)

    def close(self) -> None:
        """End what runs beside the answers."""
        self._thumbnails.close()

    @property
    def project(self) -> Project:
        """The project."""
        return self._project

    def about(self) -> dict[str, Any]:
        """The project: behaviours, videos, people, range of scores."""
        with self._lock:
            catalogue = self._project.catalogue
            broken = catalogue.problems_of_videos()
            return {
                "name": self._project.folder.resolve().name,
                "annotator": self._annotator,
                "shows_others": self._shows_others,
                "annotators": self._project.decisions.annotators(),
                "behaviours": [asdict(one) for one in catalogue.behaviours()],
                "videos": [
                    {
                        "id": one.id,
                        "name": one.name,
                        "duration": one.duration_seconds,
                        "fps": one.fps,
                        "frames": one.num_frames,
                        "person": one.person,
                        "problem": self._problem(one, broken),
                    }
                    for one in catalogue.videos()
                ],
                "sources": [
                    {
                        "id": one.id,
                        "model": Path(one.model).name,
                        "made": one.made,
                        "least_score": one.least_score,
                    }
                    for one in self._project.findings.sources()
                ],
            }

    def video(self, number: int, annotator: str) -> dict[str, Any]:
        """The detections in a video, and what a person decided; of the others if it is shown."""
        name = self._name(number)
        with self._lock:
            self._check(annotator)
            decisions = self._project.decisions
            others = decisions.annotators() if self._shows_others else []
            hidden = self._project.blind.hidden(annotator, name)
            return {
                "detections": [
                    [one.id, one.behaviour, one.start_seconds, one.end_seconds, one.score]
                    for one in shown(self._project.findings.detections(name), hidden)
                ],
                "instances": [one.as_json() for one in decisions.instances(name, annotator)],
                "others": {
                    other: [
                        one.as_json() for one in shown(decisions.instances(name, other), hidden)
                    ]
                    for other in others
                    if other != annotator
                },
                "reviewed": _stretches(decisions.reviewed(annotator), number),
                "settled": self._project.queue.settled(annotator, name),
                "history": self._history(annotator),
            }

    def times(self, number: int) -> bytes:
        """Times of the frames of a video in seconds, float64, little-endian."""
        try:
            index = index_video(self.media(number).path)
        except VideoError:
            raise Refused(410, "the file of this video cannot be read any more") from None
        return np.asarray(index.times_seconds, "<f8").tobytes()

    def curves(self, number: int, annotator: str) -> dict[str, Any]:
        """Of which behaviours there are scores over time, and at which steps."""
        found = self._curves(number, annotator)
        if found is None:
            return {"behaviours": [], "step_seconds": 1.0, "num_steps": 0}
        return {
            "behaviours": list(found.behaviours),
            "step_seconds": found.step_seconds,
            "num_steps": len(found.scores),
        }

    def curve_scores(self, number: int, annotator: str) -> bytes:
        """Scores over time, uint8, one behaviour after another."""
        found = self._curves(number, annotator)
        return b"" if found is None else np.ascontiguousarray(found.scores.T).tobytes()

    def thumbnail(self, number: int, frame: int) -> bytes:
        """A JPEG of a frame of a video."""
        path = self.media(number).path
        video = self._videos[number]
        if frame >= video.num_frames:
            raise Refused(404, "there is no such frame")
        try:
            return self._thumbnails.get(video, path, frame)
        except VideoError:
            raise Refused(410, "this frame cannot be read") from None

    def media(self, number: int) -> Media:
        """What is played for a video."""
        self._name(number)
        found = self._media.get(number)
        if found is None or not found.path.is_file():
            raise Refused(410, "the file of this video is gone, or is another one")
        return found

    def queue(self, asked: QueueRequest) -> dict[str, Any]:
        """The detections that wait for a person, the first ones, and how far the person is."""
        names = [self._name(one) for one in asked.videos]
        numbers = {name: number for number, name in self._names.items()}
        with self._lock:
            self._check(asked.annotator)
            waiting = self._project.queue.waiting(
                asked.annotator,
                order=asked.order,
                min_score=asked.min_score,
                max_score=asked.max_score,
                behaviours=asked.behaviours,
                videos=names,
            )
            progress = self._project.queue.progress(asked.annotator, min_score=asked.min_score)
            reviewed = self._project.decisions.reviewed(asked.annotator)
        # What has no file cannot be looked at.
        waiting = [one for one in waiting if numbers.get(one.video) in self._media]
        return {
            "waiting": [[numbers[one.video], one.detection.id] for one in waiting[:_MOST_WAITING]],
            "total": len(waiting),
            "progress": [
                [
                    numbers[one.video],
                    one.open,
                    one.accepted,
                    one.rejected,
                    _seconds(_stretches(reviewed, numbers[one.video])),
                ]
                for one in progress
                if one.video in numbers
            ],
        }

    def mark_reviewed(self, asked: Reviewed) -> dict[str, Any]:
        """Note that a person has looked at a stretch, or not after all."""
        name = self._name(asked.video)
        self.media(asked.video)
        decisions = self._project.decisions
        stretch = (asked.annotator, name, asked.start, asked.end)
        with self._lock, refusals():
            self._check(asked.annotator)
            if asked.is_reviewed:
                decisions.mark_reviewed(*stretch, blind=False)
            else:
                decisions.clear_reviewed(*stretch)
            return {
                "reviewed": _stretches(decisions.reviewed(asked.annotator), asked.video),
                "settled": self._project.queue.settled(asked.annotator, name),
            }

    def decide(self, asked: Decide) -> dict[str, Any]:
        """Make a decision; it is on disk when this returns."""
        name = self._name(asked.video)
        self.media(asked.video)

        def act() -> Change:
            actions = Actions(self._project, asked.annotator, name)
            match asked.decision:
                case Accept(action="accept", target=target):
                    return actions.accept(target.target())
                case Accept(action="reject", target=target):
                    return actions.reject(target.target())
                case Accept(target=target):
                    return actions.delete(target.target())
                case Relabel(target=target, behaviour=behaviour):
                    return actions.relabel(target.target(), behaviour)
                case Move(target=target, start=start, end=end):
                    return actions.move(target.target(), start, end)
                case Draw(behaviour=behaviour, start=start, end=end):
                    return actions.draw(behaviour, start, end)
                case Split(target=target, at=at):
                    return actions.split(target.target(), at)
                case Merge(targets=targets):
                    return actions.merge([one.target() for one in targets])

        return self._changed(asked.annotator, act)

    def undo(self, annotator: str) -> dict[str, Any]:
        """Undo the last change of a person."""
        return self._changed(annotator, lambda: self._project.decisions.undo(annotator))

    def redo(self, annotator: str) -> dict[str, Any]:
        """Do the change again that was undone last."""
        return self._changed(annotator, lambda: self._project.decisions.redo(annotator))

    def blind(self, annotator: str) -> dict[str, Any]:
        """How far a person is with the blind share, and the stretch that is next."""
        with self._lock:
            self._check(annotator)
            return progress_of(self._project, annotator, self._media.keys())

    def finish_blind(self, asked: BlindDone) -> dict[str, Any]:
        """Note that a person has coded a stretch of the blind share; what is next."""
        with self._lock, refusals():
            self._check(asked.annotator)
            self._project.blind.finish(asked.annotator, asked.stretch)
            return self.blind(asked.annotator)

    def add_behaviour(self, name: str) -> dict[str, Any]:
        """A new behaviour, or the one of this name."""
        with self._lock, refusals():
            return asdict(self._project.catalogue.add_behaviour(name))

    def _changed(self, annotator: str, act: Callable[[], Change | None]) -> dict[str, Any]:
        with self._lock, refusals():
            self._check(annotator)
            change = act()
            settled = (
                []
                if change is None
                else self._project.queue.settled(annotator, self._names[change.video])
            )
            return {
                "change": _json_of(change),
                "settled": settled,
                "history": self._history(annotator),
            }

    def _history(self, annotator: str) -> dict[str, int]:
        undoable, undone = self._project.decisions.can_take_back(annotator)
        return {"undo": undoable, "redo": undone}

    def _problem(self, video: ProjectVideo, broken: Mapping[str, str]) -> str | None:
        if video.name in broken:
            return "gone" if not video.path.is_file() else "replaced"
        return None if video.id in self._media else "not playable"

    def _curves(self, number: int, annotator: str) -> Curves | None:
        name = self._name(number)
        with self._lock:
            self._check(annotator)
            found = self._project.findings.curves(name)
            return found and blanked(found, self._project.blind.hidden(annotator, name))

    def _name(self, number: int) -> str:
        if number not in self._names:
            raise Refused(404, "there is no such video")
        return self._names[number]

    def _check(self, annotator: str) -> None:
        if self._annotator is not None and annotator != self._annotator:
            raise Refused(403, "this page is for another annotator")


def _stretches(reviewed: Sequence[Stretch], video: int) -> list[list[float | bool]]:
    """Start, end and blindness of the stretches in a video, by start."""
    found = [one for one in reviewed if one.video == video]
    return sorted([one.start_seconds, one.end_seconds, one.is_blind] for one in found)


def _seconds(stretches: Sequence[Sequence[float]]) -> float:
    """How long stretches are together, counting once what several cover."""
    if not stretches:
        return 0.0
    segments = np.array([one[:2] for one in stretches], np.float64)
    merged, _ = unions(segments, np.zeros(len(segments), np.int64))
    return float((merged[:, 1] - merged[:, 0]).sum())


def _json_of(change: Change | None) -> dict[str, Any] | None:
    if change is None:
        return None

    def values(instances: tuple[Instance, ...]) -> list[dict[str, Any]]:
        return [one.as_json() for one in instances]

    return {
        "id": change.id,
        "video": change.video,
        "what": change.what,
        "before": values(change.before),
        "after": values(change.after),
    }
