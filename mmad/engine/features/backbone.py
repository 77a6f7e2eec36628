"""The backbone of an extraction, from a config with pretrained weights or a trained run."""

from collections.abc import Sequence
from pathlib import Path

import torch

from mmad.config.data import FrameSettings, ImageSettings
from mmad.config.pretraining import PretrainingConfig
from mmad.config.reading import load_any_config
from mmad.config.recognition import RecognitionConfig
from mmad.config.run import AnyConfig, VideoRun, require_videos
from mmad.engine.features.plan import FeatureBackbone
from mmad.engine.runs.folder import RunFolder
from mmad.engine.runs.load import load_recogniser, load_run
from mmad.engine.runs.pretrained import load_pretrained, settle_backbone
from mmad.errors import ConfigError
from mmad.export.reading import is_exported
from mmad.models.backbones.contract import Backbone
from mmad.models.backbones.families import build_backbone
from mmad.models.detectors.whole import EndToEndDetector
from mmad.weights.hub import source_of


def open_backbone(
    source: Path, *, device: torch.device, change: Sequence[str] = (), random: bool = False
) -> FeatureBackbone:
    """The backbone of a config or run folder, ready to use.

    Args:
        source: YAML file, or run folder of a detector or recogniser.
        device: Device to compute on.
        change: Overrides of the config; for a run, of its data only.
        random: Allow a config without pretrained weights.

    Raises: ConfigError if there is no backbone or it has no weights, CheckpointError if they do not
        fit.
    """
    if is_exported(source):
        raise ConfigError(f"{source}: expected a config or a run folder, found a file of a network")
    run = RunFolder(source)
    given = load_any_config(run.config if source.is_dir() else source, overrides=change)
    config = settle_backbone(
        given if isinstance(given, RecognitionConfig) else _detection_run(given, source)
    )
    settings = config.backbone
    if settings.reads_flow:
        raise ConfigError(
            f"{source}: backbone.flow_stack reads optical flow, and features are those of videos"
        )
    if source.is_dir():
        backbone = backbone_of_run(source, config)
    else:
        torch.manual_seed(config.seed)
        backbone = build_backbone(settings, weights_follow=True)
        if settings.pretrained is not None:
            load_pretrained(backbone, settings)
        elif not random:
            raise ConfigError(
                f"{source}: backbone.pretrained is null, so its features would be meaningless; "
                "pass weights, a run folder instead of the config, or --random-weights for a trial"
            )
    backbone.requires_grad_(False)
    return FeatureBackbone(
        backbone.to(device).eval(),
        settings,
        frame_settings(config),
        weights_source=_place(source if source.is_dir() else settings.pretrained),
        seed=config.seed,
        fps=None
        if isinstance(config, RecognitionConfig)
        else config.data.rate(usual=run.training_fps() if source.is_dir() else None),
    )


def _place(source: str | Path | None) -> str | None:
    """Absolute path of the weights, or their Hub id."""
    if source is None:
        return None
    path = Path(source)
    if (origin := source_of(path)) is not None:
        return f"{origin.repository}@{origin.commit}"
    return str(path.resolve() if path.exists() else source)


def _detection_run(given: AnyConfig, source: Path) -> VideoRun:
    if isinstance(given, PretrainingConfig):
        raise ConfigError(
            f"{source}: is a run of pre-training; pass a config, with backbone.pretrained={source}"
        )
    return require_videos(given)


def backbone_of_run(run: Path, config: VideoRun | RecognitionConfig) -> Backbone:
    """The trained backbone of a run, adapters included.

    Raises: ConfigError if ``config`` describes another backbone than the run's.
    """
    if isinstance(config, RecognitionConfig):
        recognizer, own, _ = load_recogniser(run)
        trained, backbone = own.backbone, recognizer.features.backbone
    else:
        detector, found, _ = load_run(run)
        assert isinstance(detector, EndToEndDetector)
        trained, backbone = require_videos(found).backbone, detector.features.backbone
    if trained.of_all_tokens != config.backbone.of_all_tokens:
        raise ConfigError(f"{run}: has another backbone; change settings of its data only")
    backbone.use_tokens(config.backbone.computed_tokens)
    return backbone


def frame_settings(config: VideoRun | RecognitionConfig) -> FrameSettings:
    """How a run samples the frames of a video; a recogniser takes all frames."""
    if isinstance(config, VideoRun):
        return config.data
    images = {name: getattr(config.data, name) for name in ImageSettings.model_fields}
    return FrameSettings(**images)
