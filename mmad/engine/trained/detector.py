"""A trained detector: detections of any video, and of the videos of a subset."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from mmad.config.reading import with_max_missing
from mmad.config.run import DetectionRun, FeatureRun, VideoRun
from mmad.data.features.windows import WindowReader
from mmad.engine.detection import read_data, records_of, require_features, require_rate
from mmad.engine.features.compatibility import require_features_of
from mmad.engine.inference import (
    DetectedVideos,
    OnOutputs,
    detect_videos,
    feature_reader,
    video_progress,
)
from mmad.engine.precision import choose_precision
from mmad.engine.runs.changes import require_same_model
from mmad.engine.runs.folder import RunFolder
from mmad.engine.runs.load import load_run
from mmad.engine.runs.onto_videos import load_video_run
from mmad.engine.streaming.stream import DetectionStream
from mmad.errors import CheckpointError
from mmad.labels import LabelMap
from mmad.models.detectors.whole import Detector, EndToEndDetector
from mmad.progress import Listener
from mmad.structures import VideoRecord
from mmad.video.open import OpenedVideo
from mmad.wording import listed


@dataclass(frozen=True, eq=False)
class TrainedDetector:
    """A run of detection, ready to use.

    Attributes:
        folder: Run folder.
        config: Settings of the run.
        labels: Labels that it was trained on.
        device: Device to compute on.
        backbone: For a run on features: current place of their backbone; None: the original one.
    """

    folder: RunFolder
    config: DetectionRun
    labels: LabelMap
    device: torch.device
    backbone: str | None = None

    @cached_property
    def on_videos(self) -> tuple[EndToEndDetector, VideoRun]:
        """The network that takes videos, and its settings.

        Raises: CheckpointError or FeatureError as `load_video_run`.
        """
        network, config, _ = load_video_run(self.folder.path, backbone=self.backbone)
        return network.to(self.device), config

    @property
    def fps(self) -> float | None:
        """Frame rate that the network works at; None takes each video's own."""
        return self.config.data.rate(usual=self.folder.training_fps())

    def read(self) -> None:
        """Read the network now: of a run on features, only the temporal part.

        Raises: CheckpointError as `load_run`.
        """
        if isinstance(self.config, FeatureRun):
            load_run(self.folder.path)
        else:
            _ = self.on_videos

    def detect(
        self,
        records: Sequence[VideoRecord],
        *,
        wanted: VideoRun | None = None,
        max_missing: float | None = None,
        sources: Mapping[str, OpenedVideo] | None = None,
        progress: bool | Listener = True,
        on_outputs: OnOutputs | None = None,
    ) -> DetectedVideos:
        """Detections of videos, with those that could not be read.

        Args:
            records: Videos with their paths.
            wanted: Settings of the run, changed in data and inference only; None: as they are.
            max_missing: Share of missing frames above which a video fails; None: the run's.
            sources: Opened videos, by id, instead of files.
            progress: Show the progress, or a function of the fraction done.
            on_outputs: As in `window_candidates`.
        """
        network, config = self.on_videos
        return self._detect(
            network,
            records,
            with_max_missing(wanted or config, max_missing),
            task="detect",
            progress=progress,
            sources=sources,
            on_outputs=on_outputs,
        )

    def _detect(
        self,
        network: Detector,
        records: Sequence[VideoRecord],
        config: DetectionRun,
        *,
        task: str,
        progress: bool | Listener,
        reader: WindowReader | None = None,
        sources: Mapping[str, OpenedVideo] | None = None,
        on_outputs: OnOutputs | None = None,
    ) -> DetectedVideos:
        """The arguments are those of `detect` and `detect_videos`."""
        with video_progress(task, records, progress) as shown:
            return detect_videos(
                network,
                records,
                config,
                device=self.device,
                precision=choose_precision(config.training.precision, self.device),
                fps=config.data.rate(usual=self.folder.training_fps()),
                reader=reader,
                sources=sources,
                progress=shown.update,
                on_outputs=on_outputs,
            )

    def open_stream(
        self,
        *,
        fps: float | None,
        min_score: float,
        delay: float | None = None,
        window_overlap: float | None = None,
        name: str = "stream",
    ) -> DetectionStream:
        """Detection in a stream of frames; the arguments are those of `DetectionStream`."""
        network, config = self.on_videos
        return DetectionStream(
            network,
            config,
            device=self.device,
            precision=choose_precision(config.training.precision, self.device),
            model_fps=config.data.rate(usual=self.folder.training_fps()),
            fps=fps,
            min_score=min_score,
            delay=delay,
            window_overlap=window_overlap,
            name=name,
        )

    def predict(
        self, wanted: DetectionRun, subset: str, *, progress: bool | Listener = True
    ) -> tuple[list[VideoRecord], DetectedVideos]:
        """The videos of a subset of the annotations, and their detections.

        Args:
            wanted: Settings of the run, changed in data and inference only.
            subset: Subset of the annotations.
            progress: As in `detect`.

        Raises: MmadError if the data are missing or of other classes, or the settings define
            another model.
        """
        path = self.folder.path
        records = videos_to_predict(wanted, self.labels, subset)
        groups = ["detector", "upsampling"]
        fps = wanted.data.rate(usual=self.folder.training_fps())
        if isinstance(wanted, FeatureRun):
            reader = feature_reader(wanted)
            manifest = reader.source.manifest
            require_features(reader, records)
            require_rate(reader, records, fps=fps, tolerance=wanted.data.fps_tolerance)
            require_features_of(self.folder, manifest, source=wanted.data.features)
            network, config, _ = load_run(path, features=manifest)
        else:
            reader = None
            network, config = self.on_videos
            groups.append("backbone")
        require_same_model(path, config, wanted, groups)
        found = self._detect(
            network.to(self.device),
            records,
            wanted,
            task="predict",
            progress=progress,
            reader=reader,
        )
        return records, found


def videos_to_predict(wanted: DetectionRun, labels: LabelMap, subset: str) -> list[VideoRecord]:
    """The videos of a subset.

    Raises: CheckpointError if their classes are not those of the run; as `records_of`.
    """
    annotations, present = read_data(wanted)
    if present != labels:
        raise CheckpointError(
            f"{listed(wanted.data.annotations)}: has other classes ({len(present)}) than the run "
            f"was trained on ({len(labels)})"
        )
    return records_of(wanted, annotations, [subset])
