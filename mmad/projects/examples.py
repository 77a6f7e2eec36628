"""What people's decisions say about the videos, as examples to learn from.

Whether a behaviour is there is known only where somebody looked: an accepted segment for all
behaviours but those still suggested there, a rejected one for its own behaviour, a reviewed stretch
for all. The rest is unknown, neither example nor background. So are blind stretches: what is
measured in them must not have been learnt.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mmad.errors import ProjectError
from mmad.projects.project import Project
from mmad.projects.queue import SAME_TIOU
from mmad.projects.records import FoundDetection, Instance, ProjectVideo


@dataclass(frozen=True)
class Span:
    """A stretch of a video about which something is known.

    Attributes:
        behaviour: Number of the behaviour; None for all.
        start_seconds, end_seconds: From when to when.
    """

    behaviour: int | None
    start_seconds: float
    end_seconds: float


@dataclass(frozen=True)
class VideoExamples:
    """What is known about a video.

    Attributes:
        video: The video.
        present: Segments of behaviours.
        absent: Where a behaviour is not, or, of None, none but the present ones.
        open: Suggestions that nobody has decided about, near something present.
        doubtful: Where people contradict each other about a behaviour.
        reviewed: Stretches that somebody has looked at as a whole; nothing is open there.
        blind: Blind stretches that somebody has coded.
    """

    video: ProjectVideo
    present: tuple[Span, ...] = ()
    absent: tuple[Span, ...] = ()
    open: tuple[Span, ...] = ()
    doubtful: tuple[Span, ...] = ()
    reviewed: tuple[Span, ...] = ()
    blind: tuple[Span, ...] = ()

    def known(self, times: NDArray[np.float64], behaviours: Sequence[int]) -> NDArray[np.bool_]:
        """Whether it is known at some times if each behaviour is there, (times, behaviours)."""
        known = np.zeros((len(times), len(behaviours)), dtype=bool)
        column = {one: place for place, one in enumerate(behaviours)}

        def fill(spans: Sequence[Span], value: bool) -> None:
            for span in spans:
                rows = (times >= span.start_seconds) & (times <= span.end_seconds)
                if span.behaviour is None:
                    known[rows] = value
                elif span.behaviour in column:
                    known[rows, column[span.behaviour]] = value

        fill([span for span in self.absent if span.behaviour is None], True)
        fill(self.open, False)
        fill(self.reviewed, True)
        fill([span for span in self.absent if span.behaviour is not None], True)
        fill(self.doubtful, False)
        fill(self.present, True)
        fill(self.blind, False)
        return known


@dataclass(frozen=True)
class Examples:
    """What is known about the videos of a project.

    Attributes:
        annotators: Whose decisions these are.
        videos: The videos with decisions, by name.
        conflicts: One line about each decision that another person contradicts.
        num_decisions: Number of decisions.
    """

    annotators: tuple[str, ...]
    videos: Mapping[str, VideoExamples]
    conflicts: tuple[str, ...]
    num_decisions: int

    def counts(self) -> dict[int, int]:
        """The number of present segments of each behaviour that has one."""
        numbers: dict[int, int] = {}
        for video in self.videos.values():
            for span in video.present:
                assert span.behaviour is not None
                numbers[span.behaviour] = numbers.get(span.behaviour, 0) + 1
        return numbers


def examples_of(project: Project, *, annotators: Collection[str] = ()) -> Examples:
    """The examples of a project.

    Where one person accepts and another rejects the same behaviour, it is unknown.

    Args:
        project: The project.
        annotators: Whose decisions; everybody's if empty.

    Raises: ProjectError if somebody is not among the annotators, or nobody has decided anything.
    """
    known = project.decisions.annotators()
    if unknown := sorted(set(annotators) - set(known)):
        raise ProjectError(
            f"{project.folder}: {unknown[0]} has decided nothing; annotators: "
            f"{', '.join(known) or 'none yet'}"
        )
    chosen = tuple(sorted(annotators or known))
    names = {one.id: one.name for one in project.catalogue.behaviours()}
    stretches: dict[tuple[int, bool], list[Span]] = {}
    for annotator in chosen:
        for one in project.decisions.reviewed(annotator):
            span = Span(None, one.start_seconds, one.end_seconds)
            stretches.setdefault((one.video, one.is_blind), []).append(span)
    sources = project.findings.sources()
    least_score = sources[-1].least_score if sources else 0.0
    videos: dict[str, VideoExamples] = {}
    conflicts: list[str] = []
    number = 0
    for video in project.catalogue.videos():
        instances = [
            (annotator, one)
            for annotator in chosen
            for one in project.decisions.instances(video.name, annotator)
        ]
        reviewed, blind = (stretches.get((video.id, is_blind), []) for is_blind in (False, True))
        instances = [one for one in instances if not _is_inside(one[1], blind)]
        number += len(instances)
        if not instances and not reviewed:
            continue
        found = _Video(project, video, instances, least_score)
        conflicts += [f"{names[a]} in {video.name} at {t:.1f} s" for a, t in found.conflicts]
        videos[video.name] = VideoExamples(
            video,
            tuple(found.present),
            tuple(found.absent),
            tuple(found.open),
            tuple(found.doubtful),
            tuple(reviewed),
            tuple(blind),
        )
    if not videos:
        raise ProjectError(
            f"{project.folder}: nobody has decided anything yet; decide with mmad review "
            f"{project.folder}"
        )
    return Examples(chosen, videos, tuple(conflicts), number)


@dataclass
class _Video:
    """Sorts the decisions about a video into what is present, absent, open and doubtful."""

    project: Project
    video: ProjectVideo
    instances: list[tuple[str, Instance]]
    least_score: float
    present: list[Span] = field(default_factory=list)
    absent: list[Span] = field(default_factory=list)
    open: list[Span] = field(default_factory=list)
    doubtful: list[Span] = field(default_factory=list)
    conflicts: list[tuple[int, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        rejections = list(self._rejections())
        for annotator, one in self.instances:
            if one.state != "accepted":
                continue
            span = _span(one)
            if any(who != annotator and same(span, other) for who, other in rejections):
                self.doubtful.append(span)
                self.conflicts.append((one.behaviour, one.start_seconds))
            elif not any(same(span, other) for other in self.present):
                self.present.append(span)
        for _, span in rejections:
            if not any(same(span, other) for other in self.doubtful):
                self.absent.append(span)
        self.absent += [Span(None, one.start_seconds, one.end_seconds) for one in self.present]
        self.open = self._undecided()

    def _rejections(self) -> Iterator[tuple[str, Span]]:
        """Who says that a behaviour is not there: by rejecting it, or by naming another one."""
        for annotator, one in self.instances:
            if one.state == "rejected":
                yield annotator, _span(one)
            elif one.state == "accepted" and one.detection is not None:
                found = self.project.findings.detection(self.video.name, one.detection)
                if found is None or found.behaviour == one.behaviour:
                    continue
                span = _span(found)
                if not any(
                    who == annotator and other.state == "accepted" and same(span, _span(other))
                    for who, other in self.instances
                ):
                    yield annotator, span

    def _undecided(self) -> list[Span]:
        """Suggestions without a decision that overlap a present segment, and are shown."""
        decided = [_span(one) for _, one in self.instances]
        spans = []
        for found in self.project.findings.detections(self.video.name):
            if found.score < self.least_score:
                break
            span = _span(found)
            is_near = any(
                one.start_seconds < span.end_seconds and span.start_seconds < one.end_seconds
                for one in self.present
            )
            if is_near and not any(same(span, other) for other in decided):
                spans.append(span)
        return spans


def same(one: Span, other: Span) -> bool:
    """Whether two spans of a behaviour are about the same thing."""
    if one.behaviour != other.behaviour:
        return False
    inner = min(one.end_seconds, other.end_seconds) - max(one.start_seconds, other.start_seconds)
    outer = max(one.end_seconds, other.end_seconds) - min(one.start_seconds, other.start_seconds)
    return inner > 0 and inner >= SAME_TIOU * outer


def _is_inside(one: Instance, stretches: Sequence[Span]) -> bool:
    middle = (one.start_seconds + one.end_seconds) / 2
    return any(span.start_seconds <= middle <= span.end_seconds for span in stretches)


def _span(one: Instance | FoundDetection) -> Span:
    return Span(one.behaviour, one.start_seconds, one.end_seconds)
