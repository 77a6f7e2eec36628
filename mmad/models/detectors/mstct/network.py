"""MS-TCT: attention and convolutions at four resolutions, mixed into class scores of every step.

Shapes: B batch, C channels, T steps, K classes, h heads, d channels of a head.

Source: MS-TCT (arXiv 2112.03902) and its released code (github.com/dairui01/MS-TCT).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from mmad.models.backbones.features import interpolate_steps
from mmad.models.layers.masked import MaskedConv1d, mask_steps, pad_steps

INITIAL_STD = 0.02


@dataclass(frozen=True)
class FrameOutputs:
    """What a frame-wise detector predicts at every step.

    Attributes:
        logits_BTK: Class logits.
        heatmap_BTK: Logits of the centre of an action of each class.
        mask_BT: Whether the step belongs to its video.
    """

    logits_BTK: Tensor
    heatmap_BTK: Tensor
    mask_BT: Tensor


def _linear(in_channels: int, out_channels: int) -> nn.Linear:
    layer = nn.Linear(in_channels, out_channels)
    nn.init.trunc_normal_(layer.weight, std=INITIAL_STD)
    nn.init.zeros_(layer.bias)
    return layer


def _convolution(
    in_channels: int, out_channels: int, *, stride: int = 1, groups: int = 1
) -> MaskedConv1d:
    layer = MaskedConv1d(in_channels, out_channels, kernel_size=3, stride=stride, groups=groups)
    nn.init.normal_(layer.conv.weight, std=math.sqrt(2 * groups / (3 * out_channels)))
    return layer


class GlobalRelationalBlock(nn.Module):
    """Multi-head attention of every step to all steps of its own video.

    Args:
        channels: C.
        num_heads: h.
    """

    def __init__(self, channels: int, *, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = _linear(channels, 3 * channels)
        self.proj = _linear(channels, channels)

    def forward(self, x_BTC: Tensor, mask_BT: Tensor) -> Tensor:
        """Attended sequence, same shape."""
        q_BhTd, k_BhTd, v_BhTd = rearrange(
            self.qkv(x_BTC), "b t (three h d) -> three b h t d", three=3, h=self.num_heads
        )
        out_BhTd = functional.scaled_dot_product_attention(
            q_BhTd, k_BhTd, v_BhTd, attn_mask=mask_BT[:, None, None]
        )
        return self.proj(rearrange(out_BhTd, "b h t d -> b t (h d)"))


class LocalRelationalBlock(nn.Module):
    """Two linear layers, and between them a depth-wise convolution of three steps.

    Args:
        channels: C.
        hidden: Channels between the linear layers.
        dropout: Rate after the activation and after the last layer; the released code has 0.
    """

    def __init__(self, channels: int, *, hidden: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear1 = _linear(channels, hidden)
        self.temporal = _convolution(hidden, hidden, groups=hidden)
        self.linear2 = _linear(hidden, channels)

    def forward(self, x_BTC: Tensor, mask_BT: Tensor) -> Tensor:
        """Transformed sequence, same shape."""
        # The bias of the linear layer fills the padding, which the convolution would carry inside.
        hidden_BCT = mask_steps(self.linear1(x_BTC).transpose(1, 2), mask_BT)
        hidden_BCT, _ = self.temporal(hidden_BCT, mask_BT)
        hidden_BTC = self.dropout(functional.gelu(hidden_BCT.transpose(1, 2)))
        return self.dropout(self.linear2(hidden_BTC))


class GlobalLocalBlock(nn.Module):
    """Pre-norm block: relations to all steps, then relations to the neighbours.

    Args:
        channels, num_heads: As `GlobalRelationalBlock`.
        mlp_ratio: Hidden channels of the local block over C.
        dropout: As `LocalRelationalBlock`.
    """

    def __init__(self, channels: int, *, num_heads: int, mlp_ratio: float, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.global_relations = GlobalRelationalBlock(channels, num_heads=num_heads)
        self.norm2 = nn.LayerNorm(channels)
        self.local_relations = LocalRelationalBlock(
            channels, hidden=int(channels * mlp_ratio), dropout=dropout
        )

    def forward(self, x_BTC: Tensor, mask_BT: Tensor) -> Tensor:
        """Transformed sequence, same shape."""
        x_BTC = x_BTC + self.global_relations(self.norm1(x_BTC), mask_BT)
        return x_BTC + self.local_relations(self.norm2(x_BTC), mask_BT)


class Stage(nn.Module):
    """Temporal merging (a convolution that may halve the resolution), then blocks.

    Args:
        in_channels: Channels of the input.
        channels: C.
        stride: Stride of the convolution.
        num_blocks: Number of blocks at the new resolution.
        num_heads, mlp_ratio, dropout: As `GlobalLocalBlock`.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        stride: int,
        num_blocks: int,
        num_heads: int,
        mlp_ratio: float,
        dropout: float,
    ) -> None:
        super().__init__()
        self.merge = _convolution(in_channels, channels, stride=stride)
        self.merge_norm = nn.LayerNorm(channels)
        self.blocks = nn.ModuleList(
            GlobalLocalBlock(channels, num_heads=num_heads, mlp_ratio=mlp_ratio, dropout=dropout)
            for _ in range(num_blocks)
        )
        self.norm = nn.LayerNorm(channels)

    def forward(self, x_BCT: Tensor, mask_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Sequence (B, C', T / stride) and its mask; zero beyond each video's end."""
        x_BCT, mask_BT = self.merge(x_BCT, mask_BT)
        x_BTC = self.merge_norm(x_BCT.transpose(1, 2))
        for block in self.blocks:
            x_BTC = block(x_BTC, mask_BT)
        return mask_steps(self.norm(x_BTC).transpose(1, 2), mask_BT), mask_BT


def interpolate_level(x_BCT: Tensor, mask_BT: Tensor, *, factor: int) -> Tensor:
    """The sequence with ``factor`` times as many steps, by linear interpolation; constant beyond
    each video's last step, as if it were alone.
    """
    last_B = (mask_BT.sum(dim=1) - 1).clamp(min=0)
    edge_BC1 = x_BCT.gather(2, last_B[:, None, None].expand(-1, x_BCT.shape[1], 1))
    return interpolate_steps(torch.where(mask_BT[:, None], x_BCT, edge_BC1), factor=factor)


class ScaleMixer(nn.Module):
    """All stages at the finest resolution: once with the coarsest mixed into the others, once
    plain.

    Args:
        in_channels: Channels of each stage, finest first.
        channels: C of each stage after its projection.

    Differs: the released code stretches before it mixes, which is the same, since both are linear
    and the weights of the stretching add up to 1; and it has a fourth, unused mixing layer.
    """

    def __init__(self, in_channels: Sequence[int], *, channels: int) -> None:
        super().__init__()
        self.project = nn.ModuleList(nn.Conv1d(width, channels, 1) for width in in_channels)
        self.mix = nn.ModuleList(nn.Conv1d(channels, channels, 1) for _ in in_channels[:-1])

    def forward(self, levels: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        """Mixed and plain stages, each (B, stages * C, T), coarsest stage first.

        Args:
            levels: Sequence and mask of each stage, finest first.
        """
        projected = [layer(x) for layer, (x, _) in zip(self.project, levels, strict=True)]
        plain = [
            interpolate_level(x, mask, factor=2**level)
            for level, (x, (_, mask)) in enumerate(zip(projected, levels, strict=True))
        ]
        coarsest, coarsest_mask = projected[-1], levels[-1][1]
        factor = 2 ** (len(levels) - 1)
        mixed = [plain[-1]]
        for x_BCT, layer in zip(plain[-2::-1], self.mix, strict=True):
            added = interpolate_level(layer(coarsest), coarsest_mask, factor=factor)
            mixed.append(x_BCT + added)
        return torch.cat(mixed, dim=1), torch.cat(plain[::-1], dim=1)


class MSTCT(nn.Module):
    """Stages, mixer and two branches: class logits and centre heat-map of every step.

    Args:
        in_channels: Channels of the features.
        num_classes: K.
        stage_channels: Channels of each stage; each but the first halves the resolution.
        num_blocks, num_heads, mlp_ratio: Settings of each stage, as `Stage`.
        mixer_channels: Channels of each stage in the mixer, and of both branches.
        input_dropout: Rate on the features.
        block_dropout: As `LocalRelationalBlock`.
        head_dropout: Rate before the last layer of the class logits.

    Differs: padding is masked everywhere, and levels are stretched by whole factors and end at the
    video's own last step; the released code pads with zeros that its layers then see. For one video
    whose length is a multiple of the coarsest stride both are the same.
    The bias of the heat-map's convolution starts at 0, not at random.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        stage_channels: Sequence[int],
        num_blocks: int,
        num_heads: int,
        mlp_ratio: float,
        mixer_channels: int,
        input_dropout: float,
        block_dropout: float,
        head_dropout: float,
    ) -> None:
        super().__init__()
        self.input_dropout = nn.Dropout(input_dropout)
        self.stages = nn.ModuleList(
            Stage(
                before,
                channels,
                stride=1 if index == 0 else 2,
                num_blocks=num_blocks,
                num_heads=num_heads,
                mlp_ratio=mlp_ratio,
                dropout=block_dropout,
            )
            for index, (before, channels) in enumerate(
                zip([in_channels, *stage_channels[:-1]], stage_channels, strict=True)
            )
        )
        self.mixer = ScaleMixer(stage_channels, channels=mixer_channels)
        all_channels = len(stage_channels) * mixer_channels
        self.fuse = nn.Conv1d(all_channels, mixer_channels, 1)
        self.head_dropout = nn.Dropout(head_dropout)
        self.classification = nn.Conv1d(mixer_channels, num_classes, 1)
        self.heatmap_conv = MaskedConv1d(all_channels, mixer_channels, kernel_size=3)
        self.heatmap = nn.Conv1d(mixer_channels, num_classes, 1)

    def forward(self, features_BCT: Tensor, mask_BT: Tensor) -> FrameOutputs:
        """Predictions at every step.

        T is arbitrary: it is padded to a multiple of the coarsest stride, and padding changes
        nothing inside a video.
        """
        steps = features_BCT.shape[2]
        x_BCT = self.input_dropout(features_BCT)
        levels = [pad_steps(x_BCT, mask_BT, multiple=2 ** (len(self.stages) - 1))]
        for stage in self.stages:
            levels.append(stage(*levels[-1]))
        padded_BT = levels[0][1]
        mixed_BCT, plain_BCT = self.mixer(levels[1:])
        logits_BKT = self.classification(self.head_dropout(self.fuse(mixed_BCT)))
        hidden_BCT, _ = self.heatmap_conv(mask_steps(plain_BCT, padded_BT), padded_BT)
        heatmap_BKT = self.heatmap(functional.relu(hidden_BCT))
        return FrameOutputs(
            logits_BTK=logits_BKT.transpose(1, 2)[:, :steps],
            heatmap_BTK=heatmap_BKT.transpose(1, 2)[:, :steps],
            mask_BT=mask_BT,
        )
