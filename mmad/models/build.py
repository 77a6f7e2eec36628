"""From settings to modules: the only file that knows both."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from mmad.config.recognition import RecognitionConfig
from mmad.config.run import DetectionRun, require_videos
from mmad.labels import LabelMap
from mmad.models.backbones.families import build_backbone
from mmad.models.backbones.features import VideoFeatures
from mmad.models.detectors.families import build_network
from mmad.models.detectors.whole import Detector, EndToEndDetector, FeatureDetector
from mmad.models.from_settings import from_settings
from mmad.models.recognisers.auxiliary_heads.criterion import RecognitionCriterion, body_weights
from mmad.models.recognisers.auxiliary_heads.network import ArcFace, Gate, Heads, Linear, Recognizer


def build_detector(
    config: DetectionRun, *, num_classes: int, feature_channels: int | None = None
) -> Detector:
    """The whole network at random weights, the same ones for the same seed.

    Args:
        config: of the run.
        num_classes: of the data.
        feature_channels: build the temporal part alone, for stored features of so many channels.
    """
    torch.manual_seed(config.seed)
    if feature_channels is not None:
        return FeatureDetector(
            build_network(config.detector, in_channels=feature_channels, num_classes=num_classes)
        )
    features = VideoFeatures(
        build_backbone(require_videos(config).backbone),
        upsampling=config.upsampling,
        mask_padding=config.detector.mask_features,
    )
    network = build_network(
        config.detector, in_channels=features.backbone.spec.channels, num_classes=num_classes
    )
    return EndToEndDetector(features, network)


def build_recognizer(config: RecognitionConfig, *, labels: LabelMap) -> Recognizer:
    """The whole network at random weights, the same ones for the same seed."""
    torch.manual_seed(config.seed)
    backbone = build_backbone(config.backbone)
    settings, width = config.heads, backbone.spec.channels
    has_flow = config.data.flow is not None
    flow_backbone = None
    if has_flow and settings.flow_weights == "separate":
        flow_backbone = build_backbone(config.backbone)
    concatenate = has_flow and settings.flow_fusion == "concat"
    width *= 2 if concatenate else 1
    num_actions, num_parts = len(labels), len(labels.parent_names)

    def classifier(num_classes: int, kind: str = settings.classifier) -> nn.Module:
        if kind == "linear":
            return Linear(width, num_classes)
        return ArcFace(
            width,
            num_classes,
            scale=settings.scale,
            margin=settings.margin,
            on_all=settings.margin_on == "all",
        )

    def gate() -> Gate:
        return Gate(width, squeeze=settings.squeeze, multiply=settings.gate == "multiply")

    # No gate that nothing uses: its missing gradients would stop training on several processes.
    shares = settings.shared_gate and settings.frame_coarse
    fine_gate = gate() if settings.frame or shares else None
    coarse_gate = gate() if settings.frame_coarse and not settings.shared_gate else fine_gate
    heads = Heads(
        classifier(num_actions),
        coarse=classifier(num_parts) if settings.coarse else None,
        norm=nn.LayerNorm(width) if config.has_head_norm else None,
        dropout=settings.dropout,
        fine_frame=classifier(num_actions, settings.frame_classifier) if settings.frame else None,
        coarse_frame=classifier(num_parts, settings.frame_classifier)
        if settings.frame_coarse
        else None,
        fine_gate=fine_gate,
        coarse_gate=coarse_gate,
        frame_rows=settings.frame_rows,
    )
    return Recognizer(
        backbone,
        heads,
        num_streams=2 if has_flow else 1,
        flow_backbone=flow_backbone,
        concatenate=concatenate,
    )


def build_recognition_criterion(
    config: RecognitionConfig,
    *,
    labels: LabelMap,
    counts: Sequence[int],
    gather: Callable[[Tensor], Tensor],
) -> RecognitionCriterion:
    """The losses; ``counts`` are the training clips of each action."""
    losses = config.losses
    return from_settings(
        RecognitionCriterion,
        losses,
        weights={
            name: getattr(losses, name) for name in ("fine", "coarse", "fine_frame", "coarse_frame")
        },
        class_weights_K=body_weights(counts, labels.parents, exponent=losses.within_body_exponent),
        gather=gather,
    )
