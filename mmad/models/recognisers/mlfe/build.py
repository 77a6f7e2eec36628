"""MLFE's heads and losses, from settings."""

from collections.abc import Callable, Sequence

from torch import Tensor

from mmad.config.recognisers.mlfe import MLFESettings
from mmad.config.recognition import RecognitionConfig
from mmad.labels import LabelMap
from mmad.models.backbones.contract import BackboneSpec
from mmad.models.recognisers.auxiliary_heads.build import FAMILY as AUXILIARY_HEADS
from mmad.models.recognisers.contract import RecogniserFamily
from mmad.models.recognisers.mlfe.criterion import MLFECriterion
from mmad.models.recognisers.mlfe.network import LocalLayer, MLFEHeads


def _settings(config: RecognitionConfig) -> MLFESettings:
    assert isinstance(config.heads, MLFESettings)
    return config.heads


def _heads(config: RecognitionConfig, spec: BackboneSpec, labels: LabelMap) -> MLFEHeads:
    settings = _settings(config)
    *_, last = spec.stages.values()
    layers: dict[str, LocalLayer] = {}
    for name in settings.layers:
        channels, stride = spec.stages[name]
        width = max(channels // settings.bottleneck_divisor, 1)
        layers[name] = LocalLayer(
            channels,
            side=last.side_stride // stride,
            width=width if name in settings.bottlenecks else None,
        )
    return MLFEHeads(
        spec.channels,
        len(labels),
        layers=layers,
        dropout=settings.dropout,
        concatenates=settings.fusion == "concatenation",
        averages=settings.fusion == "average",
        softmax=settings.softmax,
        coefficient=settings.coefficient,
        through_peaks=settings.peak_gradient == "straight_through",
    )


def _criterion(
    config: RecognitionConfig,
    labels: LabelMap,
    counts: Sequence[int],
    gather: Callable[[Tensor], Tensor],
) -> MLFECriterion:
    return MLFECriterion(
        classification=AUXILIARY_HEADS.criterion(config, labels, counts, gather),
        weight=config.losses.fine,
        coefficient=_settings(config).coefficient,
    )


FAMILY = RecogniserFamily(_heads, _criterion)
