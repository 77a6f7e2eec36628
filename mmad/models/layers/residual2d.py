"""Blocks and stages of a 2D ResNet whose blocks may exchange features between frames.

Shapes: N clips, M = N x T frames of all clips, C channels, H W height and width.

Sources: ResNet (arXiv 1512.03385) with the stride of a bottleneck on its 3x3 convolution, and the
initial values of mmaction2's ResNet.
"""

from collections.abc import Callable, Sequence

from torch import Tensor, nn
from torch.nn import functional

from mmad.models.layers.batch_norm import BatchNorm2d
from mmad.models.layers.residual3d import channels_of

# Builds what precedes the branch of a block, for maps of so many channels.
Exchange = Callable[[int], nn.Module]


class ConvNorm2d(nn.Module):
    """Padded convolution without bias, then batch norm."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        side: int,
        stride: int = 1,
        keep_statistics: bool,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels, channels, side, stride=stride, padding=side // 2, bias=False
        )
        self.norm = BatchNorm2d(channels, keep_statistics=keep_statistics)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x_MCHW: Tensor, repeats_M: Tensor | None = None) -> Tensor:
        """Features (M, channels, H', W'); ``repeats_M`` as in batch norm."""
        return self.norm(self.conv(x_MCHW), repeats_M)


class ResidualBlock2d(nn.Module):
    """Residual block: a branch of convolutions plus a shortcut, then ReLU.

    A bottleneck is 1x1, 3x3, 1x1 with four times the width at its end, a plain block 3x3, 3x3. The
    stride is on the first 3x3.

    Args:
        in_channels: Channels of the input.
        width: Channels inside; the output has `channels_of(width)`.
        bottleneck: Three convolutions instead of two.
        stride: Spatial stride.
        exchange: Precedes the branch, such as an exchange of features between frames.
        exchange_shortcut: The shortcut starts from the exchanged features, too.
        keep_statistics: As in `BatchNorm2d`.
    """

    def __init__(
        self,
        in_channels: int,
        width: int,
        *,
        bottleneck: bool,
        stride: int,
        exchange: nn.Module | None,
        exchange_shortcut: bool,
        keep_statistics: bool,
    ) -> None:
        super().__init__()
        channels = channels_of(width, bottleneck=bottleneck)

        def convolution(inputs: int, outputs: int, *, side: int, stride: int = 1) -> ConvNorm2d:
            return ConvNorm2d(
                inputs, outputs, side=side, stride=stride, keep_statistics=keep_statistics
            )

        self.exchange = exchange
        self.exchange_shortcut = exchange_shortcut
        if bottleneck:
            convolutions = [
                convolution(in_channels, width, side=1),
                convolution(width, width, side=3, stride=stride),
                convolution(width, channels, side=1),
            ]
        else:
            convolutions = [
                convolution(in_channels, width, side=3, stride=stride),
                convolution(width, width, side=3),
            ]
        self.branch = nn.ModuleList(convolutions)
        self.shortcut: ConvNorm2d | None = None
        if stride != 1 or in_channels != channels:
            self.shortcut = convolution(in_channels, channels, side=1, stride=stride)

    def forward(self, x_MCHW: Tensor) -> Tensor:
        """Features (M, channels, H / stride, W / stride), rounded up."""
        branch = x_MCHW if self.exchange is None else self.exchange(x_MCHW)
        shortcut = branch if self.exchange_shortcut else x_MCHW
        *inner, last = self.branch
        for convolution in inner:
            branch = functional.relu(convolution(branch), inplace=True)
        branch = last(branch)
        if self.shortcut is not None:
            shortcut = self.shortcut(shortcut)
        return functional.relu(branch + shortcut, inplace=True)


def residual_stage2d(
    in_channels: int,
    width: int,
    *,
    bottleneck: bool,
    stride: int,
    exchanges: Sequence[Exchange | None],
    exchange_shortcut: bool,
    keep_statistics: bool,
) -> nn.Sequential:
    """The blocks of a stage, one for each of ``exchanges``; the first has the stride.

    Other arguments as in `ResidualBlock2d`.
    """
    channels = channels_of(width, bottleneck=bottleneck)
    blocks = []
    for number, exchange in enumerate(exchanges):
        inputs = channels if number else in_channels
        blocks.append(
            ResidualBlock2d(
                inputs,
                width,
                bottleneck=bottleneck,
                stride=1 if number else stride,
                exchange=None if exchange is None else exchange(inputs),
                exchange_shortcut=exchange_shortcut,
                keep_statistics=keep_statistics,
            )
        )
    return nn.Sequential(*blocks)
