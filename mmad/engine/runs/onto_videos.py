"""Runs with video input, converted from features where needed."""

from pathlib import Path
from typing import cast

import torch

from mmad.checkpoint import hash_state
from mmad.config.data import DataSettings
from mmad.config.reading import load_any_config
from mmad.config.recognition import RecognitionConfig
from mmad.config.run import FeatureRun, VideoRun
from mmad.data.features.manifest import FeatureManifest
from mmad.engine.features.backbone import backbone_of_run
from mmad.engine.runs.folder import RunFolder
from mmad.engine.runs.hub import local_run
from mmad.engine.runs.load import fill_from_run, load_run, run_config
from mmad.engine.runs.pretrained import load_pretrained
from mmad.errors import CheckpointError, FeatureError
from mmad.export.reading import ExportedDetector, is_exported, open_exported
from mmad.labels import LabelMap
from mmad.models.backbones.contract import Backbone
from mmad.models.backbones.families import build_backbone
from mmad.models.build import build_detector
from mmad.models.detectors.whole import EndToEndDetector


def load_video_run(
    path: Path, *, backbone: str | None = None
) -> tuple[EndToEndDetector, VideoRun, LabelMap]:
    """A run with video input; one trained on features gets their backbone back.

    Args:
        path: Run folder.
        backbone: Current place of that backbone; None: the original one.

    Raises: FeatureError if the features are not those of an end-to-end detector, or their backbone
        is not found; CheckpointError as `load_run`.
    """
    if is_exported(path):
        opened = open_exported(path, ExportedDetector)
        return cast(EndToEndDetector, opened.network), opened.config, opened.labels
    detector, config, labels = load_run(path)
    if isinstance(config, VideoRun):
        assert isinstance(detector, EndToEndDetector)
        return detector, config, labels
    manifest = RunFolder(path).manifest()
    assert manifest is not None
    whole = video_config(config, manifest, source=str(path))
    model = build_detector(whole, num_classes=len(labels), parents=labels.parents)
    assert isinstance(model, EndToEndDetector)
    weights = backbone_of_features(manifest, place=backbone, source=str(path)).state_dict()
    model.features.backbone.load_state_dict(weights)
    fill_from_run(model, path, keeps_backbone=True)
    return model.eval(), whole, labels


def config_on_videos(path: Path) -> VideoRun:
    """The settings of a run, converted to video input if it was trained on features.

    Raises: CheckpointError as `run_config` and if the run has another task, FeatureError as
        `video_config`.
    """
    config = run_config(path)
    if isinstance(config, VideoRun):
        return config
    manifest = RunFolder(path).manifest()
    if not isinstance(config, FeatureRun) or manifest is None:
        raise CheckpointError(f"{path}: is a run of {config.task}; expected one of detection")
    return video_config(config, manifest, source=str(path))


def video_config(config: FeatureRun, manifest: FeatureManifest, *, source: str) -> VideoRun:
    """The settings of a run on features, converted to video input.

    Raises: FeatureError if an end-to-end detector would not compute the same features.
    """
    if not manifest.is_end_to_end or manifest.backbone is None or manifest.pictures is None:
        raise FeatureError(
            f"{source}: was trained on features that an end-to-end detector does not see (it sees "
            "dense, pooled ones after the last block), so it cannot take videos; extract their "
            "features and use mmad predict"
        )
    sampling = manifest.sampling
    clip, per_step = manifest.backbone.clip_frames, manifest.backbone.frames_per_step
    data = DataSettings(
        annotations=config.data.annotations,
        videos="none",
        format=config.data.format,
        labels=config.data.labels,
        out_of_video=config.data.out_of_video,
        fps=config.data.fps,
        tiers=config.data.tiers,
        tier_types=config.data.tier_types,
        language=config.data.language,
        window_overlap=config.data.window_overlap,
        keep_tail=config.data.keep_tail,
        sampling=sampling.get("sampling", "rate"),
        frame_stride=sampling.get("frame_stride", 1),
        fps_tolerance=sampling.get("fps_tolerance", 0.05),
        window_frames=sampling.get("window_frames")
        or max(config.data.window_steps * per_step // clip, 1) * clip,
        **manifest.pictures.model_dump(),
    )
    # Stored features are always zero beyond a video's end.
    detector = config.detector.model_copy(update={"mask_features": True})
    return VideoRun(
        compat=config.compat,
        seed=config.seed,
        data=data,
        backbone=manifest.backbone,
        upsampling=config.upsampling,
        detector=detector,
        training=config.training,
        inference=config.inference,
    )


def backbone_of_features(manifest: FeatureManifest, *, place: str | None, source: str) -> Backbone:
    """The backbone that made the features, read from ``place`` or its original place.

    Raises: FeatureError if it is not found or has changed.
    """
    assert manifest.backbone is not None
    place = place or manifest.weights_source
    try:
        run = None if place is None else RunFolder(local_run(place))
        config = load_any_config(run.config) if run and run.config.is_file() else None
        if run is not None and isinstance(config, VideoRun | RecognitionConfig):
            backbone = backbone_of_run(run.path, config)
        else:  # weights, or a run of another task
            torch.manual_seed(manifest.weights_seed or 0)
            backbone = build_backbone(manifest.backbone)
            if place is not None:
                settings = manifest.backbone.model_copy(update={"pretrained": place})
                load_pretrained(backbone, settings)
    except CheckpointError as error:
        raise FeatureError(
            f"{source}: the backbone that made its features cannot be read from {place} ({error}); "
            "pass its place with --backbone"
        ) from None
    with torch.no_grad():
        found = hash_state(backbone.state_dict())
    if found != manifest.weights_sha256:
        raise FeatureError(
            f"{source}: the weights in {place} are no longer those that made its features "
            f"(sha256 {manifest.weights_sha256}, now {found})"
        )
    return backbone
