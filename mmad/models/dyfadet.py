"""The block of DyFADet: convolutions over time that the features themselves switch on and off.

Shapes: B batch, C channels, T steps, G groups of channels.

Source: DyFADet (arXiv 2407.03197, dynamic encoder) and its released code, also in OpenTAD.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmad.models.masked import ChannelNorm, downsample_mask, mask_steps, masked_max_pool
from mmad.models.videomae import drop_path

NUM_GROUPS = 16


def wide_kernel(window: int, *, ratio: float) -> int:
    """Steps of the wider convolution: ``ratio`` times one more than ``window``, made odd.

    >>> wide_kernel(1, ratio=5.0), wide_kernel(15, ratio=1.3)
    (11, 21)
    """
    steps = round((window + 1) * ratio)
    return steps + 1 - steps % 2


def masked_mean(x_BCT: Tensor, mask_BT: Tensor) -> Tensor:
    """Mean over the steps of each video, (B, C, 1)."""
    count_B = mask_BT.sum(dim=1).clamp(min=1)
    return mask_steps(x_BCT, mask_BT).sum(dim=2, keepdim=True) / count_B[:, None, None]


class MaskedGroupNorm(nn.Module):
    """Group norm of a BCT sequence whose statistics are those of the video, not of its padding."""

    def __init__(self, num_groups: int, channels: int, *, eps: float = 1e-5) -> None:
        super().__init__()
        self.num_groups = num_groups
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x_BCT: Tensor, mask_BT: Tensor) -> Tensor:
        """Normalised sequence, same shape; one mean and deviation for each video and group."""
        x_BGCT = x_BCT.float().unflatten(1, (self.num_groups, -1))
        known_B11T = mask_BT[:, None, None].float()
        count_B111 = (known_B11T.sum(dim=3, keepdim=True) * x_BGCT.shape[2]).clamp(min=1)
        mean_BG11 = (x_BGCT * known_B11T).sum(dim=(2, 3), keepdim=True) / count_B111
        centred = x_BGCT - mean_BG11
        variance_BG11 = (centred**2 * known_B11T).sum(dim=(2, 3), keepdim=True) / count_B111
        out_BCT = (centred * (variance_BG11 + self.eps).rsqrt()).flatten(1, 2)
        return (out_BCT * self.weight[:, None] + self.bias[:, None]).to(x_BCT.dtype)


class DynamicBlock(nn.Module):
    """Pre-norm block that mixes steps channel by channel, with weights made of the features.

    Of the normed sequence n it adds to the shortcut

        n + gain(n) * relu(instance(mean of n)) + relu(narrow(n) + wide(n)) * value(n)

    all depth-wise, then a point-wise MLP after a group norm. The first product weighs channels by
    what the whole video holds, the second opens and closes at each step. With stride 2 all of it is
    at the halved resolution, behind a max-pool.

    Differs: the released code takes the mean and the group norm over the padding too, and lets the
    bias of the norm fill it; here a video's padding changes nothing (``sees_padding`` gives the
    authors' way; OpenTAD's mask of the halved sequence is a step longer). It also leaves the scales
    of the residuals away where no path is dropped; here ``residual_scale`` says so.

    Args:
        channels: C, a multiple of 16.
        stride: 2 halves the sequence.
        window: steps of the narrow convolution and of the value, odd.
        wide_window: steps of the wide convolution, odd.
        hidden: channels inside the MLP.
        kernel_std: of the first weights of the depth-wise convolutions. At 0, which the released
            code takes for THUMOS, they never leave 0: each product has two factors that are 0, so
            that neither gets a gradient, and only norms and MLP are trained.
        residual_scale: first value of the learned scale of each channel of both residuals; None
            for no scale.
        drop_path_rate: chance to drop a residual of a sample in training.
        norm_eps: epsilon of both norms.
        sees_padding: treat padding as if it were video, in everything but the shortcut.
    """

    def __init__(
        self,
        channels: int,
        *,
        stride: int = 1,
        window: int = 1,
        wide_window: int = 11,
        hidden: int = 768,
        kernel_std: float = 0.1,
        residual_scale: float | None = None,
        drop_path_rate: float = 0.0,
        norm_eps: float = 1e-5,
        sees_padding: bool = False,
    ) -> None:
        super().__init__()
        assert channels % NUM_GROUPS == 0, f"channels: a multiple of {NUM_GROUPS}"
        self.stride = stride
        self.drop_path_rate = drop_path_rate
        self.sees_padding = sees_padding

        def depthwise(steps: int) -> nn.Conv1d:
            assert steps % 2 == 1, "windows are odd, so that they have a middle"
            layer = nn.Conv1d(channels, channels, steps, padding=steps // 2, groups=channels)
            nn.init.normal_(layer.weight, std=kernel_std)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
            return layer

        self.norm1 = ChannelNorm(channels, eps=norm_eps)
        self.narrow, self.value = depthwise(window), depthwise(window)
        self.wide = depthwise(wide_window)
        self.gain, self.instance = depthwise(1), depthwise(1)
        self.norm2 = MaskedGroupNorm(NUM_GROUPS, channels, eps=norm_eps)
        self.fc1 = nn.Conv1d(channels, hidden, 1)
        self.fc2 = nn.Conv1d(hidden, channels, 1)
        for layer in (self.fc1, self.fc2):
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        self.scale_mix: nn.Parameter | None = None
        self.scale_mlp: nn.Parameter | None = None
        if residual_scale is not None:
            self.scale_mix = nn.Parameter(torch.full((1, channels, 1), residual_scale))
            self.scale_mlp = nn.Parameter(torch.full((1, channels, 1), residual_scale))

    def _mix(self, x_BCT: Tensor, mask_BT: Tensor) -> Tensor:
        normed = mask_steps(self.norm1(x_BCT), mask_BT)
        instance_BC1 = functional.relu(self.instance(masked_mean(normed, mask_BT)))
        opened = functional.relu(self.narrow(normed) + self.wide(normed))
        return normed + self.gain(normed) * instance_BC1 + opened * self.value(normed)

    def _residual(self, x_BCT: Tensor, scale: Tensor | None) -> Tensor:
        scaled = x_BCT if scale is None else scale * x_BCT
        return drop_path(scaled, rate=self.drop_path_rate, training=self.training)

    def forward(self, x_BCT: Tensor, mask_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Sequence (B, C, T / stride) and its mask."""
        out_mask = downsample_mask(mask_BT, stride=self.stride)
        known_BT = torch.ones_like(mask_BT) if self.sees_padding else mask_BT
        if self.stride > 1:
            x_BCT, known_BT = masked_max_pool(x_BCT, known_BT, stride=self.stride)
        mixed = self._mix(x_BCT, known_BT)
        x_BCT = mask_steps(x_BCT, out_mask) + self._residual(mixed, self.scale_mix)
        hidden = self.fc2(functional.gelu(self.fc1(self.norm2(x_BCT, known_BT))))
        x_BCT = x_BCT + self._residual(hidden, self.scale_mlp)
        return mask_steps(x_BCT, known_BT), out_mask
