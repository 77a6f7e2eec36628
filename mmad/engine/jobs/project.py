"""Detecting in the videos of a project, and storing their features."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mmad.engine.jobs.detection import UsedRun
from mmad.engine.jobs.project_features import ProjectFeatures, StoredDetector, project_computation
from mmad.engine.runs.hub import local_run
from mmad.engine.runs.onto_videos import config_on_videos
from mmad.engine.score_curves import ScoreCurves
from mmad.engine.trained.detector import TrainedDetector
from mmad.engine.trained.device import device_of_process
from mmad.engine.trained.opening import open_trained, require_detector
from mmad.errors import MmadError
from mmad.evaluation.thresholds import read_thresholds
from mmad.labels import LabelMap
from mmad.projects.project import Project
from mmad.projects.records import Curves, ProjectVideo
from mmad.structures import Detections
from mmad.video.records import record_of


@dataclass
class Watcher:
    """Who hears what happens.

    Attributes:
        start: Called with the number of videos done before, and of all.
        video: Called after each video.
        notice: Called with what the user should know.
    """

    start: Callable[[int, int], object] = lambda done, total: None
    video: Callable[[], object] = lambda: None
    notice: Callable[[str], object] = lambda text: None


@dataclass
class Searched:
    """What was done in the videos of a project.

    Attributes:
        source: Number of the source of the detections; None if only features were extracted.
        features: File of the features; None if the run has none that can be stored.
        problems: What is wrong with each video that could not be searched.
    """

    source: int | None = None
    features: Path | None = None
    problems: dict[str, str] = field(default_factory=dict)


def detect_in_project(
    project: Project,
    checkpoint: Path,
    *,
    min_score: float,
    device: str = "auto",
    tell: Watcher | None = None,
) -> Searched:
    """Add the detections of a run in all videos of a project, and store their features; each video
    is kept once it is done.

    Called again, also after it was killed, it does the videos that the same run, with the same
    weights and ``min_score``, has not searched yet, or whose features are not stored.

    Args:
        project: The project.
        checkpoint: Run folder or hub id of a detector.
        min_score: Detections with a lower score are not kept.
        device: As in `choose_device`.
        tell: Who hears what happens.

    Raises: CheckpointError, ConfigError as `open_trained`; ProjectError if the project lacks a
        behaviour of the run.
    """
    tell = tell or Watcher()
    detector = require_detector(open_trained(checkpoint, device=device))
    used = UsedRun(local_run(checkpoint), config_on_videos(checkpoint), device)
    settings = {"fingerprint": used.fingerprint(), "min_score": min_score}
    project.catalogue.require_behaviours(detector.labels.names, of=str(checkpoint))
    source = next(
        (one.id for one in project.findings.sources() if one.settings == settings),
        None,
    )
    if source is None:
        thresholds = read_thresholds(used.folder, detector.labels)
        threshold = None if thresholds is None else thresholds.overall
        source = project.findings.add_source(str(checkpoint), settings, threshold=threshold)
    before = project.findings.searched(source)
    searched = Searched(source, problems=project.catalogue.problems_of_videos())
    videos = [one for one in project.catalogue.videos() if one.name not in searched.problems]
    stored = _stored(project, detector, checkpoint, videos, tell)
    searched.features = None if stored is None else stored.features.path
    with _at_work(stored) as waiting:
        undone = [one for one in videos if one.name in waiting or one.name not in before]
        total = len(project.catalogue.videos())
        tell.start(total - len(undone) - len(searched.problems), total)
        for video in undone:
            curves = ScoreCurves(video.duration_seconds, len(detector.labels))
            try:
                if stored is not None and video.name in waiting:
                    stored.features.extract(video.name)
                if video.name not in before:
                    found = _detect(detector, stored, video, curves)
                    _keep(project, source, video, found, curves, detector.labels, min_score)
            except MmadError as error:
                searched.problems[video.name] = str(error)
                continue
            tell.video()
    return searched


def extract_in_project(
    project: Project, source: Path, *, device: str = "auto", tell: Watcher | None = None
) -> Searched:
    """Store the features of all videos of a project that have none yet; each is kept at once.

    Args:
        project: The project.
        source: Run folder, hub id or YAML file with a backbone, of any task and labels.
        device: As in `choose_device`.
        tell: Who hears what happens.

    Raises: MmadError as `project_computation`.
    """
    tell = tell or Watcher()
    place = source if source.is_file() else local_run(source)
    computation = project_computation(place, device=device_of_process(device))
    searched = Searched(problems=project.catalogue.problems_of_videos())
    videos = [one for one in project.catalogue.videos() if one.name not in searched.problems]
    features = ProjectFeatures(project, str(source), computation, videos)
    searched.features = features.path
    with features.at_work() as waiting:
        tell.start(len(videos) - len(waiting), len(videos) + len(searched.problems))
        for name in waiting:
            try:
                features.extract(name)
            except MmadError as error:
                searched.problems[name] = str(error)
                continue
            tell.video()
    return searched


@dataclass(frozen=True, eq=False)
class _Stored:
    features: ProjectFeatures
    detector: StoredDetector


def _stored(
    project: Project,
    detector: TrainedDetector,
    checkpoint: Path,
    videos: list[ProjectVideo],
    tell: Watcher,
) -> _Stored | None:
    """The features of a run and its detector on them; None, with a notice, if it has none."""
    try:
        computation = project_computation(detector.folder.path, device=detector.device)
    except MmadError as error:
        tell.notice(f"no features are stored, so mmad teach cannot use this run: {error}")
        return None
    features = ProjectFeatures(project, str(checkpoint), computation, videos)
    return _Stored(features, StoredDetector.of(detector, computation, features.path))


@contextmanager
def _at_work(stored: _Stored | None) -> Iterator[list[str]]:
    with ExitStack() as stack:
        yield [] if stored is None else stack.enter_context(stored.features.at_work())


def _detect(
    detector: TrainedDetector, stored: _Stored | None, video: ProjectVideo, curves: ScoreCurves
) -> Detections:
    if stored is not None:
        return stored.detector.detect(stored.features.of(video.name), video, on_outputs=curves)
    found = detector.detect([record_of(video.path)], progress=False, on_outputs=curves)
    for failure in found.failures:
        raise MmadError(failure.message)
    return next(iter(found.detections.values()))


def _keep(
    project: Project,
    source: int,
    video: ProjectVideo,
    found: Detections,
    curves: ScoreCurves,
    labels: LabelMap,
    min_score: float,
) -> None:
    segments = found.segments_seconds
    lasts = segments[:, 1] > segments[:, 0]
    kept = found[lasts & (found.scores >= min_score)]
    scores = curves.as_bytes()
    if scores is not None:
        numbers = {one.name: one.id for one in project.catalogue.behaviours()}
        behaviours = tuple(numbers[name] for name in labels.names)
        project.findings.add_curves(
            source, video.name, Curves(curves.step_seconds, behaviours, scores)
        )
    project.findings.add_detections(source, video.name, kept, labels)
