"""Which stored features a run may use, and a run on features put back onto videos."""

from pathlib import Path

import torch

from mmad.checkpoint import hash_state
from mmad.config.data import DataSettings
from mmad.config.features import ExtractionSettings
from mmad.config.reading import load_any_config
from mmad.config.run import FeatureRun, VideoRun
from mmad.data.features.manifest import FeatureManifest
from mmad.engine.features.backbone import backbone_of_run, open_backbone
from mmad.engine.features.plan import describe_features, hash_base, plan_clips
from mmad.engine.runs.folder import RunFolder, fill_from_run, load_run
from mmad.errors import CheckpointError, FeatureError
from mmad.labels import LabelMap
from mmad.models.backbones.contract import Backbone
from mmad.models.backbones.families import build_backbone
from mmad.models.build import build_detector
from mmad.models.detectors.whole import EndToEndDetector
from mmad.weights.load import load_backbone


def require_features_of(run: RunFolder, manifest: FeatureManifest, *, source: str) -> None:
    """Do nothing if a run may use these features.

    Raises: FeatureError if the run was trained on others, or its own backbone is another.
    """
    trained_on = run.manifest()
    if trained_on is not None:
        differing = trained_on.differences(manifest, in_rate=False)
        if differing:
            raise FeatureError(
                f"{source}: is not what {run.path} was trained on (trained on and found: "
                f"{'; '.join(differing[:4])}); extract the features as then"
            )
        return
    differing = features_of_run(run, like=manifest).differences(manifest, in_rate=False)
    if differing:
        raise FeatureError(
            f"{source}: are not the features that {run.path} sees (it and they: "
            f"{'; '.join(differing[:4])}); make them with mmad extract-features {run.path} VIDEOS"
        )


def features_of_run(run: RunFolder, *, like: FeatureManifest) -> FeatureManifest:
    """The manifest of what an end-to-end run sees.

    Args:
        run: the run.
        like: its type of numbers and precision, which change nothing or little, are taken over.
    """
    device = torch.device("cpu")
    source = open_backbone(run.path, device=device)
    wished = like.extraction or ExtractionSettings()
    settings = ExtractionSettings(dtype=wished.dtype)
    layout = plan_clips(source, settings, block_clips=8)
    seen = describe_features(source, settings, layout=layout, precision=None)
    return seen.model_copy(update={"precision": like.precision})


def require_same_base(backbone: Backbone, start: RunFolder) -> None:
    """Do nothing if a run on features may give its temporal part to a detector with this backbone.

    Raises: FeatureError if its features are of another backbone, adapters aside.
    """
    manifest = start.manifest()
    if manifest is None or manifest.base_sha256 is None:
        return
    found = hash_base(backbone)
    if found != manifest.base_sha256:
        raise FeatureError(
            f"training.start={start.path}: was trained on features of another backbone (without "
            f"adapters, sha256 {manifest.base_sha256}; backbone.pretrained gives {found})"
        )


def load_video_run(
    path: Path, *, backbone: str | None = None
) -> tuple[EndToEndDetector, VideoRun, LabelMap]:
    """A run ready for videos; one that was trained on features gets their backbone back.

    Args:
        path: the run folder.
        backbone: where that backbone is now; None: where it was.

    Raises: FeatureError if the features are not those of an end-to-end detector, or their backbone
        is not where it was; CheckpointError as `load_run`.
    """
    detector, config, labels = load_run(path)
    if isinstance(config, VideoRun):
        assert isinstance(detector, EndToEndDetector)
        return detector, config, labels
    manifest = RunFolder(path).manifest()
    assert manifest is not None
    whole = video_config(config, manifest, source=str(path))
    model = build_detector(whole, num_classes=len(labels))
    assert isinstance(model, EndToEndDetector)
    weights = backbone_of_features(manifest, place=backbone, source=str(path)).state_dict()
    model.features.backbone.load_state_dict(weights)
    fill_from_run(model, path, keeps_backbone=True)
    return model.eval(), whole, labels


def video_config(config: FeatureRun, manifest: FeatureManifest, *, source: str) -> VideoRun:
    """The settings of a run on features as those of one on videos.

    Raises: FeatureError if an end-to-end detector would not see the same features.
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
    # Of stored features, what lies beyond a video's end is always zero.
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
    """The backbone that made the features, read from ``place`` or where it was then.

    Raises: FeatureError if it is not there, or no longer the same.
    """
    assert manifest.backbone is not None
    place = place or manifest.weights_source
    run = None if place is None else RunFolder(Path(place))
    try:
        if run is not None and run.config.is_file():
            backbone = backbone_of_run(run.path, load_any_config(run.config))
        else:
            torch.manual_seed(manifest.weights_seed or 0)
            backbone = build_backbone(manifest.backbone)
            if place is not None:
                load_backbone(backbone, place, allow=manifest.backbone.pretrained_allow)
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
