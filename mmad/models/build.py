"""From settings to modules: the only file that knows both."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmad.config.backbones.videomae import BackboneSettings, CustomSize
from mmad.config.recognition import RecognitionConfig
from mmad.config.run import AnyConfig, RunConfig
from mmad.errors import ConfigError
from mmad.labels import LabelMap
from mmad.models.backbones.adapters import (
    DualPathAdapter,
    StandardAdapter,
    TemporalInformationAdapter,
)
from mmad.models.backbones.features import VideoFeatures
from mmad.models.backbones.videomae.network import SIZES, VideoMAE, VideoMAESize
from mmad.models.detectors.families import build_network
from mmad.models.detectors.whole import Detector, EndToEndDetector, FeatureDetector
from mmad.models.recognisers.auxiliary_heads.criterion import RecognitionCriterion, body_weights
from mmad.models.recognisers.auxiliary_heads.network import ArcFace, Gate, Heads, Linear, Recognizer

# Name in the settings -> module; the settings besides `name`, `ratio` and `blocks` are its
# arguments.
ADAPTERS: Mapping[str, Callable[..., nn.Module]] = {
    "standard": StandardAdapter,
    "tia": TemporalInformationAdapter,
    "dsta": DualPathAdapter,
    "dsta_180": DualPathAdapter,
}


def build_size(settings: BackboneSettings) -> VideoMAESize:
    """Dimensions of the backbone."""
    if isinstance(settings.size, CustomSize):
        return VideoMAESize(**settings.size.model_dump())
    return SIZES[settings.size]


def build_backbone(settings: BackboneSettings) -> VideoMAE:
    """The backbone with its adapters, at random weights, with the right parameters frozen.

    Raises: ConfigError if an adapter is asked for in a block that is not there.
    """
    size = build_size(settings)
    backbone = VideoMAE(
        size,
        clip_frames=settings.clip_frames,
        position_image_size=settings.position_image_size,
        learned_positions=settings.learned_positions,
        drop_path_rate=settings.drop_path,
        # What `settle_norm` has not settled has no weights, and starts as pre-training does.
        final_norm=settings.final_norm in (True, "auto"),
        pooled_norm=settings.final_norm == "pooled",
        activation_checkpointing=settings.activation_checkpointing,
    )
    backbone.requires_grad_(not settings.freeze)
    adapter = settings.adapter
    if adapter.name != "none":
        blocks = range(size.depth) if adapter.blocks == "all" else adapter.blocks
        missing = [block for block in blocks if not 0 <= block < size.depth]
        if missing:
            raise ConfigError(
                f"backbone.adapter.blocks: the backbone has blocks 0 to {size.depth - 1}, "
                f"found {missing}"
            )
        arguments = adapter.model_dump(exclude={"name", "ratio", "blocks"})
        for block in blocks:
            channels = int(size.width * adapter.ratio)
            module = ADAPTERS[adapter.name](size.width, channels=channels, **arguments)
            backbone.blocks[block].adapter = module
    return backbone


def build_detector(
    config: RunConfig, *, num_classes: int, feature_channels: int | None = None
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
    _, backbone = config.of_videos()
    features = VideoFeatures(
        build_backbone(backbone),
        steps_per_tubelet=config.steps_per_tubelet,
        mask_padding=config.detector.mask_features,
    )
    network = build_network(
        config.detector, in_channels=build_size(backbone).width, num_classes=num_classes
    )
    return EndToEndDetector(features, network)


def build_recognizer(config: RecognitionConfig, *, labels: LabelMap) -> Recognizer:
    """The whole network at random weights, the same ones for the same seed."""
    torch.manual_seed(config.seed)
    backbone = build_backbone(config.backbone)
    settings, width = config.heads, build_size(config.backbone).width
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
    return RecognitionCriterion(
        weights={
            name: getattr(losses, name) for name in ("fine", "coarse", "fine_frame", "coarse_frame")
        },
        class_weights_K=body_weights(counts, labels.parents, exponent=losses.within_body_exponent),
        f1=losses.f1,
        f1_constant=losses.f1_constant,
        f1_frames=losses.f1_frames,
        f1_present_only=losses.f1_present_only,
        label_smoothing=losses.label_smoothing,
        gather=gather,
    )


def parameter_groups(model: nn.Module, config: AnyConfig) -> list[dict[str, Any]]:
    """Groups of the optimiser: name, learning rate, weight decay and parameters of each.

    As in the published end-to-end detectors: all tensors of the adapters decay; of the detector or
    the heads, and of a backbone that is trained, only the weights of linear layers and convolutions
    do.
    """
    training = config.training
    decaying = {
        id(module.weight)
        for module in model.modules()
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv3d | nn.Conv2d | ArcFace)
    }
    rows: dict[str, tuple[float, float, list[nn.Parameter], list[str]]] = {
        "adapters": (training.adapter_learning_rate, training.weight_decay, [], []),
        "backbone_decay": (training.backbone_learning_rate, training.weight_decay, [], []),
        "backbone": (training.backbone_learning_rate, 0.0, [], []),
        "detector_decay": (training.learning_rate, training.weight_decay, [], []),
        "detector": (training.learning_rate, 0.0, [], []),
    }
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if ".adapter." in name:
            group = "adapters"
        else:
            part = "backbone" if name.startswith("features.") else "detector"
            group = f"{part}_decay" if id(parameter) in decaying else part
        rows[group][2].append(parameter)
        rows[group][3].append(name)
    return [
        {"name": name, "lr": rate, "weight_decay": decay, "params": params, "names": names}
        for name, (rate, decay, params, names) in rows.items()
        if params
    ]
