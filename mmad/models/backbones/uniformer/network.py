"""UniFormer, two stages of convolutional blocks and two of transformer blocks.

Shapes: N clips, F frames of a clip; T steps, H W rows and columns of the map, C channels; L = N x T
steps of all clips, videos concatenated.

Sources: arXiv 2201.04676, its released code for video and mmaction2's.
"""

import re
from collections.abc import Mapping, Sequence

from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from mmad.models.backbones.adaptable import AdaptableBackbone, AdaptableBlock
from mmad.models.backbones.contract import BackboneSpec, ClipTokens, tokens_of_map
from mmad.models.backbones.inflation import inflate_kernels
from mmad.models.layers.batch_norm import BatchNorm
from mmad.models.layers.transformer import MLP, SelfAttention, drop_path, drop_path_rates

FRAMES_PER_STEP = 2
NUM_STAGES = 4
# Patches of 4 x 4 pixels, then three of 2 x 2 cells.
SIDE_STRIDE = 32
# The first stages have convolutional blocks, the others attention.
_CONVOLUTIONAL_STAGES = 2


class Embed(nn.Module):
    """Convolution that makes a map smaller, and a layer norm over channels."""

    def __init__(self, in_channels: int, channels: int, *, first: bool) -> None:
        super().__init__()
        self.proj = nn.Conv3d(
            in_channels,
            channels,
            kernel_size=(3, 4, 4) if first else (1, 2, 2),
            stride=(FRAMES_PER_STEP, 4, 4) if first else (1, 2, 2),
            padding=(1, 0, 0) if first else 0,
        )
        self.norm = nn.LayerNorm(channels)

    def forward(self, x_NCTHW: Tensor) -> Tensor:
        """The smaller map."""
        x = rearrange(self.proj(x_NCTHW), "n c t h w -> n t h w c")
        return rearrange(self.norm(x), "n t h w c -> n c t h w")


def _depthwise(channels: int, kernel: int) -> nn.Conv3d:
    return nn.Conv3d(channels, channels, kernel, padding=kernel // 2, groups=channels)


class ConvMLP(nn.Module):
    """`MLP` of every place of a map, as convolutions."""

    def __init__(self, channels: int, *, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv3d(channels, hidden, 1)
        self.fc2 = nn.Conv3d(hidden, channels, 1)

    def forward(self, x_NCTHW: Tensor) -> Tensor:
        """The transformed map, same shape."""
        return self.fc2(functional.gelu(self.fc1(x_NCTHW)))


class ConvBlock(nn.Module):
    """Block that mixes places near each other by a depthwise convolution.

    Args:
        channels: C.
        mlp_ratio: Hidden width of the MLP / C.
        drop_path_rate: Rate of stochastic depth.
        keep_statistics: As in `BatchNorm`.
    """

    def __init__(
        self, channels: int, *, mlp_ratio: float, drop_path_rate: float, keep_statistics: bool
    ) -> None:
        super().__init__()
        self.position = _depthwise(channels, 3)
        self.norm1 = BatchNorm(channels, keep_statistics=keep_statistics)
        self.conv1 = nn.Conv3d(channels, channels, 1)
        self.mix = _depthwise(channels, 5)
        self.conv2 = nn.Conv3d(channels, channels, 1)
        self.norm2 = BatchNorm(channels, keep_statistics=keep_statistics)
        self.mlp = ConvMLP(channels, hidden=int(channels * mlp_ratio))
        self.drop_path_rate = drop_path_rate

    def forward(self, x_NCTHW: Tensor) -> Tensor:
        """The map after the block, same shape."""
        x, rate = x_NCTHW, self.drop_path_rate
        x = x + self.position(x)
        mixed = self.conv2(self.mix(self.conv1(self.norm1(x))))
        x = x + drop_path(mixed, rate=rate, training=self.training)
        return x + drop_path(self.mlp(self.norm2(x)), rate=rate, training=self.training)


class AttentionBlock(AdaptableBlock):
    """Transformer block on all places of a map, then its adapter if it has one.

    Args:
        channels: C.
        num_heads: Attention heads.
        mlp_ratio: Hidden width of the MLP / C.
        qkv_bias: As in `SelfAttention`.
        drop_path_rate: Rate of stochastic depth.
    """

    def __init__(
        self,
        channels: int,
        *,
        num_heads: int,
        mlp_ratio: float,
        qkv_bias: bool,
        drop_path_rate: float,
    ) -> None:
        super().__init__(channels)
        self.position = _depthwise(channels, 3)
        self.norm1 = nn.LayerNorm(channels)
        self.attn = SelfAttention(channels, num_heads=num_heads, qkv_bias=qkv_bias)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = MLP(channels, hidden=int(channels * mlp_ratio))
        self.drop_path_rate = drop_path_rate

    def forward(self, x_NCTHW: Tensor, video_of_step_L: Tensor) -> Tensor:
        """The map after the block, same shape; the videos are for the adapter."""
        _, _, steps, rows, _ = x_NCTHW.shape
        rate = self.drop_path_rate
        x_NCTHW = x_NCTHW + self.position(x_NCTHW)
        x = rearrange(x_NCTHW, "n c t h w -> n (t h w) c")
        x = x + drop_path(self.attn(self.norm1(x)), rate=rate, training=self.training)
        x = x + drop_path(self.mlp(self.norm2(x)), rate=rate, training=self.training)
        x_NTHWC = rearrange(x, "n (t h w) c -> n t h w c", t=steps, h=rows)
        if self.adapter is not None:
            x_NTHWC = x_NTHWC + self.adapter.added_to_map(x_NTHWC, video_of_step_L)
        return rearrange(x_NTHWC, "n t h w c -> n c t h w")


class Stage(nn.Module):
    """Blocks at one size of the map, and what makes the map before them."""

    def __init__(self, embed: Embed, blocks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.embed = embed
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x_NCTHW: Tensor, video_of_clip_N: Tensor) -> Tensor:
        """The smaller map after the blocks; the videos are as in `Backbone.forward`."""
        x = self.embed(x_NCTHW)
        video_of_step_L = video_of_clip_N.repeat_interleave(x.shape[2])
        for block in self.blocks:
            x = block(x, video_of_step_L) if isinstance(block, AttentionBlock) else block(x)
        return x


class UniFormer(AdaptableBackbone):
    """UniFormer without its classifier.

    Args:
        widths: Channels of the four stages.
        depths: Blocks of the four stages.
        head_width: Channels of an attention head.
        clip_frames: Frames of a clip.
        mlp_ratio: Hidden width of the MLPs / channels.
        qkv_bias: As in `SelfAttention`.
        drop_path_rate: Rate at the last block; it grows linearly from 0.
        keep_statistics: As in `BatchNorm`.
    """

    def __init__(
        self,
        *,
        widths: Sequence[int],
        depths: Sequence[int],
        head_width: int,
        clip_frames: int,
        mlp_ratio: float,
        qkv_bias: bool,
        drop_path_rate: float,
        keep_statistics: bool,
    ) -> None:
        super().__init__(
            BackboneSpec(
                channels=widths[-1],
                clip_frames=clip_frames,
                frames_per_step=FRAMES_PER_STEP,
                side_multiple=SIDE_STRIDE,
            )
        )
        self.depths = tuple(depths)
        rates = iter(drop_path_rates(drop_path_rate, sum(depths)))
        self.stages = nn.ModuleList()
        channels = 3
        for number, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            blocks: list[nn.Module] = []
            for _ in range(depth):
                if number < _CONVOLUTIONAL_STAGES:
                    block: nn.Module = ConvBlock(
                        width,
                        mlp_ratio=mlp_ratio,
                        drop_path_rate=next(rates),
                        keep_statistics=keep_statistics,
                    )
                else:
                    block = AttentionBlock(
                        width,
                        num_heads=width // head_width,
                        mlp_ratio=mlp_ratio,
                        qkv_bias=qkv_bias,
                        drop_path_rate=next(rates),
                    )
                blocks.append(block)
            self.stages.append(Stage(Embed(channels, width, first=number == 0), blocks))
            channels = width
        self.norm = BatchNorm(channels, keep_statistics=keep_statistics)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(
        self, images_NCFHW: Tensor, video_of_clip_N: Tensor, *, stop_before: int | None = None
    ) -> ClipTokens:
        """As in `Backbone`; there is no block to stop before."""
        assert stop_before is None
        self.require_fitting(images_NCFHW)
        return tokens_of_map(self.map(images_NCFHW, video_of_clip_N))

    def map(self, images_NCFHW: Tensor, video_of_clip_N: Tensor) -> Tensor:
        """The feature map (N, C, T, H, W) of clips of any length and size; pixels beyond the last
        whole patch are left out.
        """
        x = images_NCFHW
        for stage in self.stages:
            x = stage(x, video_of_clip_N)
        return self.norm(x)

    def depth_of(self, name: str) -> int:
        """As in `Backbone`; what makes a map smaller belongs to the block before it."""
        if match := re.match(r"stages\.(\d+)\.(?:blocks\.(\d+)|embed)\.", name):
            before = sum(self.depths[: int(match[1])])
            return before if match[2] is None else before + 1 + int(match[2])
        return sum(self.depths) + 1

    def fit_weights(self, tensors: dict[str, Tensor], *, source: str) -> Mapping[str, str]:
        """As in `Backbone`: kernels of an image UniFormer are inflated."""
        return inflate_kernels(tensors, self.state_dict())
