"""Network, criterion and decoder of the VideoMamba detector, from its settings."""

from collections.abc import Sequence

from torch import nn

from mmad.config.detectors.videomamba import VideoMambaSettings
from mmad.models.detectors.contract import Family
from mmad.models.detectors.dense.build import (
    build_dense,
    build_pyramid,
    dense_criterion,
    dense_decoder,
)
from mmad.models.detectors.dense.head import DenseDetector
from mmad.models.detectors.dense.points import DenseOutputs
from mmad.models.detectors.videomamba.network import MambaBlock
from mmad.models.from_settings import from_settings


def _network(
    settings: VideoMambaSettings, in_channels: int, num_classes: int, parents: Sequence[int] = ()
) -> DenseDetector:
    def block(stride: int) -> nn.Module:
        return from_settings(MambaBlock, settings, stride=stride, drop_path_rate=settings.drop_path)

    pyramid = build_pyramid(settings, in_channels, block)
    return build_dense(settings, pyramid, num_classes, parents)


FAMILY = Family(_network, dense_criterion, dense_decoder, DenseOutputs)
