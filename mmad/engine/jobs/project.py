"""Detecting in the videos of a project."""

from collections.abc import Callable
from pathlib import Path

from mmad.engine.jobs.detection import UsedRun
from mmad.engine.runs.hub import local_run
from mmad.engine.runs.onto_videos import config_on_videos
from mmad.engine.trained.opening import open_trained, require_detector
from mmad.errors import MmadError
from mmad.projects.project import Project
from mmad.video.records import record_of


def detect_in_project(
    project: Project,
    checkpoint: Path,
    *,
    min_score: float,
    device: str = "auto",
    on_start: Callable[[int, int], object] = lambda done, total: None,
    on_video: Callable[[str, int], object] = lambda name, number: None,
) -> tuple[int, dict[str, str]]:
    """Add the detections of a run in all videos of a project, each video once it is done.

    Called again, also after it was killed, it searches the videos that the same run, with the same
    weights and ``min_score``, has not searched yet.

    Args:
        project: The project.
        checkpoint: Run folder or hub id of a detector.
        min_score: Detections with a lower score are not kept.
        device: As in `choose_device`.
        on_start: Called with the number of videos done before, and of all.
        on_video: Called after each video with its name and number of detections.

    Returns:
        The number of the source, and what is wrong with each video that could not be searched.

    Raises: CheckpointError, ConfigError as `open_trained`; ProjectError if the project lacks a
        behaviour of the run.
    """
    detector = require_detector(open_trained(checkpoint, device=device))
    used = UsedRun(local_run(checkpoint), config_on_videos(checkpoint), device)
    settings = {"fingerprint": used.fingerprint(), "min_score": min_score}
    project.catalogue.require_behaviours(detector.labels.names)
    source = next(
        (one.id for one in project.findings.sources() if one.settings == settings),
        None,
    )
    if source is None:
        source = project.findings.add_source(str(checkpoint), settings)
    searched = project.findings.searched(source)
    problems = project.catalogue.problems_of_videos()
    videos = project.catalogue.videos()
    on_start(len(searched), len(videos))
    for video in videos:
        if video.name in searched or video.name in problems:
            continue
        try:
            found = detector.detect([record_of(video.path)], progress=False)
        except MmadError as error:
            problems[video.name] = str(error)
            continue
        for failure in found.failures:
            problems[video.name] = failure.message
        for detections in found.detections.values():
            segments = detections.segments_seconds
            lasts = segments[:, 1] > segments[:, 0]
            kept = detections[lasts & (detections.scores >= min_score)]
            project.findings.add_detections(source, video.name, kept, detector.labels)
            on_video(video.name, len(kept.scores))
    return source, problems
