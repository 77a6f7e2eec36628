"""The SGP block of TriDet and DyFADet: convolutions of two widths and a mean over the video instead
of attention.

Shapes: B batch, C channels, T steps.

Source: scalable-granularity perception of TriDet (arXiv 2303.07347), the dynamic encoder of DyFADet
(arXiv 2407.03197), and their reference implementations.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmad.config.detectors.tridet import GROUPS_OF_CHANNELS
from mmad.models.layers.masked import (
    ChannelNorm,
    MaskedGroupNorm,
    downsample_mask,
    mask_steps,
    masked_max_pool,
    masked_mean,
)
from mmad.models.layers.transformer import drop_path


def wide_kernel_size(window: int, *, ratio: float) -> int:
    """Steps of the wide convolution: odd, and more than ``window`` for any ratio of 1 or more.

    >>> wide_kernel_size(1, ratio=5), wide_kernel_size(3, ratio=1.5)
    (11, 7)
    """
    size = round((window + 1) * ratio)
    return size + 1 - size % 2


class SGPBlock(nn.Module):
    """Two residuals: scalable-granularity perception, and two point-wise layers.

    With stride 2 the sequence is max-pooled before both. All convolutions of the first residual
    work on each channel alone. On the normed sequence y, with the mean over the video in front of
    the gate g:

        instant(y) * relu(g(mean(y))) + (narrow(y) + wide(y)) * context_gate(y) + y

    Args:
        channels: C, a multiple of 16.
        hidden_channels: Channels between the point-wise layers.
        window: Steps of the narrow convolution and of its gate, odd.
        window_ratio: The wide convolution has `wide_kernel_size` steps.
        stride: 2 halves the sequence.
        drop_path_rate: Probability to drop a residual of a window in training.
        residual_scale: Initial value of a factor for each channel of both residuals; None: no
            factor, as in the stem of the reference implementations.
        kernel_std: Standard deviation of the initial weights of the convolutions. 0 keeps them at
            zero permanently, as every one is multiplied by another; so in TriDet's code on THUMOS14
            and EPIC-KITCHENS and in DyFADet's on THUMOS14, where only the point-wise layers learn.
        rectify_context: ReLU on the sum of narrow and wide, so that each step opens or closes the
            convolutions over its neighbours (DyFADet).
        norm_eps: Epsilon of the norms.
        sees_padding: Let padding into the max-pool, the convolutions, the mean and the group norm,
            as the reference implementations do; otherwise it is zero to the convolutions and
            excluded from the others.

    Differs: the reference implementations drop the factors together with drop-path, where its rate
    is 0, and OpenTAD's mask of DyFADet's halved sequence is a step longer.
    """

    def __init__(
        self,
        channels: int,
        *,
        hidden_channels: int,
        window: int,
        window_ratio: float,
        stride: int = 1,
        drop_path_rate: float,
        residual_scale: float | None = 1e-4,
        kernel_std: float,
        rectify_context: bool = False,
        norm_eps: float,
        sees_padding: bool,
    ) -> None:
        super().__init__()
        assert window % 2 == 1, f"an odd window keeps the length; found {window}"
        self.stride = stride
        self.drop_path_rate = drop_path_rate
        self.rectify_context = rectify_context
        self.sees_padding = sees_padding

        def depthwise(kernel_size: int) -> nn.Conv1d:
            layer = nn.Conv1d(
                channels, channels, kernel_size, padding=kernel_size // 2, groups=channels
            )
            nn.init.normal_(layer.weight, std=kernel_std)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
            return layer

        def scale() -> nn.Parameter | None:
            if residual_scale is None:
                return None
            return nn.Parameter(torch.full((1, channels, 1), residual_scale))

        self.norm = ChannelNorm(channels, eps=norm_eps)
        self.instant, self.video_gate = depthwise(1), depthwise(1)
        self.narrow, self.context_gate = depthwise(window), depthwise(window)
        self.wide = depthwise(wide_kernel_size(window, ratio=window_ratio))
        self.group_norm = MaskedGroupNorm(channels, num_groups=GROUPS_OF_CHANNELS, eps=norm_eps)
        self.fc1 = nn.Conv1d(channels, hidden_channels, 1)
        self.fc2 = nn.Conv1d(hidden_channels, channels, 1)
        for layer in (self.fc1, self.fc2):
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        self.scale_sgp = scale()
        self.scale_mlp = scale()

    def forward(self, x_BCT: Tensor, mask_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Sequence (B, C, T / stride) and its mask."""
        x_BCT, mask_BT = self._downsample(x_BCT, mask_BT)
        seen_BT = torch.ones_like(mask_BT) if self.sees_padding else mask_BT
        perceived = self._perceive(mask_steps(self.norm(x_BCT), seen_BT), seen_BT)
        x_BCT = mask_steps(x_BCT, mask_BT) + self._scaled(perceived, self.scale_sgp)
        hidden = self.fc2(functional.gelu(self.fc1(self.group_norm(x_BCT, seen_BT))))
        return x_BCT + self._scaled(mask_steps(hidden, seen_BT), self.scale_mlp), mask_BT

    def _downsample(self, x_BCT: Tensor, mask_BT: Tensor) -> tuple[Tensor, Tensor]:
        if self.stride == 1:
            return x_BCT, mask_BT
        if not self.sees_padding:
            return masked_max_pool(x_BCT, mask_BT, stride=self.stride)
        # Not `masked_max_pool`: there the padding is zero again, here its norm still reads it.
        pooled = functional.max_pool1d(x_BCT, self.stride + 1, self.stride, (self.stride + 1) // 2)
        return pooled, downsample_mask(mask_BT, stride=self.stride)

    def _perceive(self, y_BCT: Tensor, mask_BT: Tensor) -> Tensor:
        gate_BC1 = functional.relu(self.video_gate(masked_mean(y_BCT, mask_BT)))
        context_BCT = self.narrow(y_BCT) + self.wide(y_BCT)
        if self.rectify_context:
            context_BCT = functional.relu(context_BCT)
        granular_BCT = self.instant(y_BCT) * gate_BC1 + context_BCT * self.context_gate(y_BCT)
        return mask_steps(granular_BCT + y_BCT, mask_BT)

    def _scaled(self, residual_BCT: Tensor, scale_1C1: Tensor | None) -> Tensor:
        if scale_1C1 is not None:
            residual_BCT = scale_1C1 * residual_BCT
        return drop_path(residual_BCT, rate=self.drop_path_rate, training=self.training)
