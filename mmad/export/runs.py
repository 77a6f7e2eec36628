"""Run folders in the form that is exported."""

from pathlib import Path

from mmad.config.recognition import RecognitionConfig
from mmad.config.run import AnyConfig, FeatureRun, VideoRun
from mmad.data.features.manifest import FeatureManifest
from mmad.engine.runs.folder import RunFolder
from mmad.engine.runs.load import load_recogniser, load_run, run_config
from mmad.engine.runs.onto_videos import load_video_run
from mmad.errors import ExportError
from mmad.export.description import Description, plain_settings
from mmad.export.networks import (
    ClipRecogniser,
    ExportedNetwork,
    SequenceDetector,
    VideoDetector,
)
from mmad.export.reading import is_exported
from mmad.labels import LabelMap
from mmad.models.detectors.whole import EndToEndDetector, FeatureDetector
from mmad.models.recognisers.whole import Recogniser


def network_of_run(
    path: Path, *, backbone: str | None = None
) -> tuple[ExportedNetwork, Description]:
    """The network of a run folder in the form that is exported, and what its file will say.

    Args:
        path: Run folder.
        backbone: For a run on features: the place of their backbone, to export a network that
            reads videos; None: the temporal detector, which reads features.

    Raises: ExportError if the run has no such form, CheckpointError as `run_weights`.
    """
    if is_exported(path):
        raise ExportError(f"{path}: is an exported file; pass the run folder that it was made from")
    config = run_config(path)
    folder = RunFolder(path)
    if isinstance(config, RecognitionConfig):
        recogniser, config, labels = load_recogniser(path)
        return recogniser_form(recogniser, config, labels)
    if isinstance(config, FeatureRun) and backbone is None:
        detector, config, labels = load_run(path)
        manifest = folder.manifest()
        assert isinstance(detector, FeatureDetector)
        assert isinstance(config, FeatureRun)
        assert manifest is not None
        return sequence_form(detector, config, labels, manifest)
    if isinstance(config, VideoRun | FeatureRun):
        whole, video_config, labels = load_video_run(path, backbone=backbone)
        fps = video_config.data.rate(usual=folder.training_fps())
        return video_form(whole, video_config, labels, fps=fps)
    raise ExportError(
        f"{path}: is a run of {config.task}, whose network has an input for faces beside the "
        "images; runs of detection and recognition can be exported"
    )


def video_form(
    detector: EndToEndDetector, config: VideoRun, labels: LabelMap, *, fps: float | None
) -> tuple[ExportedNetwork, Description]:
    """A detector on videos."""
    height, width = config.data.image_hw
    network = VideoDetector(
        detector, statistics=config.backbone.colours, image_hw=config.data.image_hw
    )
    clip = config.backbone.clip_frames
    rate = "their own rate" if fps is None else f"{fps:g} frames per second"
    background = ", less their median plus 128" if config.data.subtract_background else ""
    text = (
        f"frames: uint8 RGB (windows, frames, {height}, {width}, 3){background}, at {rate}, "
        f"every {config.data.frame_stride}; their number is a multiple of {clip}, the last one "
        "repeated. num_frames: int64 (windows,), frames that exist. Normalisation is inside. A "
        f"step of the outputs is {config.backbone.frames_per_step / config.upsampling:g} frames."
    )
    return network, _described(network, config, labels, reads="videos", text=text, fps=fps)


def sequence_form(
    detector: FeatureDetector, config: FeatureRun, labels: LabelMap, manifest: FeatureManifest
) -> tuple[ExportedNetwork, Description]:
    """A detector on stored features."""
    network = SequenceDetector(detector, channels=manifest.channels)
    text = (
        f"features: float32 (windows, {manifest.channels}, steps), zero where no step exists. "
        "mask: bool (windows, steps), the steps that exist."
    )
    return network, _described(network, config, labels, reads="features", text=text)


def recogniser_form(
    recogniser: Recogniser, config: RecognitionConfig, labels: LabelMap
) -> tuple[ExportedNetwork, Description]:
    """A recogniser of clips.

    Raises: ExportError if it reads optical flow.
    """
    if recogniser.num_streams != 1 or config.data.flow is not None:
        raise ExportError("this recogniser reads optical flow; those of images can be exported")
    view = config.data.views("test")
    network = ClipRecogniser(recogniser, statistics=config.backbone.colours, image_hw=view.hw)
    height, width = view.hw
    text = (
        f"frames: uint8 RGB (views, {config.backbone.images_per_clip}, {height}, {width}, 3). "
        "Normalisation is inside. fine and coarse: logits of actions and body parts."
    )
    return network, _described(network, config, labels, reads="clips", text=text)


def _described(
    network: ExportedNetwork,
    config: AnyConfig,
    labels: LabelMap,
    *,
    reads: str,
    text: str,
    fps: float | None = None,
) -> Description:
    return Description(
        reads=reads,
        config=plain_settings(config),
        labels=labels,
        fps=fps,
        preprocessing=text,
    )
