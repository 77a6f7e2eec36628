"""Network, criterion and decoder of ActionFormer, from its settings."""

from collections.abc import Sequence

from torch import nn

from mmad.config.detectors.actionformer import ActionFormerSettings
from mmad.models.detectors.actionformer.network import TransformerBlock
from mmad.models.detectors.contract import Family
from mmad.models.detectors.dense.build import (
    build_dense,
    build_pyramid,
    dense_criterion,
    dense_decoder,
)
from mmad.models.detectors.dense.head import DenseDetector
from mmad.models.detectors.dense.points import DenseOutputs


def _network(
    settings: ActionFormerSettings, in_channels: int, num_classes: int, parents: Sequence[int] = ()
) -> DenseDetector:
    def block(stride: int) -> nn.Module:
        return TransformerBlock(
            settings.channels,
            num_heads=settings.num_heads,
            stride=stride,
            window=settings.attention_window,
            drop_path_rate=settings.drop_path,
            pool_sees_padding=settings.pool_sees_padding,
        )

    pyramid = build_pyramid(settings, in_channels, block)
    return build_dense(settings, pyramid, num_classes, parents)


FAMILY = Family(_network, dense_criterion, dense_decoder, DenseOutputs)
