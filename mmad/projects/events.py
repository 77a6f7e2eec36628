"""What people decided, as coded events for files of other programs."""

from collections.abc import Collection, Mapping

from mmad.annotations.exchange.events import CodedVideo, Event, EventFile
from mmad.errors import ProjectError
from mmad.projects.project import Project
from mmad.projects.records import FoundDetection, Instance, ProjectVideo
from mmad.projects.schema import FILE_NAME


def event_of(
    one: Instance | FoundDetection,
    video: ProjectVideo,
    names: Mapping[int, str],
    *,
    annotator: str | None = None,
) -> Event:
    """An instance or a detection in a video as an event, which ends with the video at the latest.

    Args:
        one: The instance or detection; an event of a detection has its score.
        video: Its video.
        names: Names of the behaviours by number.
        annotator: Who decided.
    """
    return Event(
        video.name,
        names[one.behaviour],
        one.start_seconds,
        min(one.end_seconds, video.duration_seconds),
        person=video.person,
        annotator=annotator,
        score=one.score if isinstance(one, FoundDetection) else None,
    )


def decided_events(project: Project, *, annotators: Collection[str] = ()) -> EventFile:
    """The accepted instances of people, by video, person and start.

    Args:
        project: The project.
        annotators: Whose decisions; everybody's if empty.

    Raises: ProjectError if somebody is not among the annotators of the project, or nobody has
        accepted anything.
    """
    known = project.decisions.annotators()
    if unknown := sorted(set(annotators) - set(known)):
        raise ProjectError(
            f"{project.folder}: {unknown[0]} has decided nothing; annotators: "
            f"{', '.join(known) or 'none yet'}"
        )
    names = {one.id: one.name for one in project.catalogue.behaviours()}
    videos = project.catalogue.videos()
    events = tuple(
        event_of(one, video, names, annotator=annotator)
        for video in videos
        for annotator in sorted(annotators or known)
        for one in project.decisions.instances(video.name, annotator)
        if one.state == "accepted"
    )
    if not events:
        raise ProjectError(
            f"{project.folder}: no accepted or drawn instances yet; decide with mmad review "
            f"{project.folder}"
        )
    return EventFile(
        project.folder / FILE_NAME,
        "project",
        events,
        tuple(f"event {place + 1}" for place in range(len(events))),
        tuple(
            CodedVideo(video.name, str(video.path), video.duration_seconds, video.fps)
            for video in videos
        ),
        tuple(names.values()),
    )
