"""The feature pyramid; the blocks are supplied by each detector.

Shapes: B batch, C channels, T steps of the finest level.

Source: ActionFormer (arXiv 2202.07925) and its released code; TemporalMaxer, TriDet, DyFADet and
the VideoMamba detector put other blocks into the same pyramid.
"""

import math
from collections.abc import Sequence

from torch import Tensor, nn

from mmad.models.layers.masked import ChannelNorm, ConvNormReLU, mask_steps, pad_steps
from mmad.models.layers.transformer import sinusoid_table


class Pyramid(nn.Module):
    """Feature sequences of decreasing resolution: T, T/2, T/4, ... steps.

    Args:
        in_channels: Channels of the features.
        channels: C.
        num_embedding: Number of convolutions before the blocks.
        stem: Blocks at full resolution. A block maps a sequence and its mask to new ones.
        branch: Blocks that each halve the resolution; one level more than their number.
        absolute_positions: Add a sinusoid table divided by sqrt(C) after the embedding.
        norm_eps: Epsilon of the norms of embedding and levels.
        mask_after_norm: As `ConvNormReLU`.
        mask_levels: Set the padding to zero after the norm of each level; the reference
            implementations do not.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        channels: int,
        num_embedding: int,
        stem: Sequence[nn.Module],
        branch: Sequence[nn.Module],
        absolute_positions: bool,
        norm_eps: float,
        mask_after_norm: bool,
        mask_levels: bool,
    ) -> None:
        super().__init__()
        self.num_levels = len(branch) + 1
        self.coarsest_stride = 2 ** len(branch)
        self.absolute_positions = absolute_positions
        self.mask_levels = mask_levels
        self.embed = nn.ModuleList(
            ConvNormReLU(
                in_channels if i == 0 else channels,
                channels,
                norm_eps=norm_eps,
                mask_after_norm=mask_after_norm,
            )
            for i in range(num_embedding)
        )
        self.stem = nn.ModuleList(stem)
        self.branch = nn.ModuleList(branch)
        self.level_norms = nn.ModuleList(
            ChannelNorm(channels, eps=norm_eps) for _ in range(self.num_levels)
        )

    def forward(self, features_BCT: Tensor, mask_BT: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Features and mask of each level, finest first.

        T is arbitrary: it is padded to a multiple of the coarsest stride, and padding changes
        nothing inside a video.
        """
        x, mask_BT = pad_steps(features_BCT, mask_BT, multiple=self.coarsest_stride)
        for layer in self.embed:
            x = layer(x, mask_BT)
        if self.absolute_positions:
            channels, steps = x.shape[1:]
            table = sinusoid_table(steps, channels).to(x).t() / math.sqrt(channels)
            x = mask_steps(x + table, mask_BT)
        for block in self.stem:
            x, mask_BT = block(x, mask_BT)
        levels = [(x, mask_BT)]
        for block in self.branch:
            x, mask_BT = block(x, mask_BT)
            levels.append((x, mask_BT))
        return [
            (mask_steps(norm(x), mask) if self.mask_levels else norm(x), mask)
            for norm, (x, mask) in zip(self.level_norms, levels, strict=True)
        ]
