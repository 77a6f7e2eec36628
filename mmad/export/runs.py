"""Run folders in the form that is exported."""

from pathlib import Path

import torch

from mmad.config.backbones.family import BackboneFamilySettings
from mmad.config.recognition import RecognitionConfig
from mmad.config.run import FeatureRun, VideoRun
from mmad.data.features.manifest import FeatureManifest
from mmad.engine.runs.folder import RunFolder
from mmad.engine.runs.load import load_recogniser, load_run, run_config
from mmad.engine.runs.onto_videos import load_video_run
from mmad.errors import ExportError
from mmad.export.candidates import candidate_stage
from mmad.export.description import Description, TensorSpec, WindowSpec, plain_settings
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


def _require_all_tokens(settings: BackboneFamilySettings) -> None:
    """Raise `ExportError` if a network leaves out tokens, whose number depends on the images."""
    if not settings.keeps_all_tokens:
        raise ExportError(
            "this run has backbone.tokens.keep other than all, and an exported file computes all "
            "tokens; train it with backbone.tokens.keep=all to export it"
        )


def video_form(
    detector: EndToEndDetector, config: VideoRun, labels: LabelMap, *, fps: float | None
) -> tuple[ExportedNetwork, Description]:
    """A detector on videos.

    Raises: ExportError if it computes moving tokens only.
    """
    _require_all_tokens(config.backbone)
    data, backbone = config.data, config.backbone
    unit = backbone.frames_per_step / config.upsampling
    network = VideoDetector(
        detector,
        stage=candidate_stage(config, unit=unit),
        statistics=backbone.colours,
        image_hw=data.image_hw,
    )
    rate = "their own rate" if fps is None else f"{fps:g} frames per second"
    every = "" if data.frame_stride == 1 else f", every {data.frame_stride}th of them"
    background = ", less their median over the video plus 128" if data.subtract_background else ""
    inputs = [
        TensorSpec(
            name="frames",
            dtype="uint8",
            shape=("windows", "frames", *data.image_hw, 3),
            about=f"RGB, at {rate}{every}{background}; a multiple of {backbone.clip_frames}, the "
            "last frame repeated",
        ),
        TensorSpec(
            name="num_frames",
            dtype="int64",
            shape=("windows",),
            about="frames that exist, without the repeated ones",
        ),
    ]
    window = WindowSpec(
        length=data.window_frames, overlap=data.window_overlap, multiple=backbone.clip_frames
    )
    description = Description(
        reads="videos",
        config=plain_settings(config),
        labels=labels,
        fps=fps,
        frame_stride=data.frame_stride,
        inputs=inputs,
        outputs=_outputs_of(network, unit=f"frames of the input ({unit:g} in a step)"),
        window=window,
    )
    return network, description


def sequence_form(
    detector: FeatureDetector, config: FeatureRun, labels: LabelMap, manifest: FeatureManifest
) -> tuple[ExportedNetwork, Description]:
    """A detector on stored features."""
    stage = candidate_stage(config, unit=1.0)
    network = SequenceDetector(detector, stage=stage, channels=manifest.channels)
    inputs = [
        TensorSpec(
            name="features",
            dtype="float32",
            shape=("windows", manifest.channels, "steps"),
            about="zero where no step exists"
            + ("" if config.upsampling == 1 else f"; {config.upsampling:g} for each stored step"),
        ),
        TensorSpec(
            name="mask", dtype="bool", shape=("windows", "steps"), about="the steps that exist"
        ),
    ]
    length = round(config.data.window_steps * config.upsampling)
    description = Description(
        reads="features",
        config=plain_settings(config),
        labels=labels,
        inputs=inputs,
        outputs=_outputs_of(network, unit="steps of the input"),
        window=WindowSpec(length=length, overlap=config.data.window_overlap),
    )
    return network, description


def recogniser_form(
    recogniser: Recogniser, config: RecognitionConfig, labels: LabelMap
) -> tuple[ExportedNetwork, Description]:
    """A recogniser of clips.

    Raises: ExportError if it reads optical flow, or computes moving tokens only.
    """
    _require_all_tokens(config.backbone)
    if recogniser.num_streams != 1 or config.data.flow is not None:
        raise ExportError("this recogniser reads optical flow; those of images can be exported")
    view = config.data.views("test")
    network = ClipRecogniser(recogniser, statistics=config.backbone.colours, image_hw=view.hw)
    frames = TensorSpec(
        name="frames",
        dtype="uint8",
        shape=("views", config.backbone.images_per_clip, *view.hw, 3),
        about="RGB",
    )
    description = Description(
        reads="clips",
        config=plain_settings(config),
        labels=labels,
        inputs=[frames],
        outputs=_outputs_of(network, unit=""),
    )
    return network, description


_CANDIDATES = {
    "segments": "start and end of each candidate, in {unit}",
    "scores": "their scores, by descending score; 0 for no candidate",
    "labels": "their classes, as places in the list of labels",
}
_LOGITS = {
    "pooled": "logits of the actions, of the whole clip",
    "fine": "logits of the actions",
    "coarse": "logits of the body parts",
    "fine_frame": "logits of the actions, of each step",
}
# Dimensions that differ from call to call, by their letter at the end of the name of a raw output.
_DIMENSIONS = {"B": "windows", "P": "points", "T": "steps"}


def _outputs_of(network: ExportedNetwork, *, unit: str) -> list[TensorSpec]:
    """The outputs, from what the network gives for one call."""
    with torch.no_grad():
        found = network.eval()(*network.example(1, 1))
    specs = []
    for name, value in found.items():
        shape: list[int | str] = list(value.shape)
        if name in _CANDIDATES:
            shape[:2] = ["windows", "candidates"]
            about = _CANDIDATES[name].format(unit=unit)
        elif name in _LOGITS:
            shape[0] = "views"
            about = _LOGITS[name]
        else:
            letters = name.rpartition("_")[2]
            shape = [_DIMENSIONS.get(x, size) for x, size in zip(letters, shape, strict=True)]
            about = "raw output of the detector"
        dtype = str(value.dtype).removeprefix("torch.")
        specs.append(TensorSpec(name=name, dtype=dtype, shape=tuple(shape), about=about))
    return specs
