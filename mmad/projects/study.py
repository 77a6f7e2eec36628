"""What a person coded and what a model found in a project, ready to be compared and corrected."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mmad.errors import ProjectError
from mmad.evaluation.blind.tally import Stretches, Tally, tally
from mmad.evaluation.matching import Rows
from mmad.labels import LabelMap
from mmad.projects.blind import CONTEXT_SECONDS
from mmad.projects.project import Project
from mmad.projects.records import BlindStretch, FoundDetection, Instance, ProjectVideo, Source
from mmad.wording import count

Segments = list[tuple[float, float]]
_SHORTEST_SECONDS = 0.1


@dataclass(frozen=True)
class Coded:
    """A stretch that a person has coded, and what they coded in it.

    Attributes:
        video: Name of the video.
        start_seconds, end_seconds: The stretch.
        instances: The accepted instances that share time with it.
    """

    video: str
    start_seconds: float
    end_seconds: float
    instances: tuple[Instance, ...]


@dataclass(frozen=True)
class Study:
    """One person and one source of a project.

    Attributes:
        annotator: The person; None where nobody has coded a stretch.
        source: The run of a model.
        min_score: Lowest score of a detection that counts.
        behaviours: Number and name of each behaviour.
        videos: The videos in which the source has searched.
        blind: Stretches that the person has coded blind.
        shown: Stretches that the person has reviewed with suggestions.
        rest: The other times of each video.
        detections: The detections of each video.
        num_stretches: Stretches of these videos that the blind share is a sample of: all but those
            that the person had seen before the drawing.
        notices: What was left out, one sentence each.
    """

    annotator: str | None
    source: Source
    min_score: float
    behaviours: tuple[tuple[int, str], ...]
    videos: tuple[ProjectVideo, ...]
    blind: tuple[Coded, ...]
    shown: tuple[Coded, ...]
    rest: Mapping[str, Segments]
    detections: Mapping[str, tuple[FoundDetection, ...]]
    num_stretches: int
    notices: tuple[str, ...]

    @property
    def labels(self) -> LabelMap:
        """The behaviours as labels."""
        return LabelMap(names=tuple(name for _, name in self.behaviours))

    @property
    def fraction(self) -> float:
        """The share of all stretches that was coded blind."""
        return min(1.0, len(self.blind) / max(self.num_stretches, 1))

    def tally(
        self, stretches: Sequence[Coded], *, tiou: float = 0.5, step_seconds: float = 0.1
    ) -> Tally:
        """What was coded and found in each of some stretches."""
        found = [self._found_around(one) for one in stretches]
        numbers = [number for number, _ in self.behaviours]
        return tally_of(stretches, found, numbers, tiou=tiou, step_seconds=step_seconds)

    def of_rest(self) -> list[Coded]:
        """The times that nobody coded, as stretches without instances."""
        return [
            Coded(video, start, end, ())
            for video, segments in self.rest.items()
            for start, end in segments
        ]

    def _found_around(self, stretch: Coded) -> list[FoundDetection]:
        return [
            one
            for one in self.detections[stretch.video]
            if one.start_seconds < stretch.end_seconds + CONTEXT_SECONDS
            and one.end_seconds > stretch.start_seconds - CONTEXT_SECONDS
        ]


def tally_of(
    stretches: Sequence[Coded],
    found: Sequence[Sequence[FoundDetection | Instance]],
    behaviours: Sequence[int],
    *,
    tiou: float,
    step_seconds: float,
) -> Tally:
    """What was coded in each stretch, beside something else that was found there.

    Args:
        stretches: Stretches with what was coded.
        found: What is compared with it in each.
        behaviours: Numbers of the behaviours.
        tiou: Lowest tIoU of a match.
        step_seconds: Time between two samples of kappa.
    """
    places = {number: place for place, number in enumerate(behaviours)}
    # Each stretch is a video of its own: they were coded at different times.
    coded, other = (
        _rows(
            (index, places[one.behaviour], one.start_seconds, one.end_seconds)
            for index, some in enumerate(side)
            for one in some
        )
        for side in ([one.instances for one in stretches], found)
    )
    segments = [(one.start_seconds, one.end_seconds) for one in stretches]
    return tally(
        Stretches(np.arange(len(stretches)), np.array(segments, np.float64).reshape(-1, 2)),
        coded,
        other,
        num_labels=len(behaviours),
        tiou=tiou,
        step_seconds=step_seconds,
        context_seconds=CONTEXT_SECONDS,
    )


def read_study(
    project: Project,
    *,
    annotator: str | None = None,
    source: int | None = None,
    min_score: float | None = None,
    needs_blind: bool = True,
) -> Study:
    """What one person coded, beside what a source found.

    What was coded blind counts as it was when the stretch was done: what the person changes later,
    knowing what the model found, does not.

    Args:
        project: The project.
        annotator: The person; by default the only one who has coded blind stretches, or, without
            ``needs_blind``, has reviewed any.
        source: Number of the source; the newest by default.
        min_score: Lowest score of a detection that counts; None: the threshold of the source.
        needs_blind: Whether it is an error that nobody has coded a blind stretch.

    Raises: ProjectError if there is no such person or source, several people are possible, or
        nothing was coded blind but must be.
    """
    chosen = _source(project, source)
    lowest = chosen.min_score if min_score is None else min_score
    searched = project.findings.searched(chosen.id)
    videos = [one for one in project.catalogue.videos() if one.name in searched]
    person = _annotator(project, annotator, needs_blind=needs_blind)
    done = project.blind.done(person) if person else {}
    seen = project.blind.seen(person) if person else set()
    drawn = [one for one in project.blind.stretches() if one.video in searched]
    blind = tuple(coded_blind(project, person or "", drawn, done))
    if needs_blind and not blind:
        raise ProjectError(
            f"{project.folder}: none of the videos that {chosen.model} has searched (source "
            f"{chosen.id}) has a blind stretch coded by {person}"
        )
    marks = project.decisions.reviewed(person) if person else []
    shown: list[Coded] = []
    rest: dict[str, Segments] = {}
    for video in videos:
        covered = [
            (one.start_seconds, one.end_seconds)
            for one in marks
            if one.video == video.id and not one.is_blind
        ]
        apart = [
            (one.start_seconds, one.end_seconds)
            for one in drawn
            if one.video == video.name and one.id not in seen
        ]
        reviewed = _minus(covered, apart)
        shown += _coded_shown(project, person or "", video, _cut(project, video, reviewed))
        own = [(one.start_seconds, one.end_seconds) for one in blind if one.video == video.name]
        rest[video.name] = _minus([(0.0, video.duration_seconds)], [*reviewed, *own])
    possible = [one for one in project.blind.all_stretches() if one.video in searched]
    return Study(
        annotator=person,
        source=chosen,
        min_score=lowest,
        behaviours=tuple((one.id, one.name) for one in project.catalogue.behaviours()),
        videos=tuple(videos),
        blind=blind,
        shown=tuple(shown),
        rest=rest,
        detections={
            video.name: tuple(
                one
                for one in project.findings.detections(video.name, source=chosen.id)
                if one.score >= lowest
            )
            for video in videos
        },
        num_stretches=sum(one.id not in seen for one in possible),
        notices=tuple(_notices(project, chosen, searched, drawn, done, seen, person)),
    )


def _source(project: Project, number: int | None) -> Source:
    sources = [one for one in project.findings.sources() if one.num_videos]
    if not sources:
        raise ProjectError(
            f"{project.folder}: no model has searched its videos; mmad project add "
            f"{project.folder} --checkpoint RUN"
        )
    if number is None:
        return sources[-1]
    for one in sources:
        if one.id == number:
            return one
    known = ", ".join(str(one.id) for one in sources)
    raise ProjectError(f"{project.folder}: has no source {number}; it has {known}")


def _annotator(project: Project, name: str | None, *, needs_blind: bool) -> str | None:
    known = project.decisions.annotators()
    if name is not None and name not in known:
        told = ", ".join(known) or "none yet"
        raise ProjectError(f"{project.folder}: {name} has decided nothing; annotators: {told}")
    if name is not None:
        return name
    coders = [one for one in known if project.blind.done(one)]
    if not coders and needs_blind:
        if not project.blind.stretches():
            raise ProjectError(
                f"{project.folder}: has no blind share, without which errors of a model cannot be "
                f"counted; mmad project blind {project.folder}"
            )
        raise ProjectError(
            f"{project.folder}: nobody has coded a stretch of the blind share; do so on the page "
            f"of mmad review {project.folder}"
        )
    coders = coders or [one for one in known if project.decisions.reviewed(one)]
    if len(coders) > 1:
        raise ProjectError(
            f"{project.folder}: {', '.join(coders)} have coded; choose one with --annotator"
        )
    return coders[0] if coders else None


def coded_blind(
    project: Project, annotator: str, stretches: Iterable[BlindStretch], done: Mapping[int, str]
) -> list[Coded]:
    """What a person had coded in blind stretches when they were done; others are left out.

    Args:
        project: The project.
        annotator: The person.
        stretches: Stretches.
        done: When each was done, by its number.
    """
    return [
        Coded(
            one.video,
            one.start_seconds,
            one.end_seconds,
            _inside(
                project.decisions.instances_at(one.video, annotator, done[one.id]),
                one.start_seconds,
                one.end_seconds,
            ),
        )
        for one in stretches
        if one.id in done
    ]


def _coded_shown(
    project: Project, annotator: str, video: ProjectVideo, segments: Segments
) -> list[Coded]:
    if not segments:
        return []
    instances = project.decisions.instances(video.name, annotator)
    return [
        Coded(video.name, start, end, _inside(instances, start, end)) for start, end in segments
    ]


def _inside(instances: Iterable[Instance], start: float, end: float) -> tuple[Instance, ...]:
    return tuple(
        one
        for one in instances
        if one.state == "accepted" and one.start_seconds < end and one.end_seconds > start
    )


def _cut(project: Project, video: ProjectVideo, segments: Segments) -> Segments:
    """Segments cut at the borders of stretches, so that they are units of about the same length."""
    length = project.blind.stretch_seconds or 30.0
    number = max(1, round(video.duration_seconds / length))
    edges = [video.duration_seconds * one / number for one in range(number + 1)]
    return [
        (max(start, a), min(end, b))
        for start, end in segments
        for a, b in pairwise(edges)
        if min(end, b) - max(start, a) > _SHORTEST_SECONDS
    ]


def _minus(segments: Segments, others: Segments) -> Segments:
    """The union of ``segments`` without that of ``others``, by start."""
    edges = sorted({edge for one in (*segments, *others) for edge in one})
    left: Segments = []
    for start, end in pairwise(edges):
        middle = (start + end) / 2
        if any(a < middle < b for a, b in segments) and not any(a < middle < b for a, b in others):
            if left and left[-1][1] == start:
                left[-1] = (left[-1][0], end)
            else:
                left.append((start, end))
    return left


def _rows(table: Iterable[tuple[int, int, float, float]]) -> Rows:
    values = np.array(list(table), np.float64).reshape(-1, 4)
    labels, videos = values[:, 1].astype(np.int64), values[:, 0].astype(np.int64)
    return Rows(values[:, 2:], labels, videos, np.zeros(len(values)))


def _notices(
    project: Project,
    source: Source,
    searched: set[str],
    drawn: list[BlindStretch],
    done: Mapping[int, str],
    seen: set[int],
    person: str | None,
) -> Iterable[str]:
    left = [one.name for one in project.catalogue.videos() if one.name not in searched]
    if left:
        yield (
            f"{count(len(left), 'video')} that source {source.id} has not searched: left out "
            f"({', '.join(left[:5])}{', ...' if len(left) > 5 else ''})"
        )
    if mine := sum(one.id in seen for one in drawn):
        yield (
            f"{count(mine, 'stretch', 'was')} left out because {person} had seen their "
            "suggestions before they were drawn; the rest is taken to stand for them"
        )
    waiting = sum(one.id not in done and one.id not in seen for one in drawn)
    if waiting and done:
        yield f"{count(waiting, 'stretch', 'is')} still to be coded blind by {person}"
