"""Detections of the videos of a corpus, each kept as soon as it is found."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from mmad.config.base import validated
from mmad.config.run import VideoRun
from mmad.data.samples import FailedVideo
from mmad.engine.distributed import choose_device
from mmad.engine.inference import DetectedVideos, detect_videos
from mmad.engine.precision import choose_precision
from mmad.engine.runs.folder import RunFolder
from mmad.engine.runs.onto_videos import load_video_run
from mmad.errors import RESUME_HINT, PredictionError, VideoError, told_if_interrupted
from mmad.files import write_json
from mmad.models.detectors.whole import EndToEndDetector
from mmad.parsing import json_value, read_text
from mmad.parts import Parts
from mmad.shares import Share
from mmad.structures import Detections, VideoRecord
from mmad.video.reading import ReadVideo
from mmad.workers import Workers


@dataclass(frozen=True)
class UsedRun:
    """A run as it is used, for other processes to open.

    Attributes:
        folder: Run folder, or exported file.
        config: Its settings, changed in data and inference only.
        device: As in `choose_device`.
        backbone: As in `load_video_run`.
    """

    folder: Path
    config: VideoRun
    device: str = "auto"
    backbone: str | None = None

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
    """One video to find detections in."""

    run: UsedRun
    record: VideoRecord

    def __str__(self) -> str:
        return self.record.video_id


def detect_video(job: DetectionJob) -> DetectedVideos:
    """The detections of one video; the network stays in memory for the next one.

    Raises: CheckpointError or FeatureError as `load_video_run`.
    """
    run = job.run
    device = choose_device(run.device)
    return detect_videos(
        _network(run.folder, run.device, run.backbone),
        [job.record],
        run.config,
        device=device,
        precision=choose_precision(run.config.training.precision, device),
        fps=run.config.data.rate(usual=RunFolder(run.folder).training_fps()),
    )


@lru_cache(maxsize=1)
def _network(folder: Path, device: str, backbone: str | None) -> EndToEndDetector:
    chosen = choose_device(device)
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    return load_video_run(folder, backbone=backbone)[0].to(chosen)


_Numbers = list[Annotated[float, Field(ge=0, allow_inf_nan=False)]]


class DetectionPart(BaseModel):
    """The file of the detections of one video."""

    model_config = ConfigDict(extra="forbid")

    made_by: str
    source: list[int] | None
    segments_seconds: list[Annotated[_Numbers, Field(min_length=2, max_length=2)]]
    labels: list[Annotated[int, Field(ge=0)]]
    scores: _Numbers
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


class DetectionParts(Parts):
    """The detections of each video, until those of all are there.

    Args:
        out: File that all of them are written to in the end.
        videos: Id and file of each video, in the order of the results.
        mine: Ids of the videos of this process.
        share: The share that these are.
        made_by: Fingerprint of the run; parts of another one are made again.
        write: Writes the detections of all videos.
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
        self._videos = videos
        self._made_by = made_by
        self._write = write
        super().__init__(
            out, list(videos), mine, share=share, what="predictions", error=PredictionError
        )

    def write(self, video_id: str, found: Detections, read: ReadVideo | None) -> None:
        """Write the part of a video."""
        part = DetectionPart(
            made_by=self._made_by,
            source=self._source(video_id),
            segments_seconds=found.segments_seconds.tolist(),
            labels=found.labels.tolist(),
            scores=found.scores.tolist(),
            reading=None if read is None else read.to_json(),
        )
        write_json(self.path(video_id), part.model_dump())

    def has_part(self, video_id: str) -> bool:
        """As in `Parts`."""
        return self._part(video_id) is not None

    def merge(self) -> bool:
        """As in `Parts`."""
        parts = {name: self._part(name) for name in self.names}
        missing = [name for name, part in parts.items() if part is None]
        if not all(self.note(name).is_file() for name in missing):
            return False
        failed = {name: read_text(self.note(name), error=PredictionError) for name in missing}
        found = {name: part for name, part in parts.items() if part is not None}
        readings = {name: part.reading for name, part in found.items() if part.reading is not None}
        self._write(
            FoundInCorpus(
                {name: part.detections() for name, part in found.items()},
                readings | {name: {"error": message} for name, message in failed.items()},
                failed,
            )
        )
        return True

    def _part(self, video_id: str) -> DetectionPart | None:
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
        is_current = part.made_by == self._made_by and part.source == self._source(video_id)
        return part if is_current else None

    def _source(self, video_id: str) -> list[int] | None:
        path = self._videos[video_id]
        if not path.is_file():
            return None
        state = path.stat()
        return [state.st_size, state.st_mtime_ns]


def detect_corpus(
    run: UsedRun,
    parts: DetectionParts,
    workers: Workers,
    *,
    record_of: Callable[[str], VideoRecord],
    on_video: Callable[[VideoRecord, Detections], object] = lambda *_: None,
    progress: Callable[[], object] = lambda: None,
) -> tuple[DetectedVideos, bool]:
    """Find the detections of the videos of a share that have none yet, and merge all if complete.

    Returns what this process has found now, and whether the detections of all videos were there,
    so that they are written.

    Args:
        run: The run.
        parts: Files of the detections of each video.
        workers: Where the work is done.
        record_of: Gives the record of a video, with its path, by its id; its VideoError is the
            failure of that video.
        on_video: Called with each video that is done now, and its detections.
        progress: Called after each video.

    Raises: MmadError as `Workers.run` and `Parts`.
    """
    found = DetectedVideos({}, [])

    def keep(job: DetectionJob, result: DetectedVideos) -> None:
        name = job.record.video_id
        found.failures.extend(result.failures)
        if name in result.detections:
            parts.write(name, result.detections[name], result.read.get(name))
            found.detections[name] = result.detections[name]
            found.read.update(result.read)
            on_video(job.record, result.detections[name])
        progress()

    def messages() -> dict[str, str]:
        return {failure.video_id: failure.message for failure in found.failures}

    with told_if_interrupted(RESUME_HINT), parts.at_work(messages) as waiting:
        jobs = []
        for name in waiting:
            try:
                jobs.append(DetectionJob(run, record_of(name)))
            except VideoError as error:
                found.failures.append(FailedVideo(name, str(error)))
        for _ in range(len(parts.mine) - len(jobs)):
            progress()
        workers.run(detect_video, jobs, keep)
    return found, parts.join()
