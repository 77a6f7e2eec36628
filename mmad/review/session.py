"""What the page shows and does, as JSON values, from the project on disk."""

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np

from mmad.errors import ProjectError, VideoError
from mmad.projects.actions import Actions, StaleError
from mmad.projects.project import Project
from mmad.projects.records import Change, Instance, ProjectVideo
from mmad.review.media import Media
from mmad.review.requests import Accept, Decide, Draw, Merge, Move, QueueRequest, Relabel, Split
from mmad.video.index import index_video

# The page asks again when it has worked these off.
_MOST_WAITING = 300


class Refused(Exception):  # noqa: N818
    """An answer other than the one asked for.

    Attributes:
        status: Status of HTTP.
        text: One sentence for the person, without paths.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class Session:
    """A project as one server uses it, from several threads.

    Args:
        project: The project.
        media: What is played for each video.
        annotator: The only person who may decide, or None for anyone who gives a name.
    """

    def __init__(
        self, project: Project, media: Mapping[int, Media], *, annotator: str | None
    ) -> None:
        self._project = project
        self._media = dict(media)
        self._annotator = annotator
        self._lock = RLock()
        self._names = {one.id: one.name for one in project.catalogue.videos()}

    def about(self) -> dict[str, Any]:
        """The project: behaviours, videos, people, range of scores."""
        with self._lock:
            catalogue = self._project.catalogue
            broken = catalogue.problems_of_videos()
            return {
                "name": self._project.folder.resolve().name,
                "annotator": self._annotator,
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
                    {"id": one.id, "model": Path(one.model).name, "made": one.made}
                    for one in self._project.findings.sources()
                ],
            }

    def video(self, number: int, annotator: str) -> dict[str, Any]:
        """The detections in a video, and the instances of a person."""
        name = self._name(number)
        with self._lock:
            self._check(annotator)
            return {
                "detections": [
                    [one.id, one.behaviour, one.start_seconds, one.end_seconds, one.score]
                    for one in self._project.findings.detections(name)
                ],
                "instances": [
                    one.as_json() for one in self._project.decisions.instances(name, annotator)
                ],
                "history": self._history(annotator),
            }

    def times(self, number: int) -> bytes:
        """Times of the frames of a video in seconds, float64, little-endian."""
        try:
            index = index_video(self.media(number).path)
        except VideoError:
            raise Refused(410, "the file of this video cannot be read any more") from None
        return np.asarray(index.times_seconds, "<f8").tobytes()

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
        # What has no file cannot be looked at.
        waiting = [one for one in waiting if numbers.get(one.video) in self._media]
        return {
            "waiting": [[numbers[one.video], one.detection.id] for one in waiting[:_MOST_WAITING]],
            "total": len(waiting),
            "progress": [
                [numbers[one.video], one.open, one.accepted, one.rejected]
                for one in progress
                if one.video in numbers
            ],
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

    def add_behaviour(self, name: str) -> dict[str, Any]:
        """A new behaviour, or the one of this name."""
        with self._lock, _refusals():
            return asdict(self._project.catalogue.add_behaviour(name))

    def _changed(self, annotator: str, act: Callable[[], Change | None]) -> dict[str, Any]:
        with self._lock, _refusals():
            self._check(annotator)
            change = act()
            return {"change": _json_of(change), "history": self._history(annotator)}

    def _history(self, annotator: str) -> dict[str, int]:
        undoable, undone = self._project.decisions.can_take_back(annotator)
        return {"undo": undoable, "redo": undone}

    def _problem(self, video: ProjectVideo, broken: Mapping[str, str]) -> str | None:
        if video.name in broken:
            return "gone" if not video.path.is_file() else "replaced"
        return None if video.id in self._media else "not playable"

    def _name(self, number: int) -> str:
        if number not in self._names:
            raise Refused(404, "there is no such video")
        return self._names[number]

    def _check(self, annotator: str) -> None:
        if self._annotator is not None and annotator != self._annotator:
            raise Refused(403, "this page is for another annotator")


class _refusals:  # noqa: N801
    """Turns what the store refuses into answers without paths."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, StaleError):
            raise Refused(409, str(error)) from None
        if isinstance(error, sqlite3.Error):
            text = "nothing was saved: the project cannot be written to (disk full, or read-only?)"
            raise Refused(503, text) from None
        if isinstance(error, ProjectError):
            raise Refused(422, str(error)) from None


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
