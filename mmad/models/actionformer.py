"""ActionFormer: a pyramid of masked transformer blocks over time, and a head that predicts at every
point of it.

Shapes: B batch, C channels, T steps of the finest level, P points over all levels, K classes, h
heads. Lengths and offsets here are in steps of the feature grid, never in seconds.

Source: ActionFormer (arXiv 2202.07925) and its released code.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmad.models.masked import (
    ChannelNorm,
    ConvNormReLU,
    MaskedConv1d,
    mask_steps,
)
from mmad.models.videomae import drop_path, sinusoid_table


def _attend_globally(q: Tensor, k: Tensor, v: Tensor, mask_BT: Tensor) -> Tensor:
    """Attention of every query to every step of its own video; q, k, v are (B, h, T, d)."""
    return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask_BT[:, None, None, :])


def _attend_locally(q: Tensor, k: Tensor, v: Tensor, mask_BT: Tensor, *, window: int) -> Tensor:
    """Attention of every query to the ``window`` steps around it; memory grows with T, not with its
    square.

    Queries are cut into chunks; a chunk sees its own steps and half a window on either side.
    """
    reach = window // 2
    chunk = max(window, 16)
    batch, heads, steps, channels = q.shape
    num_chunks = math.ceil(steps / chunk)
    tail = num_chunks * chunk - steps

    def neighbourhoods(x: Tensor) -> Tensor:
        padded = functional.pad(x, (0, 0, reach, reach + tail))
        return padded.unfold(2, chunk + 2 * reach, chunk).transpose(-1, -2)

    q_chunks = functional.pad(q, (0, 0, 0, tail)).unflatten(2, (num_chunks, chunk))
    known = functional.pad(mask_BT, (reach, reach + tail)).unfold(1, chunk + 2 * reach, chunk)
    distance = torch.arange(chunk + 2 * reach, device=q.device)[None] - reach
    distance = distance - torch.arange(chunk, device=q.device)[:, None]
    near = distance.abs() <= reach
    allowed = near & known[:, None, :, None, :]
    # A padded query with no known neighbour would give NaN; it attends to itself and is masked
    # afterwards.
    allowed = allowed | ((distance == 0) & ~allowed.any(dim=-1, keepdim=True))
    out = functional.scaled_dot_product_attention(
        q_chunks, neighbourhoods(k), neighbourhoods(v), attn_mask=allowed
    )
    return out.reshape(batch, heads, num_chunks * chunk, channels)[:, :, :steps]


class MaskedAttention(nn.Module):
    """Multi-head attention over time with depth-wise convolutions before the projections.

    Args:
        channels: C.
        num_heads: h.
        stride: 2 halves the sequence.
        window: number of steps that a query sees, or None for all.
    """

    def __init__(
        self, channels: int, *, num_heads: int, stride: int = 1, window: int | None = None
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.window = window

        def depthwise() -> MaskedConv1d:
            return MaskedConv1d(
                channels, channels, kernel_size=3, stride=stride, groups=channels, bias=False
            )

        def pointwise() -> nn.Conv1d:
            layer = nn.Conv1d(channels, channels, 1)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
            return layer

        self.query_conv, self.key_conv, self.value_conv = depthwise(), depthwise(), depthwise()
        self.query_norm, self.key_norm, self.value_norm = (ChannelNorm(channels) for _ in range(3))
        self.query, self.key, self.value, self.proj = (pointwise() for _ in range(4))

    def forward(self, x_BCT: Tensor, mask_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Attended sequence (B, C, T / stride) and its mask."""
        q, out_mask = self.query_conv(x_BCT, mask_BT)
        k, _ = self.key_conv(x_BCT, mask_BT)
        v, _ = self.value_conv(x_BCT, mask_BT)
        q = self.query(self.query_norm(q))
        k = self.key(self.key_norm(k))
        v = self.value(self.value_norm(v))
        q, k, v = (y.unflatten(1, (self.num_heads, -1)).transpose(2, 3) for y in (q, k, v))
        if self.window is None:
            out = _attend_globally(q, k, v, out_mask)
        else:
            out = _attend_locally(q, k, v, out_mask, window=self.window)
        out_BCT = self.proj(out.transpose(2, 3).flatten(1, 2))
        return mask_steps(out_BCT, out_mask), out_mask


class TransformerBlock(nn.Module):
    """Pre-norm block; with stride 2 its shortcut is a max-pool.

    Args:
        channels, num_heads, stride, window: as `MaskedAttention`.
        drop_path_rate: chance to drop a residual of a sample in training.
        pool_sees_padding: let the shortcut pool the zeros beyond a video's end, as the released
            code does; by default it sees only the video.
    """

    def __init__(
        self,
        channels: int,
        *,
        num_heads: int,
        stride: int = 1,
        window: int | None = None,
        drop_path_rate: float = 0.0,
        pool_sees_padding: bool = False,
    ) -> None:
        super().__init__()
        self.stride = stride
        self.drop_path_rate = drop_path_rate
        self.pool_sees_padding = pool_sees_padding
        self.norm1 = ChannelNorm(channels)
        self.attn = MaskedAttention(channels, num_heads=num_heads, stride=stride, window=window)
        self.norm2 = ChannelNorm(channels)
        self.fc1 = nn.Conv1d(channels, 4 * channels, 1)
        self.fc2 = nn.Conv1d(4 * channels, channels, 1)
        for layer in (self.fc1, self.fc2):
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        self.scale_attn = nn.Parameter(torch.full((1, channels, 1), 1e-4))
        self.scale_mlp = nn.Parameter(torch.full((1, channels, 1), 1e-4))

    def _shortcut(self, x_BCT: Tensor, mask_BT: Tensor, out_mask: Tensor) -> Tensor:
        if self.stride == 1:
            return mask_steps(x_BCT, mask_BT)
        if not self.pool_sees_padding:
            x_BCT = x_BCT.masked_fill(~mask_BT[:, None], -math.inf)
        pooled = functional.max_pool1d(x_BCT, self.stride + 1, self.stride, (self.stride + 1) // 2)
        return pooled.masked_fill(~out_mask[:, None], 0.0)

    def forward(self, x_BCT: Tensor, mask_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Sequence (B, C, T / stride) and its mask."""
        rate, training = self.drop_path_rate, self.training
        attended, out_mask = self.attn(self.norm1(x_BCT), mask_BT)
        x_BCT = self._shortcut(x_BCT, mask_BT, out_mask) + drop_path(
            self.scale_attn * attended, rate=rate, training=training
        )
        hidden = self.fc2(functional.gelu(self.fc1(self.norm2(x_BCT))))
        hidden = self.scale_mlp * mask_steps(hidden, out_mask)
        return x_BCT + drop_path(hidden, rate=rate, training=training), out_mask


class Pyramid(nn.Module):
    """Sequences of falling resolution: T, T/2, T/4, ... steps.

    Args:
        in_channels: channels of the features.
        channels: C.
        num_embedding: convolutions before the blocks.
        num_stem: blocks at full resolution.
        num_branch: blocks that each halve the resolution; levels = num_branch + 1.
        num_heads, window, drop_path_rate, pool_sees_padding: as `TransformerBlock`.
        absolute_positions: add a sinusoid table divided by sqrt(C) after the embedding.
        norm_eps: epsilon of the norms of embedding and levels.
        mask_after_norm: as `ConvNormReLU`.
        mask_levels: set the padding to zero after the norm of each level; the released codes do
            not.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        channels: int,
        num_embedding: int,
        num_stem: int,
        num_branch: int,
        num_heads: int,
        window: int | None = None,
        drop_path_rate: float = 0.0,
        absolute_positions: bool = False,
        norm_eps: float = 1e-5,
        mask_after_norm: bool = True,
        mask_levels: bool = True,
        pool_sees_padding: bool = False,
    ) -> None:
        super().__init__()
        self.num_levels = num_branch + 1
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

        def block(stride: int) -> TransformerBlock:
            return TransformerBlock(
                channels,
                num_heads=num_heads,
                stride=stride,
                window=window,
                drop_path_rate=drop_path_rate,
                pool_sees_padding=pool_sees_padding,
            )

        self.stem = nn.ModuleList(block(1) for _ in range(num_stem))
        self.branch = nn.ModuleList(block(2) for _ in range(num_branch))
        self.level_norms = nn.ModuleList(
            ChannelNorm(channels, eps=norm_eps) for _ in range(self.num_levels)
        )

    def forward(self, features_BCT: Tensor, mask_BT: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Features and mask of each level, finest first."""
        x = features_BCT
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


class Tower(nn.Module):
    """Convolutions of the head, shared by all levels, and the last one that gives the output."""

    def __init__(
        self,
        channels: int,
        out_channels: int,
        *,
        num_convs: int,
        norm_eps: float,
        mask_after_norm: bool,
    ) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            ConvNormReLU(channels, channels, norm_eps=norm_eps, mask_after_norm=mask_after_norm)
            for _ in range(num_convs)
        )
        self.out = MaskedConv1d(channels, out_channels, kernel_size=3)

    def forward(self, x_BCT: Tensor, mask_BT: Tensor) -> Tensor:
        """Raw output of one level, shape (B, out_channels, T)."""
        for conv in self.convs:
            x_BCT = conv(x_BCT, mask_BT)
        return self.out(x_BCT, mask_BT)[0]


@dataclass(frozen=True)
class DenseOutputs:
    """What a dense detector predicts at every point of its pyramid.

    Attributes:
        logits_BPK: class logits.
        offsets_BP2: distance to start and end in units of the point's stride, at least 0.
        mask_BP: whether the point belongs to its video.
        points_P4: position, smallest and largest regression range and stride, in steps of the grid.
    """

    logits_BPK: Tensor
    offsets_BP2: Tensor
    mask_BP: Tensor
    points_P4: Tensor


def make_points(level_lengths: Sequence[int], *, regression_ranges: Tensor) -> Tensor:
    """Points of all levels, shape (P, 4): position, smallest and largest range, stride; finest
    level first.

    Args:
        level_lengths: steps of each level; level l has stride 2^l.
        regression_ranges: (levels, 2), in steps of the finest level.
    """
    rows = []
    for level, length in enumerate(level_lengths):
        stride = 2**level
        position = torch.arange(length, device=regression_ranges.device) * stride
        low, high = regression_ranges[level]
        columns = (position.to(low), low.expand(length), high.expand(length))
        rows.append(torch.stack((*columns, torch.full_like(columns[0], stride)), dim=1))
    return torch.cat(rows)


class ActionFormer(nn.Module):
    """Pyramid and head: features in, logits and offsets at every point out.

    Args:
        pyramid: the temporal pyramid.
        channels: its C.
        num_classes: K.
        regression_ranges: (low, high) of each level in steps of the grid, on the longer of the two
            offsets.
        num_convs: convolutions in each tower of the head.
        prior: score of every class before training.
        norm_eps, mask_after_norm: as `Pyramid`.
    """

    def __init__(
        self,
        pyramid: Pyramid,
        *,
        channels: int,
        num_classes: int,
        regression_ranges: Sequence[tuple[float, float]],
        num_convs: int = 2,
        prior: float = 0.01,
        norm_eps: float = 1e-5,
        mask_after_norm: bool = True,
    ) -> None:
        super().__init__()
        assert len(regression_ranges) == pyramid.num_levels, "one regression range per level"
        self.pyramid = pyramid
        keywords = {
            "num_convs": num_convs,
            "norm_eps": norm_eps,
            "mask_after_norm": mask_after_norm,
        }
        self.classification = Tower(channels, num_classes, **keywords)  # type: ignore[arg-type]
        self.regression = Tower(channels, 2, **keywords)  # type: ignore[arg-type]
        self.level_scales = nn.ParameterList(
            nn.Parameter(torch.ones(())) for _ in range(pyramid.num_levels)
        )
        nn.init.constant_(self.classification.out.conv.bias, -math.log((1 - prior) / prior))  # type: ignore[arg-type]
        ranges = torch.tensor(regression_ranges, dtype=torch.float32)
        self.register_buffer("regression_ranges", ranges, persistent=False)
        self.regression_ranges: Tensor

    def forward(self, features_BCT: Tensor, mask_BT: Tensor) -> DenseOutputs:
        """Predictions at every point.

        T may be anything: it is padded to a multiple of the coarsest stride, and padding changes
        nothing inside a video.
        """
        tail = -features_BCT.shape[2] % 2 ** (self.pyramid.num_levels - 1)
        features_BCT = functional.pad(features_BCT, (0, tail))
        mask_BT = functional.pad(mask_BT, (0, tail))
        levels = self.pyramid(features_BCT, mask_BT)
        logits, offsets = [], []
        for scale, (x, mask) in zip(self.level_scales, levels, strict=True):
            logits.append(self.classification(x, mask))
            offsets.append(functional.relu(self.regression(x, mask) * scale))
        return DenseOutputs(
            logits_BPK=torch.cat(logits, dim=2).transpose(1, 2),
            offsets_BP2=torch.cat(offsets, dim=2).transpose(1, 2),
            mask_BP=torch.cat([mask for _, mask in levels], dim=1),
            points_P4=make_points(
                [x.shape[2] for x, _ in levels], regression_ranges=self.regression_ranges
            ),
        )


def level_lengths(num_steps: int, *, num_levels: int) -> list[int]:
    """Steps of each level for a sequence padded as `ActionFormer.forward` pads it.

    >>> level_lengths(10, num_levels=3)
    [12, 6, 3]
    """
    coarsest = 2 ** (num_levels - 1)
    padded = math.ceil(num_steps / coarsest) * coarsest
    return [padded // 2**level for level in range(num_levels)]
