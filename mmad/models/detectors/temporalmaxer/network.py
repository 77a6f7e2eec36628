"""The block of TemporalMaxer: max-pooling and nothing else.

Shapes: B batch, C channels, T steps.

Source: TemporalMaxer (arXiv 2303.09055) and its implementation in OpenTAD.
"""

from torch import Tensor, nn

from mmad.models.layers.masked import masked_max_pool


class MaxPoolBlock(nn.Module):
    """Halves the resolution by maxima of three steps; has no parameters.

    Args:
        stride: 2; with 1, the block returns its input.
        pool_sees_padding: As `masked_max_pool`.
    """

    def __init__(self, *, stride: int, pool_sees_padding: bool) -> None:
        super().__init__()
        self.stride = stride
        self.pool_sees_padding = pool_sees_padding

    def forward(self, x_BCT: Tensor, mask_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Sequence (B, C, T / stride) and its mask.

        Differs: the released code marks a step as existing where any step that it pools does; here,
        as in all other blocks, every second step of the mask. A padded video of even length has one
        step more at each level there.
        """
        if self.stride == 1:
            return x_BCT, mask_BT
        return masked_max_pool(
            x_BCT, mask_BT, stride=self.stride, sees_padding=self.pool_sees_padding
        )
