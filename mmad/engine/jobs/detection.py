"""Detections of the videos of a corpus, each kept as soon as it is found."""

import atexit
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from mmad.config.base import validated
from mmad.config.run import VideoRun
from mmad.data.samples import FailedVideo
from mmad.engine.inference import DetectedVideos
from mmad.engine.runs.folder import RunFolder
from mmad.engine.trained.detector import TrainedDetector
from mmad.engine.trained.opening import open_trained, require_detector
from mmad.errors import RESUME_HINT, PredictionError, VideoError, told_if_interrupted
from mmad.evaluation.predictions import write_predictions_csv, write_predictions_json
from mmad.files import write_json
from mmad.labels import LabelMap
from mmad.parsing import json_value, read_text
from mmad.parts import Parts
from mmad.progress import Listener, Progress
from mmad.shares import Share
from mmad.structures import Detections, VideoRecord
from mmad.video.guarded.limits import DecoderLimits
from mmad.video.guarded.process import DecoderProcess
from mmad.video.open import VideoSource, index_source
from mmad.video.reading import ReadVideo
from mmad.video.records import record_of_index
from mmad.workers import LocalWorkers, Workers


@dataclass(frozen=True)
class UsedRun:
    """A run as it is used, for other processes to open.

    Attributes:
        folder: Run folder, or exported file.
        config: Its settings, changed in data and inference only.
        device: As in `choose_device`.
        backbone: As in `load_video_run`.
        limits: Of the process that decodes; None decodes in the process that computes.
    """

    folder: Path
    config: VideoRun
    device: str = "auto"
    backbone: str | None = None
    limits: DecoderLimits | None = None

    def fingerprint(self) -> str:
        """What decides the detections of a video: the settings, and the weights on disk."""
        run = RunFolder(self.folder)
        exported = self.folder
        weights = next((one for one in (exported, run.best) if one.is_file()), run.last)
        state = weights.stat()
        facts = [self.config.model_dump(mode="json"), state.st_size, state.st_mtime_ns]
        return hashlib.sha256(json.dumps([*facts, self.backbone]).encode()).hexdigest()


@dataclass(frozen=True)
class DetectionJob:
    """One video to find detections in.

    Attributes:
        run: The run.
        video_id: Id of the video.
        path: Its file.
        record: Its record; None makes one of the file.
    """

    run: UsedRun
    video_id: str
    path: Path
    record: VideoRecord | None = None

    def __str__(self) -> str:
        return self.video_id


@dataclass(frozen=True)
class DetectedVideo:
    """The detections of one video, or why it failed.

    Attributes:
        found: Detections and failures, of this video alone.
        record: Its record; None if it could not be opened.
    """

    found: DetectedVideos
    record: VideoRecord | None


def detect_video(job: DetectionJob, *, progress: bool | Listener = False) -> DetectedVideo:
    """The detections of one video; network and decoder stay in memory for the next one.

    Args:
        job: The video.
        progress: As in `TrainedDetector.detect`.

    Raises: CheckpointError or FeatureError as `load_video_run`.
    """
    run = job.run
    name, before = job.video_id, _stamp(job.path)
    record = job.record
    try:
        source = open_source(job.path, run.limits)
        record = record or record_of_index(index_source(source), job.path, video_id=name)
    except VideoError as error:
        return DetectedVideo(DetectedVideos({}, [FailedVideo(name, str(error))]), None)
    sources = {} if isinstance(source, str | Path) else {name: source}
    detector = _detector(run.folder, run.device, run.backbone)
    found = detector.detect([record], wanted=run.config, sources=sources, progress=progress)
    if _stamp(job.path) != before and not found.failures:
        message = f"{job.path}: was replaced while it was read; run the same command again"
        found = DetectedVideos({}, [FailedVideo(name, message)])
    return DetectedVideo(found, record)


def open_source(path: Path, limits: DecoderLimits | None) -> VideoSource:
    """A video as `detect_video` opens it: decoded in another process if there are limits.

    Raises: VideoError if it cannot be read.
    """
    return path if limits is None else _decoder(limits).open(path)


@lru_cache(maxsize=1)
def _decoder(limits: DecoderLimits) -> DecoderProcess:
    process = DecoderProcess(limits)
    atexit.register(process.close)
    return process


@lru_cache(maxsize=1)
def _detector(folder: Path, device: str, backbone: str | None) -> TrainedDetector:
    return require_detector(open_trained(folder, device=device, backbone=backbone))


def _stamp(path: Path) -> list[int] | None:
    """Size and time of a file, which tell whether it has changed; None if there is none."""
    try:
        state = path.stat()
    except (OSError, ValueError):
        return None
    return [state.st_size, state.st_mtime_ns]


_Numbers = list[Annotated[float, Field(ge=0, allow_inf_nan=False)]]


class DetectionPart(BaseModel):
    """The file of the detections of one video."""

    model_config = ConfigDict(extra="forbid")

    made_by: str
    source: list[int] | None
    segments_seconds: list[Annotated[_Numbers, Field(min_length=2, max_length=2)]]
    labels: list[Annotated[int, Field(ge=0)]]
    scores: _Numbers
    duration_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    shown_as: str
    reading: dict[str, Any] | None

    def detections(self) -> Detections:
        """The detections."""
        return Detections(
            np.array(self.segments_seconds).reshape(-1, 2),
            np.array(self.labels, dtype=np.int64),
            np.array(self.scores),
        )


_PART = TypeAdapter(DetectionPart)


@dataclass(frozen=True)
class FoundInCorpus:
    """Detections of all videos of a corpus.

    Attributes:
        detections: Detections of each readable video, by its id, in the order of the videos.
        readings: What reading each file has shown or why it failed, as `DetectedVideos.to_json`.
        failed: Message of each video that could not be read.
    """

    detections: Mapping[str, Detections]
    readings: Mapping[str, Mapping[str, Any]]
    failed: Mapping[str, str]


def write_corpus(path: Path, found: FoundInCorpus, *, labels: LabelMap) -> None:
    """Write the challenge's CSV, and the JSON beside it, which also says how videos were read.

    Raises: OutputError if a file cannot be written.
    """
    write_predictions_csv(path, found.detections)
    write_predictions_json(
        path.with_suffix(".json"), found.detections, labels, videos=found.readings
    )


class DetectionParts(Parts):
    """The detections of each video, until those of all are there.

    If a video failed they are kept, so that only what failed is done again.

    Args:
        out: File that all of them are written to in the end.
        videos: Id and file of each video, in the order of the results.
        mine: Ids of the videos of this process.
        share: The share that these are.
        made_by: Fingerprint of the run; parts of another one are made again.
        write: Writes the detections of all videos; not called if none could be read.
    """

    suffix = ".json"

    def __init__(
        self,
        out: Path,
        videos: Mapping[str, Path],
        mine: Sequence[str],
        *,
        share: Share,
        made_by: str,
        write: Callable[[FoundInCorpus], object],
    ) -> None:
        self.videos = videos
        self._made_by = made_by
        self._write = write
        self.merged: FoundInCorpus | None = None
        super().__init__(
            out, list(videos), mine, share=share, what="predictions", error=PredictionError
        )

    def write(
        self,
        record: VideoRecord,
        found: Detections,
        read: ReadVideo | None,
        *,
        shown_as: str = "",
    ) -> None:
        """Write the part of a video; ``shown_as`` says how its own files were written."""
        part = DetectionPart(
            made_by=self._made_by,
            source=_stamp(self.videos[record.video_id]),
            segments_seconds=found.segments_seconds.tolist(),
            labels=found.labels.tolist(),
            scores=found.scores.tolist(),
            duration_seconds=record.duration_seconds,
            shown_as=shown_as,
            reading=None if read is None else read.to_json(),
        )
        self.rewrite(record.video_id, part)

    def rewrite(self, video_id: str, part: DetectionPart) -> None:
        """Write a part that was there, changed."""
        write_json(self.path(video_id), part.model_dump())

    def has_part(self, video_id: str) -> bool:
        """As in `Parts`."""
        return self.part(video_id) is not None

    def outdated(self, names: Sequence[str]) -> int:
        """How many of these videos have a part, but one of another run or an older file."""
        return sum(self.path(name).is_file() and not self.has_part(name) for name in names)

    def merge(self) -> bool:
        """As in `Parts`."""
        parts = {name: self.part(name) for name in self.names}
        missing = [name for name, part in parts.items() if part is None]
        if not all(self.note(name).is_file() for name in missing):
            return False
        failed = {name: read_text(self.note(name), error=PredictionError) for name in missing}
        found = {name: part for name, part in parts.items() if part is not None}
        readings = {name: part.reading for name, part in found.items() if part.reading is not None}
        self.merged = FoundInCorpus(
            {name: part.detections() for name, part in found.items()},
            readings | {name: {"error": message} for name, message in failed.items()},
            failed,
        )
        if found:
            self._write(self.merged)
        return True

    def part(self, video_id: str) -> DetectionPart | None:
        """A complete part of this run and of the current video file."""
        path = self.path(video_id)
        if not path.is_file():
            return None
        try:
            content = json_value(
                path, read_text(path, error=PredictionError), error=PredictionError
            )
            part = validated(_PART, content, source=path, error=PredictionError)
        except PredictionError:
            return None
        is_current = part.made_by == self._made_by
        return part if is_current and part.source == _stamp(self.videos[video_id]) else None

    def _clear(self) -> None:
        if self.merged is None or not (self.merged.failed and self.merged.detections):
            super()._clear()


@dataclass(frozen=True)
class Shown:
    """The files of each video, beside those of all.

    Attributes:
        write: Writes them, of a video and its detections.
        how: What decides their content besides the detections, by the id of the video; "" without
            them.
        are_there: Whether they are all there, by the id of the video.
    """

    write: Callable[[VideoRecord, Detections], object] = lambda *_: None
    how: Callable[[str], str] = lambda _: ""
    are_there: Callable[[str], bool] = lambda _: True


def detect_corpus(
    run: UsedRun,
    parts: DetectionParts,
    workers: Workers,
    *,
    records: Mapping[str, VideoRecord],
    shown: Shown,
    progress: Progress,
) -> DetectedVideos:
    """Find the detections of the videos of a share that have none yet, and merge all if complete.

    Returns what this process has found now; ``parts.merged`` has the detections of all videos, once
    those of all are there.

    Args:
        run: The run.
        parts: Files of the detections of each video.
        workers: Where the work is done.
        records: Records of videos, by their ids; the others are made of their files.
        shown: The files of each video, which are written when it is done.
        progress: Counts videos.

    Raises: MmadError as `Workers.run` and `Parts`.
    """
    found = DetectedVideos({}, [])

    def keep(job: DetectionJob, result: DetectedVideo) -> None:
        name = job.video_id
        found.failures.extend(result.found.failures)
        if result.record is not None and name in result.found.detections:
            detections = result.found.detections[name]
            # The part is last, so that a video with one has its files, too.
            shown.write(result.record, detections)
            read = result.found.read.get(name)
            parts.write(result.record, detections, read, shown_as=shown.how(name))
            found.detections[name] = detections
            found.read.update(result.found.read)
        progress.reach(len(parts.mine) - len(jobs) + len(found.detections) + len(found.failures))

    def work(job: DetectionJob) -> DetectedVideo:
        done = len(parts.mine) - len(jobs) + len(found.detections) + len(found.failures)
        return detect_video(job, progress=lambda fraction: progress.reach(done + fraction))

    def messages() -> dict[str, str]:
        return {failure.video_id: failure.message for failure in found.failures}

    with told_if_interrupted(RESUME_HINT), parts.at_work(messages) as waiting:
        if outdated := parts.outdated(waiting):
            progress.say(
                f"{outdated} of {len(parts.mine)} were done with other settings or weights, or "
                "have changed since, and are done again"
            )
        if len(waiting) < len(parts.mine):
            progress.say(f"{len(parts.mine) - len(waiting)} of {len(parts.mine)} are done already")
        jobs = [DetectionJob(run, name, parts.videos[name], records.get(name)) for name in waiting]
        for name in parts.mine:
            part = None if name in waiting else parts.part(name)
            if part and (part.shown_as != shown.how(name) or not shown.are_there(name)):
                record = VideoRecord(name, part.duration_seconds, "none", path=parts.videos[name])
                shown.write(record, part.detections())
                parts.rewrite(name, part.model_copy(update={"shown_as": shown.how(name)}))
        is_here = isinstance(workers, LocalWorkers) and workers.count <= 1
        workers.run(work if is_here else detect_video, jobs, keep)
    parts.join()
    return found
