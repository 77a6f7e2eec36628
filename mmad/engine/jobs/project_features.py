"""The stored features of the videos of a project, and detection in them.

One pass through the backbone serves both: the temporal detector of a run reads what was stored.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from mmad.config.features import ExtractionSettings
from mmad.config.run import DetectionRun, FeatureRun, VideoRun
from mmad.data.features.files import FeatureFile
from mmad.data.features.parts import FeatureParts
from mmad.data.features.windows import WindowReader
from mmad.engine.features.backbone import open_backbone
from mmad.engine.features.extraction import Computation, Extracted, extract_parts, plan_computation
from mmad.engine.features.plan import FeatureBackbone
from mmad.engine.inference import OnOutputs, detect_videos
from mmad.engine.precision import choose_precision
from mmad.engine.runs.folder import RunFolder
from mmad.engine.runs.load import load_run, run_config
from mmad.engine.runs.onto_videos import backbone_of_features, video_config
from mmad.engine.trained.detector import TrainedDetector
from mmad.errors import FeatureError, VideoError
from mmad.models.detectors.whole import FeatureDetector
from mmad.projects.project import Project
from mmad.projects.records import ProjectVideo
from mmad.structures import Detections, VideoRecord

FOLDER = "features"


def project_computation(source: Path, *, device: torch.device) -> Computation:
    """What turns videos into the features of a config or run.

    Those of a run on stored features are made again by the backbone that had made them.

    Raises: ConfigError, CheckpointError or FeatureError if it has no backbone that can extract.
    """
    folder = RunFolder(source)
    manifest = folder.manifest() if source.is_dir() else None
    if manifest is None:
        backbone = open_backbone(source, device=device)
        settings = ExtractionSettings(fps=backbone.fps)
        automatic = "auto"
    else:
        config = run_config(source)
        assert isinstance(config, FeatureRun)
        whole = video_config(config, manifest, source=str(source))
        network = backbone_of_features(manifest, place=None, source=str(source))
        network.requires_grad_(False)
        assert manifest.extraction is not None
        settings, automatic = manifest.extraction, "fp32"
        backbone = FeatureBackbone(
            network.to(device).eval(),
            whole.backbone,
            whole.data,
            weights_source=manifest.weights_source,
            seed=manifest.weights_seed or 0,
            fps=settings.fps,
        )
    precision = choose_precision(automatic, device)
    return plan_computation(backbone, settings, precision=precision, block_clips=None)


def features_path(project: Project, computation: Computation) -> Path:
    """The file of the features of a project that a computation makes; each has its own."""
    manifest = computation.manifest
    assert manifest.backbone is not None
    name = f"{manifest.backbone.name}-{manifest.fingerprint()[:8]}.h5"
    return project.folder / FOLDER / name


class ProjectFeatures:
    """The features of videos of a project, each stored once it is extracted.

    Args:
        project: The project.
        model: The run or config, as it was named.
        computation: What makes them.
        videos: The videos, whose files are there.

    Raises: FeatureError if the file of the features is damaged.
    """

    def __init__(
        self,
        project: Project,
        model: str,
        computation: Computation,
        videos: Sequence[ProjectVideo],
    ) -> None:
        self.path = features_path(project, computation)
        self._computation = computation
        files = [(video.name, video.path) for video in videos]
        self._parts = FeatureParts(self.path, computation.manifest, files)
        self._done = Extracted()
        project.findings.add_extractor(model, self.path)

    @contextmanager
    def at_work(self) -> Iterator[list[str]]:
        """The names of the videos without features, for the time that they are extracted.

        Raises: FeatureError if another process extracts the same, OutputError if the disk is full.
        """
        with self._parts.at_work(lambda: self._done.messages) as waiting:
            yield waiting
        self._parts.join()

    def extract(self, name: str, *, progress: Callable[[int], object] | None = None) -> None:
        """Extract a video that waits.

        Raises: VideoError if it cannot be read, OutputError if the features cannot be written.
        """
        before = len(self._done.failed)
        extract_parts(
            self._parts.files([name]),
            self._parts,
            self._computation,
            self._done,
            num_workers=0,
            progress=progress,
        )
        for failure in self._done.failed[before:]:
            raise VideoError(failure.message)

    def of(self, name: str) -> FeatureFile:
        """The file with the features of a video, complete or of this video alone."""
        part = self._parts.path(name)
        return FeatureFile(part if part.is_file() else self.path)


@dataclass(frozen=True, eq=False)
class StoredDetector:
    """The temporal detector of a run, on stored features.

    Attributes:
        network: The network.
        config: Its settings.
        device: Device to compute on.
        fps: Frame rate that it works at.
    """

    network: FeatureDetector
    config: FeatureRun
    device: torch.device
    fps: float | None

    @classmethod
    def of(cls, trained: TrainedDetector, computation: Computation, path: Path) -> "StoredDetector":
        """The temporal detector of a run, on the features that a computation makes.

        Args:
            trained: The run.
            computation: Extraction with the backbone of the run.
            path: File of the features.
        """
        manifest = computation.manifest
        network, config, _ = load_run(trained.folder.path, features=manifest)
        assert isinstance(network, FeatureDetector)
        return cls(
            network.to(trained.device),
            on_features(config, path, frames_per_step=manifest.frames_per_step or 1),
            trained.device,
            trained.fps,
        )

    def detect(
        self, file: FeatureFile, video: ProjectVideo, *, on_outputs: OnOutputs | None = None
    ) -> Detections:
        """The detections in a video.

        Raises: FeatureError if its features cannot be read.
        """
        found = detect_videos(
            self.network,
            [record_in_project(video)],
            self.config,
            device=self.device,
            precision=choose_precision(self.config.training.precision, self.device),
            fps=self.fps,
            reader=WindowReader(file, steps_per_stored=self.config.upsampling),
            on_outputs=on_outputs,
        )
        for failure in found.failures:
            raise FeatureError(failure.message)
        return found.detections[video.name]


def on_features(config: DetectionRun, path: Path, *, frames_per_step: int) -> FeatureRun:
    """The settings of a run as one on the stored features in ``path``."""
    if isinstance(config, FeatureRun):
        return config.model_copy(
            update={"data": config.data.model_copy(update={"features": str(path)})}
        )
    assert isinstance(config, VideoRun)
    content = config.model_dump()
    data = {
        "annotations": config.data.annotations,
        "features": str(path),
        "window_steps": max(config.data.window_frames // frames_per_step, 1),
        "window_overlap": config.data.window_overlap,
        "keep_tail": config.data.keep_tail,
    }
    return FeatureRun.model_validate({**content, "backbone": None, "data": data})


def record_in_project(video: ProjectVideo) -> VideoRecord:
    """The record of a video of a project."""
    return VideoRecord(
        video.name,
        video.duration_seconds,
        "none",
        fps=video.fps,
        num_frames=video.num_frames,
        path=video.path,
    )
