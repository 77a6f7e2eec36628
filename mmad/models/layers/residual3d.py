"""Blocks and stages of a 3D ResNet whose convolutions may be inflated over time.

Shapes: N clips, C channels, T steps, H W height and width.

Sources: the inflated ResNets of "Non-local neural networks" (arXiv 1711.07971), after I3D (arXiv
1705.07750), with the kernels, strides and initial values of mmaction2's ResNet3d.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from mmad.models.layers.batch_norm import BatchNorm
from mmad.models.layers.reversible import Activations, Branch, couple

InflateStyle = Literal["3x1x1", "3x3x3"]


class ConvNorm(nn.Module):
    """Padded convolution without bias, then batch norm."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        kernel: tuple[int, int, int],
        stride: tuple[int, int, int] = (1, 1, 1),
        keep_statistics: bool,
    ) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
        self.conv = nn.Conv3d(
            in_channels, channels, kernel, stride=stride, padding=padding, bias=False
        )
        self.norm = BatchNorm(channels, keep_statistics=keep_statistics)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x_NCTHW: Tensor) -> Tensor:
        """Features (N, channels, T', H', W')."""
        return self.norm(self.conv(x_NCTHW))


class ResidualBlock(nn.Module):
    """Residual block: a branch of convolutions plus a shortcut, then ReLU.

    A bottleneck is 1x1, 3x3, 1x1 with four times the width at its end, a plain block 3x3, 3x3. The
    stride is on the first 3x3.

    Args:
        in_channels: Channels of the input.
        width: Channels inside; the output has `channels_of(width)`.
        bottleneck: Three convolutions instead of two.
        stride: Spatial stride; the number of steps is kept.
        inflate: Whether a convolution reaches over three steps.
        inflate_style: Inflated convolution of a bottleneck: the first (3x1x1) or the middle one
            (3x3x3). In a plain block both are.
        keep_statistics: As in `BatchNorm`.
    """

    def __init__(
        self,
        in_channels: int,
        width: int,
        *,
        bottleneck: bool,
        stride: int,
        inflate: bool,
        inflate_style: InflateStyle,
        keep_statistics: bool,
    ) -> None:
        super().__init__()
        channels = channels_of(width, bottleneck=bottleneck)
        first_inflated = inflate and (not bottleneck or inflate_style == "3x1x1")
        second_inflated = inflate and (not bottleneck or inflate_style == "3x3x3")

        def convolution(
            inputs: int, outputs: int, *, side: int, stride: int = 1, inflated: bool = False
        ) -> ConvNorm:
            return ConvNorm(
                inputs,
                outputs,
                kernel=(3 if inflated else 1, side, side),
                stride=(1, stride, stride),
                keep_statistics=keep_statistics,
            )

        self.conv3: ConvNorm | None = None
        if bottleneck:
            self.conv1 = convolution(in_channels, width, side=1, inflated=first_inflated)
            self.conv2 = convolution(width, width, side=3, stride=stride, inflated=second_inflated)
            self.conv3 = convolution(width, channels, side=1)
        else:
            self.conv1 = convolution(
                in_channels, width, side=3, stride=stride, inflated=first_inflated
            )
            self.conv2 = convolution(width, width, side=3, inflated=second_inflated)
        self.shortcut: ConvNorm | None = None
        if stride != 1 or in_channels != channels:
            self.shortcut = convolution(in_channels, channels, side=1, stride=stride)

    def forward(self, x_NCTHW: Tensor) -> Tensor:
        """Features (N, channels, T, H / stride, W / stride), rounded up."""
        return functional.relu(self.branch(x_NCTHW) + self.bypass(x_NCTHW), inplace=True)

    def branch(self, x_NCTHW: Tensor) -> Tensor:
        """The convolutions alone, of the size of the output."""
        x = functional.relu(self.conv1(x_NCTHW), inplace=True)
        x = self.conv2(x)
        return x if self.conv3 is None else self.conv3(functional.relu(x, inplace=True))

    def bypass(self, x_NCTHW: Tensor) -> Tensor:
        """The input at the size of the output."""
        return x_NCTHW if self.shortcut is None else self.shortcut(x_NCTHW)


def reversible_stage(
    blocks: Iterable[nn.Module], x_NCTHW: Tensor, *, activations: Activations
) -> Tensor:
    """What a stage gives if its blocks are coupled reversibly, as in Re2TAL.

    The first block changes the size, so that it cannot be reversed. A ReLU ends each branch, and
    nothing follows a sum.

    Args:
        blocks: The `ResidualBlock`s.
        x_NCTHW: The stage's input.
        activations: As in `couple`.
    """

    def rectified(block: nn.Module) -> Callable[[Tensor], Tensor]:
        assert isinstance(block, ResidualBlock)
        return lambda x: functional.relu(block.branch(x), inplace=True)

    first, *others = blocks
    assert isinstance(first, ResidualBlock)
    x = rectified(first)(x_NCTHW) + first.bypass(x_NCTHW)
    branches = [Branch(rectified(block), [block]) for block in others]
    return couple(x, branches, activations=activations)


def channels_of(width: int, *, bottleneck: bool) -> int:
    """Output channels of a block of that width."""
    return 4 * width if bottleneck else width


def residual_stages(
    base_channels: int,
    *,
    bottleneck: bool,
    inflate: Sequence[Sequence[bool]],
    inflate_style: InflateStyle,
    keep_statistics: bool,
    added: Sequence[int] | None = None,
) -> nn.ModuleList:
    """The stages of a ResNet behind its stem; all but the first halve height and width.

    Args:
        base_channels: Channels of the stem, and width of the first stage; each stage doubles it.
        bottleneck, inflate_style, keep_statistics: As in `ResidualBlock`.
        inflate: Whether a block reaches over three steps, for each block of each stage.
        added: Channels that another network adds to the input of each stage; none if not given.
    """
    stages = nn.ModuleList()
    channels = base_channels
    for number, flags in enumerate(inflate):
        width = base_channels * 2**number
        inputs = channels + (added[number] if added is not None else 0)
        channels = channels_of(width, bottleneck=bottleneck)
        stages.append(
            nn.Sequential(
                *(
                    ResidualBlock(
                        channels if block else inputs,
                        width,
                        bottleneck=bottleneck,
                        stride=1 if block or not number else 2,
                        inflate=flag,
                        inflate_style=inflate_style,
                        keep_statistics=keep_statistics,
                    )
                    for block, flag in enumerate(flags)
                )
            )
        )
    return stages
