"""Network, criterion and decoder of TemporalMaxer, from its settings."""

from collections.abc import Sequence

from torch import nn

from mmad.config.detectors.temporalmaxer import TemporalMaxerSettings
from mmad.models.detectors.contract import Family
from mmad.models.detectors.dense.build import (
    build_dense,
    build_pyramid,
    dense_criterion,
    dense_decoder,
)
from mmad.models.detectors.dense.head import DenseDetector
from mmad.models.detectors.dense.points import DenseOutputs
from mmad.models.detectors.temporalmaxer.network import MaxPoolBlock


def _network(
    settings: TemporalMaxerSettings, in_channels: int, num_classes: int, parents: Sequence[int] = ()
) -> DenseDetector:
    def block(stride: int) -> nn.Module:
        return MaxPoolBlock(stride=stride, pool_sees_padding=settings.pool_sees_padding)

    pyramid = build_pyramid(settings, in_channels, block)
    return build_dense(settings, pyramid, num_classes, parents)


FAMILY = Family(_network, dense_criterion, dense_decoder, DenseOutputs)
