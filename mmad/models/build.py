"""The whole network of a run, from its settings."""

from collections.abc import Sequence

import torch

from mmad.config.emotion import EmotionConfig
from mmad.config.pretraining import PretrainingConfig
from mmad.config.recognition import RecognitionConfig
from mmad.config.run import DetectionRun, require_videos
from mmad.labels import LabelMap
from mmad.models.backbones.families import build_backbone
from mmad.models.backbones.features import VideoFeatures
from mmad.models.backbones.plain_vit import PlainViT, ViTSize
from mmad.models.detectors.families import build_network
from mmad.models.detectors.whole import Detector, EndToEndDetector, FeatureDetector
from mmad.models.emotion.build import build_emotion_network
from mmad.models.emotion.network import EmotionNetwork
from mmad.models.pretraining.decoder import PixelDecoder
from mmad.models.pretraining.network import MaskedAutoencoder
from mmad.models.pretraining.targets import Targets
from mmad.models.recognisers.families import build_heads
from mmad.models.recognisers.whole import Recogniser


def build_detector(
    config: DetectionRun,
    *,
    num_classes: int,
    parents: Sequence[int] = (),
    feature_channels: int | None = None,
    weights_follow: bool = False,
) -> Detector:
    """The whole network with random weights, the same for the same seed.

    Args:
        config: Run configuration.
        num_classes: Number of labels of the data.
        parents: Body part of each label; empty if they have none.
        feature_channels: Build the temporal detector alone, for stored features of this many
            channels.
        weights_follow: As `build_backbone`.
    """
    torch.manual_seed(config.seed)
    if feature_channels is not None:
        return FeatureDetector(
            build_network(
                config.detector,
                in_channels=feature_channels,
                num_classes=num_classes,
                parents=parents,
            )
        )
    features = VideoFeatures(
        build_backbone(require_videos(config).backbone, weights_follow=weights_follow),
        upsampling=config.upsampling,
        mask_padding=config.detector.mask_features,
    )
    network = build_network(
        config.detector,
        in_channels=features.backbone.spec.channels,
        num_classes=num_classes,
        parents=parents,
    )
    return EndToEndDetector(features, network)


def build_emotion(config: EmotionConfig, *, labels: LabelMap) -> EmotionNetwork:
    """The whole network of emotions with random weights, the same for the same seed.

    Raises: ConfigError as `EmotionConfig.learnt_actions`.
    """
    num_actions = len(config.learnt_actions(labels))
    return build_emotion_network(
        config.network, backbone=config.backbone, num_actions=num_actions, seed=config.seed
    )


def build_recogniser(
    config: RecognitionConfig, *, labels: LabelMap, weights_follow: bool = False
) -> Recogniser:
    """The whole network with random weights, the same for the same seed.

    Args:
        config: Run configuration.
        labels: Labels of the data.
        weights_follow: As `build_backbone`.
    """
    torch.manual_seed(config.seed)
    backbone = build_backbone(config.backbone, weights_follow=weights_follow)
    has_flow = config.joins_flow
    flow_backbone = None
    if config.flow_backbone is not None:
        flow_backbone = build_backbone(config.flow_backbone, weights_follow=weights_follow)
    concatenate = has_flow and config.heads.flow_fusion == "concat"
    spec = backbone.spec.of_two_streams if concatenate else backbone.spec
    return Recogniser(
        backbone,
        build_heads(config, spec=spec, labels=labels),
        num_streams=2 if has_flow else 1,
        flow_backbone=flow_backbone,
        concatenate=concatenate,
    )


def build_pretraining(config: PretrainingConfig) -> MaskedAutoencoder:
    """The whole network of pre-training with random weights, the same for the same seed."""
    torch.manual_seed(config.seed)
    backbone, decoder = build_backbone(config.backbone), config.decoder
    spec, patch = backbone.spec, config.backbone.side_multiple
    assert isinstance(backbone, PlainViT)
    return MaskedAutoencoder(
        backbone,
        PixelDecoder(
            ViTSize(decoder.width, decoder.depth, decoder.num_heads, mlp_ratio=decoder.mlp_ratio),
            encoder_width=spec.channels,
            patch_numbers=3 * spec.frames_per_step * patch**2,
            steps=spec.steps_per_clip,
            position_side=backbone.position_side,
            learned_positions=decoder.learned_positions,
            embed_bias=decoder.embed_bias,
        ),
        statistics=config.backbone.colours,
        targets=Targets(decoder.normalised_targets, decoder.least_deviation, decoder.deviation),
    )
