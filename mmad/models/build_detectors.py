"""Every detector: its name in the settings, and how its network, criterion and decoder are made."""

from collections.abc import Mapping

from torch import nn

from mmad.config.detectors import DetectorSettings
from mmad.config.inference import InferenceSettings
from mmad.models import (
    build_dense,
    build_dyfadet,
    build_mamba,
    build_mstct,
    build_pointtad,
    build_tadtr,
    build_tridet,
)
from mmad.models.build_dense import Family
from mmad.models.detector import Criterion, Decoder
from mmad.models.losses import LossNormalizer

FAMILIES: Mapping[str, Family] = {
    "actionformer": build_dense.ACTIONFORMER,
    "temporalmaxer": build_dense.TEMPORALMAXER,
    "tridet": build_tridet.FAMILY,
    "videomamba": build_mamba.FAMILY,
    "pointtad": build_pointtad.FAMILY,
    "tadtr": build_tadtr.FAMILY,
    "mstct": build_mstct.FAMILY,
    "dyfadet": build_dyfadet.FAMILY,
}


def build_network(settings: DetectorSettings, *, in_channels: int, num_classes: int) -> nn.Module:
    """The temporal detector: features in, raw outputs out."""
    return FAMILIES[settings.name].network(settings, in_channels, num_classes)


def build_criterion(settings: DetectorSettings, *, num_classes: int) -> Criterion:
    """Targets and losses."""
    return FAMILIES[settings.name].criterion(settings, num_classes)


def build_decoder(settings: DetectorSettings, inference: InferenceSettings) -> Decoder:
    """Raw outputs to candidates."""
    return FAMILIES[settings.name].decoder(settings, inference)


def build_normalizer(settings: DetectorSettings) -> LossNormalizer:
    """Running number of positives."""
    return LossNormalizer(initial=settings.normalizer, momentum=settings.normalizer_momentum)
