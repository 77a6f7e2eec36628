"""Masked layers for padded batches: what lies beyond a video's end stays zero.

Shapes: B batch, C channels, T steps, G groups of channels, c channels of a group; `mask_BT` is true
where a step belongs to its video.
"""

import math

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional


def mask_steps(x_BCT: Tensor, mask_BT: Tensor) -> Tensor:
    """``x_BCT`` with zeros beyond each video's end."""
    return x_BCT * mask_BT[:, None].to(x_BCT.dtype)


def downsample_mask(mask_BT: Tensor, *, stride: int) -> Tensor:
    """The mask of every ``stride``-th step."""
    return mask_BT[:, ::stride]


def add_noise(x_BCT: Tensor, mask_BT: Tensor, *, std: float) -> Tensor:
    """``x_BCT`` with normal noise on the steps of each video."""
    return x_BCT + mask_steps(torch.randn_like(x_BCT) * std, mask_BT)


def pad_steps(x_BCT: Tensor, mask_BT: Tensor, *, multiple: int) -> tuple[Tensor, Tensor]:
    """The sequence and its mask, with padding up to a multiple of ``multiple`` steps."""
    tail = -x_BCT.shape[2] % multiple
    return functional.pad(x_BCT, (0, tail)), functional.pad(mask_BT, (0, tail))


def masked_mean(x_BCT: Tensor, mask_BT: Tensor) -> Tensor:
    """Mean over the steps of each video, shape (B, C, 1); 0 for a video of no steps."""
    count_B11 = mask_BT.sum(dim=1).clamp(min=1)[:, None, None]
    return mask_steps(x_BCT, mask_BT).sum(dim=2, keepdim=True) / count_B11


def masked_max_pool(
    x_BCT: Tensor, mask_BT: Tensor, *, stride: int, sees_padding: bool = False
) -> tuple[Tensor, Tensor]:
    """Maxima over ``stride + 1`` neighbours, (B, C, T / stride), and their mask.

    Args:
        sees_padding: Pool the zeros beyond a video's end too, as the reference implementations do.
    """
    out_mask = downsample_mask(mask_BT, stride=stride)
    if not sees_padding:
        x_BCT = x_BCT.masked_fill(~mask_BT[:, None], -math.inf)
    # As a map of one row: max_pool1d fixes the length of an exported network.
    kernel, padding = (1, stride + 1), (0, (stride + 1) // 2)
    pooled = functional.max_pool2d(x_BCT[:, :, None], kernel, (1, stride), padding)[:, :, 0]
    return pooled.masked_fill(~out_mask[:, None], 0.0), out_mask


class ChannelNorm(nn.Module):
    """Layer norm over the channels of a BCT sequence."""

    def __init__(self, channels: int, *, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x_BCT: Tensor) -> Tensor:
        """Normalised sequence, same shape."""
        x_BTC = x_BCT.transpose(1, 2)
        shape = self.weight.shape
        return functional.layer_norm(x_BTC, shape, self.weight, self.bias, self.eps).transpose(1, 2)


class MaskedGroupNorm(nn.Module):
    """Group norm over the channels of a group and the steps of each video.

    Differs: the reference implementations count padding as steps, so it changes mean and variance.

    Args:
        channels: C, a multiple of ``num_groups``.
        num_groups: G.
        eps: Added to the variance.
    """

    def __init__(self, channels: int, *, num_groups: int, eps: float = 1e-5) -> None:
        super().__init__()
        assert channels % num_groups == 0, f"{channels} channels in {num_groups} groups"
        self.num_groups = num_groups
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x_BCT: Tensor, mask_BT: Tensor) -> Tensor:
        """Normalised sequence, same shape, zero beyond each video's end."""
        mask_B11T = mask_BT[:, None, None].float()
        x_BGcT = rearrange(x_BCT.float(), "b (g c) t -> b g c t", g=self.num_groups)
        count = mask_B11T.sum(dim=3, keepdim=True).clamp(min=1) * x_BGcT.shape[2]
        mean = (x_BGcT * mask_B11T).sum(dim=(2, 3), keepdim=True) / count
        centred = (x_BGcT - mean) * mask_B11T
        variance = centred.square().sum(dim=(2, 3), keepdim=True) / count
        y_BCT = rearrange(centred * (variance + self.eps).rsqrt(), "b g c t -> b (g c) t")
        return mask_steps(y_BCT * self.weight[:, None] + self.bias[:, None], mask_BT)


class MaskedConv1d(nn.Module):
    """Convolution whose output is zero beyond each video's end.

    Args:
        in_channels, out_channels, kernel_size, stride, groups, bias: As `torch.nn.Conv1d`; padded
            to keep T / stride steps.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: int,
        stride: int = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.stride = stride
        self.conv = nn.Conv1d(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=kernel_size // 2,
            groups=groups,
            bias=bias,
        )
        if self.conv.bias is not None:
            nn.init.zeros_(self.conv.bias)

    def forward(self, x_BCT: Tensor, mask_BT: Tensor) -> tuple[Tensor, Tensor]:
        """The convolved sequence (B, C', T / stride) and its mask."""
        out_mask = downsample_mask(mask_BT, stride=self.stride)
        return mask_steps(self.conv(x_BCT), out_mask), out_mask


class ConvNormReLU(nn.Module):
    """Masked convolution, layer norm, ReLU.

    Args:
        mask_after_norm: Set the padding to zero again after the norm, whose bias would otherwise
            fill it and leak into the last steps of a shorter video through the next convolution (as
            in the released ActionFormer).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: int = 3,
        norm_eps: float,
        mask_after_norm: bool,
    ) -> None:
        super().__init__()
        self.conv = MaskedConv1d(in_channels, out_channels, kernel_size=kernel_size, bias=False)
        self.norm = ChannelNorm(out_channels, eps=norm_eps)
        self.mask_after_norm = mask_after_norm

    def forward(self, x_BCT: Tensor, mask_BT: Tensor) -> Tensor:
        """Transformed sequence (B, C', T)."""
        x_BCT, _ = self.conv(x_BCT, mask_BT)
        x_BCT = functional.relu(self.norm(x_BCT))
        return mask_steps(x_BCT, mask_BT) if self.mask_after_norm else x_BCT
