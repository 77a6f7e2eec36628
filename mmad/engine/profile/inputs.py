"""Input that looks like the data of a run, and everything that a training step on it needs.

Numbers are random. Annotations, videos, features and weights need not be there; only the labels and
the channels of stored features are taken from them, or else assumed, which is said.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from mmad.annotations.formats import read_annotations
from mmad.annotations.label_files import MA52_LABELS, labels_named
from mmad.config.base import changed
from mmad.config.emotion import EmotionConfig
from mmad.config.pretraining import PretrainingConfig
from mmad.config.recognition import RecognitionConfig
from mmad.config.run import AnyConfig, AnyRun, DetectionRun, FeatureRun, VideoRun
from mmad.data.emotion_videos import EmotionBatch, EmotionPacker
from mmad.data.features.windows import FeatureSample, stack_features
from mmad.data.pretraining import MaskedBatch, MaskedItem, MaskedPacker, draw_masks
from mmad.data.samples import Batch, Packer, Sample, pack
from mmad.data.transforms import colour_map
from mmad.data.videos import make_grid
from mmad.data.windows import Window
from mmad.engine.clip_inference import num_streams
from mmad.engine.detection import DetectionTask
from mmad.engine.distributed import Processes
from mmad.engine.emotion import EmotionTask
from mmad.engine.emotion_inference import network_inputs
from mmad.engine.inference import AnyBatch, feature_reader
from mmad.engine.pretraining.task import PretrainingTask
from mmad.engine.recognition import RecognitionTask
from mmad.engine.runs.folder import RunFolder
from mmad.engine.runs.pretrained import settle_backbone
from mmad.engine.task import Experiment
from mmad.labels import MA52, LabelMap, flat_labels
from mmad.models.build import build_detector, build_emotion, build_pretraining, build_recogniser
from mmad.models.detectors.families import build_normalizer
from mmad.models.layers.loss_normalizer import LossNormalizer
from mmad.structures import Annotations, FeatureGrid
from mmad.wording import count

# What is assumed of data that are not there: as in MMA-52, and as many channels as VideoMAE-B has.
USUAL_FPS = 30.0
USUAL_CHANNELS = 768
# Frames of a video, if not more than a window: about four seconds.
USUAL_FRAMES = 128


@dataclass(frozen=True, kw_only=True)
class InputSize:
    """The size of the input; None for what the settings or the data say, else a usual value.

    Attributes:
        batch: Clips or videos.
        length: Detection: frames of a video, or steps of its stored features.
        classes: Number of classes.
        channels: Channels of stored features.
    """

    batch: int = 1
    length: int | None = None
    classes: int | None = None
    channels: int | None = None


@dataclass(frozen=True)
class Workload:
    """A network, its task, and input for both.

    Attributes:
        config: Run configuration, without what was not there.
        experiment: Model, losses and normaliser; no data.
        batch: Input of a pass, not on the device yet.
        text: Description of the input.
        unit: What costs are given for.
        units: Number of units in the batch.
        assumed: Assumptions about data that are not there.
    """

    config: AnyConfig
    experiment: Experiment
    batch: AnyBatch | EmotionBatch | MaskedBatch
    text: str
    unit: str
    units: float
    assumed: tuple[str, ...]

    def arguments(self, prepared: Any) -> tuple[Any, ...]:
        """The arguments of the network for inference, from what the task has prepared."""
        if isinstance(self.config, EmotionConfig):
            per_step = self.config.backbone.frames_per_step
            return network_inputs(prepared, frames_per_step=per_step)
        batch = prepared.batch
        if isinstance(prepared, MaskedBatch):
            return batch.clips, batch.colours, prepared.seen_places, prepared.painted_places
        if isinstance(self.config, RecognitionConfig):
            assert isinstance(batch, Batch)
            return batch.clips, batch.colours, batch.clips_per_window
        return batch.inputs


def make_workload(
    config: AnyConfig, size: InputSize, *, processes: Processes, folder: RunFolder
) -> Workload:
    """The network of a run with random weights, and random input for it.

    Raises: MmadError if labels or features that are there cannot be read.
    """
    config = _without_files(config, batch=size.batch)
    if isinstance(config, RecognitionConfig):
        return _recognition(config, size, processes, folder)
    if isinstance(config, EmotionConfig):
        return _emotion(config, size, processes, folder)
    if isinstance(config, PretrainingConfig):
        return _pretraining(config, size, processes, folder)
    return _detection(config, size, processes, folder)


def _without_files(config: AnyRun, *, batch: int) -> AnyRun:
    """The settings with random weights, and a step of ``batch`` clips or videos."""
    short: dict[str, Any] = {"start": None, "batch_videos": batch, "accumulate": 1, "loggers": []}
    config = changed(config, training=changed(config.training, **short))
    config = changed(config, data=changed(config.data, num_workers=0))
    if config.backbone is None:
        return config
    return settle_backbone(changed(config, backbone=changed(config.backbone, pretrained=None)))


def _assumed_labels(setting: str, classes: int | None) -> tuple[LabelMap, list[str]]:
    """So many labels, or as many as MA-52 has."""
    number = classes or len(MA52)
    said = f"{count(number, 'class')}: {setting} is not there; pass --classes N"
    return flat_labels([str(one) for one in range(number)]), [] if classes else [said]


def _named_labels(name: str, classes: int | None) -> tuple[LabelMap, list[str]]:
    """The labels of `data.labels`, or so many."""
    if classes is None and (name == MA52_LABELS or Path(name).is_file()):
        return labels_named(name), []
    return _assumed_labels(f"data.labels {name}", classes)


# ---- recognition and emotion ----


def _recognition(
    config: RecognitionConfig, size: InputSize, processes: Processes, folder: RunFolder
) -> Workload:
    labels, assumed = _named_labels(config.data.labels, size.classes)
    if not labels.has_parents:
        config, _ = config.without_body_parts()
    heads = config.heads.without_files()
    if heads != config.heads:
        assumed.append("random vectors instead of those in files of heads")
    config = changed(config, heads=heads)
    model = build_recogniser(config, labels=labels)
    clips = [_clip(config, number) for number in range(size.batch * num_streams(config))]
    height, width = config.data.image_hw
    frames, images = config.backbone.clip_frames, config.backbone.images_per_clip
    return Workload(
        config,
        Experiment(
            model=model,
            backbones=(),
            labels=labels,
            task=RecognitionTask(
                config,
                labels=labels,
                counts=[1] * len(labels),
                validation=[],
                processes=processes,
                folder=folder,
            ),
            dataset=Dataset(),
            num_items=size.batch,
            collate=Packer(clip_frames=images),
            normalizer=LossNormalizer(initial=1.0, momentum=0.0),
        ),
        pack(clips, clip_frames=images),
        text=(
            f"{count(size.batch, 'clip')} of {count(frames, 'frame')}, {height} x {width} pixels, "
            f"{'with optical flow, ' if num_streams(config) == 2 else ''}"
            f"{'of optical flow, ' if config.reads_flow else ''}"
            f"{count(len(labels), 'class')}"
        ),
        unit="clip",
        units=size.batch,
        assumed=tuple(assumed),
    )


def _emotion(
    config: EmotionConfig, size: InputSize, processes: Processes, folder: RunFolder
) -> Workload:
    labels, assumed = _named_labels(config.data.labels, size.classes)
    if size.classes is not None:
        config = changed(config, data=changed(config.data, without_parts=[]))
    frames, network = config.backbone.clip_frames, config.network
    learnt = len(config.learnt_actions(labels))
    settings = {"whole": config.data, "face": config.data.of_faces}
    reads = {"whole": network.reads_bodies, "face": network.reads_faces}
    sizes = {name: one.image_hw for name, one in settings.items() if reads[name]}
    packed = {
        name: pack(
            [_clip(config, number, image_hw=hw) for number in range(size.batch)],
            clip_frames=config.backbone.images_per_clip,
        )
        for name, hw in sizes.items()
    }
    batch = EmotionBatch(
        packed.get("whole"),
        packed.get("face"),
        torch.ones(size.batch, frames, dtype=torch.bool),
        torch.zeros(size.batch, dtype=torch.int64),
        torch.zeros(size.batch, learnt),
    )
    seen = " and ".join(f"{name} images of {h} x {w} pixels" for name, (h, w) in sizes.items())
    return Workload(
        config,
        Experiment(
            model=build_emotion(config, labels=labels),
            backbones=(),
            labels=labels,
            task=EmotionTask(
                config, labels=labels, validation=[], processes=processes, folder=folder
            ),
            dataset=Dataset(),
            num_items=size.batch,
            collate=EmotionPacker(config.backbone.images_per_clip),
            normalizer=LossNormalizer(initial=1.0, momentum=0.0),
        ),
        batch,
        text=(
            f"{count(size.batch, 'video')} of {count(frames, 'frame')}, {seen}, "
            f"{count(learnt, 'action')}"
        ),
        unit="video",
        units=size.batch,
        assumed=tuple(assumed),
    )


def _pretraining(
    config: PretrainingConfig, size: InputSize, processes: Processes, folder: RunFolder
) -> Workload:
    clips = [_clip(config, number) for number in range(size.batch)]
    rng = np.random.default_rng(config.seed)
    masks = [draw_masks(config.masks, config.grid, clip.frames, rng=rng) for clip in clips]
    hidden, painted = (np.stack(several) for several in zip(*masks, strict=True))
    packer = MaskedPacker(config.backbone.clip_frames)
    batch, _ = packer([MaskedItem(tuple(clips), hidden, painted)])
    assert batch is not None
    height, width = config.data.image_hw
    frames, tokens = config.backbone.clip_frames, hidden.shape[1]
    return Workload(
        config,
        Experiment(
            model=build_pretraining(config),
            backbones=(),
            labels=None,
            task=PretrainingTask(
                config,
                validation=[],
                fps=None,
                processes=processes,
                folder=folder,
                probe=None,
            ),
            dataset=Dataset(),
            num_items=size.batch,
            collate=packer,
            normalizer=LossNormalizer(initial=1.0, momentum=0.0),
        ),
        batch,
        text=(
            f"{count(size.batch, 'clip')} of {count(frames, 'frame')}, {height} x {width} pixels, "
            f"{tokens - config.masks.num_masked(*config.grid)} of {tokens} tokens seen"
        ),
        unit="clip",
        units=size.batch,
        assumed=(),
    )


def _clip(
    config: RecognitionConfig | EmotionConfig | PretrainingConfig,
    number: int,
    *,
    image_hw: tuple[int, int] | None = None,
) -> Sample:
    frames = config.backbone.images_per_clip
    grid = FeatureGrid(fps=USUAL_FPS, stride_frames=1.0, num_steps=frames)
    images = _images(frames, image_hw or config.data.image_hw, seed=number)
    colour = colour_map(images, config.backbone.colours)
    return Sample(
        str(number),
        images,
        frames,
        colour,
        grid,
        Annotations(np.array([[0.0, 1.0]]), np.array([0])),
    )


def _images(num_frames: int, image_hw: tuple[int, int], *, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (num_frames, *image_hw, 3), dtype=np.uint8)


# ---- detection ----


def _detection(
    config: DetectionRun, size: InputSize, processes: Processes, folder: RunFolder
) -> Workload:
    labels, assumed = _labels_of_detection(config, size.classes)
    if isinstance(config, FeatureRun):
        sequence = _stored_features(config, size)
    else:
        sequence = _videos(config, size)
    model = build_detector(
        config,
        num_classes=len(labels),
        parents=labels.parents,
        feature_channels=sequence.channels,
    )
    return Workload(
        config,
        Experiment(
            model=model,
            backbones=(),
            labels=labels,
            task=DetectionTask(
                config, labels=labels, validation=[], processes=processes, folder=folder
            ),
            dataset=Dataset(),
            num_items=size.batch,
            collate=stack_features,  # a workload has its batch already
            normalizer=build_normalizer(config.detector),
        ),
        sequence.batch,
        text=f"{sequence.text}, {count(len(labels), 'class')}",
        unit=sequence.unit,
        units=size.batch * sequence.units,
        assumed=(*assumed, *sequence.assumed),
    )


def _labels_of_detection(config: DetectionRun, classes: int | None) -> tuple[LabelMap, list[str]]:
    if classes is not None:
        return _assumed_labels("", classes)
    if config.data.labels == MA52_LABELS:
        return MA52, []
    places = config.data.annotations
    paths = [places] if isinstance(places, str) else places
    if not all(Path(path).exists() for path in paths):
        return _assumed_labels(f"data.annotations {', '.join(paths)}", None)
    found = read_annotations(places, format=config.data.format, labels="file")
    return found.labels, []


@dataclass(frozen=True)
class _Sequence:
    """The input of a detector; the fields are those of `Workload`, for one video of the batch.

    Attributes:
        channels: Channels of stored features; None for videos.
    """

    batch: AnyBatch
    text: str
    unit: str
    units: float
    assumed: Sequence[str]
    channels: int | None = None


def _seconds(length: float, *, fps: float | None) -> tuple[str, float]:
    """Unit and number of units of ``length`` frames."""
    return ("window", 1.0) if fps is None else ("second of video", length / fps)


def _annotations(grid: FeatureGrid) -> Annotations:
    """Two short instances of two classes, inside the grid."""
    end = float(grid.to_seconds([[0, grid.num_steps]])[0, 1])
    return Annotations(end * np.array([[0.1, 0.3], [0.4, 0.7]]), np.array([0, 1]))


def _videos(config: VideoRun, size: InputSize) -> _Sequence:
    data, backbone = config.data, config.backbone
    clip = backbone.clip_frames
    whole = data.sampling == "whole"  # frames from all over a video have no rate
    usual = data.window_frames if whole else min(USUAL_FRAMES, data.window_frames)
    length = size.length or math.ceil(usual / clip) * clip
    known = data.rate(usual=None)
    fps = known or USUAL_FPS
    grid = make_grid(
        fps=fps,
        frame_stride=data.frame_stride,
        window=Window(0, length),
        frames_per_step=backbone.frames_per_step,
        upsampling=config.upsampling,
    )
    samples = []
    for number in range(size.batch):
        images = _images(length, data.image_hw, seed=number)
        colour = colour_map(images, backbone.colours)
        samples.append(Sample(str(number), images, length, colour, grid, _annotations(grid)))
    unit, units = _seconds(length * data.frame_stride, fps=None if whole else fps)
    assumed = [] if whole or known else [f"{fps:g} frames per second; set data.fps"]
    height, width = data.image_hw
    text = f"{count(size.batch, 'video')} of {count(length, 'frame')}, {height} x {width} pixels"
    return _Sequence(pack(samples, clip_frames=clip), text, unit, units, assumed)


def _stored_features(config: FeatureRun, size: InputSize) -> _Sequence:
    data = config.data
    grid, channels, assumed = data.grid, size.channels, []
    if Path(data.features).exists():
        manifest = feature_reader(config).source.manifest
        grid, channels = manifest.grid, channels or manifest.channels
    elif channels is None:
        channels = USUAL_CHANNELS
        assumed.append(
            f"features of {channels} channels: data.features {data.features} is not there; pass "
            "--channels N"
        )
    length = size.length or data.window_steps
    steps = max(1, round(length * config.upsampling))
    own = FeatureGrid(fps=USUAL_FPS, stride_frames=1.0, num_steps=steps)
    rng = torch.Generator().manual_seed(0)
    samples = [
        FeatureSample(
            str(number),
            torch.randn(channels, steps, generator=rng),
            own,
            _annotations(own),
        )
        for number in range(size.batch)
    ]
    batch, _ = stack_features(samples)
    assert batch is not None
    fps = data.rate(usual=None) or (grid.fps if grid else None)
    unit, units = _seconds(length * grid.stride_frames if grid else 1.0, fps=fps if grid else None)
    text = f"{count(size.batch, 'window')} of {count(length, 'step')} of {channels} channels"
    return _Sequence(batch, text, unit, units, assumed, channels)
