"""What a person can do with detections and instances: accept, reject, relabel, move, split, merge.

`Decisions.change` replaces instances by others; here is which ones, for each action.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mmad.errors import ProjectError
from mmad.projects.project import Project
from mmad.projects.records import Change, FoundDetection, Instance, What


class StaleError(ProjectError):
    """What is acted upon was changed meanwhile, in another window or by another process."""


@dataclass(frozen=True)
class Target:
    """What is acted upon: a detection without a decision, or an instance of the person.

    Attributes:
        detection: Number of the detection, or None.
        instance: Number of the instance, or None.
    """

    detection: int | None = None
    instance: int | None = None


class Actions:
    """The actions of one person in one video.

    Args:
        project: The project.
        annotator: Who decides.
        video: Name of the video.

    Raises: ProjectError if there is no such video.
    """

    def __init__(self, project: Project, annotator: str, video: str) -> None:
        self._decisions = project.decisions
        self._findings = project.findings
        self._annotator = annotator
        self._video = video
        self._hidden = project.blind.hidden(annotator, video)
        self._instances = {
            one.id: one for one in self._decisions.instances(video, annotator) if one.id is not None
        }

    def accept(self, target: Target) -> Change:
        """Say that the behaviour is there."""
        return self._put("accept", target, state="accepted")

    def reject(self, target: Target) -> Change:
        """Say that the behaviour is not there."""
        return self._put("reject", target, state="rejected")

    def relabel(self, target: Target, behaviour: int) -> Change:
        """Accept it as another behaviour."""
        return self._put("relabel", target, state="accepted", behaviour=behaviour)

    def move(self, target: Target, start_seconds: float, end_seconds: float) -> Change:
        """Accept it with another start and end."""
        return self._put(
            "move",
            target,
            state="accepted",
            start_seconds=start_seconds,
            end_seconds=end_seconds,
        )

    def draw(self, behaviour: int, start_seconds: float, end_seconds: float) -> Change:
        """Add an instance that no detection has."""
        drawn = Instance(None, behaviour, start_seconds, end_seconds)
        return self._change("draw", (), [drawn])

    def delete(self, target: Target) -> Change:
        """Take a decision back: its detection is open again, a drawn instance is gone."""
        one = self._existing(target)
        return self._change("delete", (one, *self._merged_into(one)), [])

    def split(self, target: Target, at_seconds: float) -> Change:
        """Accept it as two, which meet at a time.

        Raises: ProjectError if the time is not inside it.
        """
        one = self._current(target)
        if not one.start_seconds < at_seconds < one.end_seconds:
            raise ProjectError(f"{at_seconds:.3f} s is not inside the segment to be split")
        first = replace(one, end_seconds=at_seconds, state="accepted")
        second = replace(one, id=None, start_seconds=at_seconds, state="accepted")
        return self._change("split", (one,), [first, second])

    def merge(self, targets: Sequence[Target]) -> Change:
        """Accept several as one, from the first start to the last end.

        Raises: ProjectError if they are less than two, or of different behaviours.
        """
        several = sorted(map(self._current, targets), key=lambda one: one.start_seconds)
        if len({(one.id, one.detection) for one in several}) < 2:
            raise ProjectError("merging takes two or more")
        if len({one.behaviour for one in several}) > 1:
            raise ProjectError("only segments of one behaviour are merged; relabel one first")
        first, *others = several
        end = max(one.end_seconds for one in several)
        whole = replace(first, end_seconds=end, state="accepted")
        parts = [
            replace(one, state="merged")
            for one in others
            if one.detection is not None and one.detection != first.detection
        ]
        return self._change("merge", several, [whole, *parts])

    def _put(self, what: What, target: Target, **fields: object) -> Change:
        one = self._current(target)
        opened = self._merged_into(one) if fields["state"] == "rejected" else ()
        return self._change(what, (one, *opened), [replace(one, **fields)])  # type: ignore[arg-type]

    def _change(self, what: What, before: Sequence[Instance], after: Sequence[Instance]) -> Change:
        removed = [one.id for one in before if one.id is not None]
        return self._decisions.change(self._annotator, self._video, what, remove=removed, add=after)

    def _merged_into(self, one: Instance) -> tuple[Instance, ...]:
        """Decisions that say that their detections are part of an instance."""
        return tuple(
            other
            for other in self._instances.values()
            if one.state == "accepted"
            and other.state == "merged"
            and other.behaviour == one.behaviour
            and other.start_seconds >= one.start_seconds
            and other.end_seconds <= one.end_seconds
        )

    def _current(self, target: Target) -> Instance:
        """The instance, or the detection as an instance that is not stored yet."""
        if target.instance is not None:
            return self._existing(target)
        detection = self._detection(target.detection)
        if any(
            detection.start_seconds < end and detection.end_seconds > start
            for start, end in self._hidden
        ):
            raise StaleError("this stretch is to be coded blind now; load the video again")
        if any(one.detection == detection.id for one in self._instances.values()):
            raise StaleError(
                "this detection has been decided in another window; load the video again"
            )
        return Instance(
            None,
            detection.behaviour,
            detection.start_seconds,
            detection.end_seconds,
            detection=detection.id,
        )

    def _existing(self, target: Target) -> Instance:
        one = self._instances.get(target.instance or 0)
        if one is None:
            raise StaleError(
                "this decision has been changed in another window; load the video again"
            )
        return one

    def _detection(self, number: int | None) -> FoundDetection:
        found = None if number is None else self._findings.detection(self._video, number)
        if found is None:
            raise ProjectError("there is no such detection in this video")
        return found
