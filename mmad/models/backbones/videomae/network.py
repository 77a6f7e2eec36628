"""VideoMAE, the video backbone, with room for an adapter after each block.

Shapes: N clips of 16 frames, F frames, H W height and width in pixels; a clip becomes T tubelets (2
frames each) of S = h x w tokens of width D; L = N x T tubelets of all clips, videos one after
another.

Sources: VideoMAE (arXiv 2203.12602) and its released code for layer names, initial values and the
epsilon of the layer norm; the place of the adapter, after both residuals of a block, is AdaTAD's.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from mmad.models.layers.transformer import drop_path, sinusoid_table

TUBELET_FRAMES = 2


@dataclass(frozen=True)
class VideoMAESize:
    """Dimensions of a VideoMAE: width, blocks, heads, patch in pixels, ratio of the MLP's width."""

    width: int
    depth: int
    num_heads: int
    patch: int = 16
    mlp_ratio: float = 4.0


SIZES: Mapping[str, VideoMAESize] = {
    "small": VideoMAESize(384, 12, 6),
    "base": VideoMAESize(768, 12, 12),
    "large": VideoMAESize(1024, 24, 16),
    "huge": VideoMAESize(1280, 32, 16),
    "giant": VideoMAESize(1408, 40, 16, patch=14, mlp_ratio=48 / 11),
}


def separable_table(num_tubelets: int, side: int, width: int) -> Tensor:
    """Random sum of a vector for the tubelet, one for the row and one for the column.

    What a learned table starts from; float32, shape (num_tubelets x side x side, width).
    """
    shapes = ((num_tubelets, 1, 1), (1, side, 1), (1, 1, side))
    parts = [0.3 * torch.randn(*shape, width) for shape in shapes]
    return (parts[0] + parts[1] + parts[2]).reshape(-1, width)


class Attention(nn.Module):
    """Self-attention among the tokens of one clip; the key has no bias, as in VideoMAE."""

    def __init__(self, width: int, *, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(width))
        self.v_bias = nn.Parameter(torch.zeros(width))
        self.proj = nn.Linear(width, width)

    def forward(self, x_NSD: Tensor) -> Tensor:
        """Attended tokens, same shape."""
        bias = torch.cat((self.q_bias, torch.zeros_like(self.q_bias), self.v_bias))
        qkv = functional.linear(x_NSD, self.qkv.weight, bias)
        q, k, v = qkv.unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        out = functional.scaled_dot_product_attention(q, k, v)
        return self.proj(out.transpose(1, 2).flatten(2))


class MLP(nn.Module):
    """Two linear layers with an exact GELU between."""

    def __init__(self, width: int, *, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Transformed tokens, same shape."""
        return self.fc2(functional.gelu(self.fc1(x)))


class Block(nn.Module):
    """Pre-norm transformer block, then its adapter if it has one."""

    def __init__(self, size: VideoMAESize, *, drop_path_rate: float, norm_eps: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(size.width, eps=norm_eps)
        self.attn = Attention(size.width, num_heads=size.num_heads)
        self.norm2 = nn.LayerNorm(size.width, eps=norm_eps)
        self.mlp = MLP(size.width, hidden=round(size.width * size.mlp_ratio))
        self.drop_path_rate = drop_path_rate
        self.adapter: nn.Module | None = None

    def forward(
        self, x_NSD: Tensor, *, video_of_tubelet_L: Tensor, grid_hw: tuple[int, int]
    ) -> Tensor:
        """Tokens after the block, same shape."""
        rate = self.drop_path_rate
        x_NSD = x_NSD + drop_path(self.attn(self.norm1(x_NSD)), rate=rate, training=self.training)
        x_NSD = x_NSD + drop_path(self.mlp(self.norm2(x_NSD)), rate=rate, training=self.training)
        if self.adapter is None:
            return x_NSD
        tokens = grid_hw[0] * grid_hw[1]
        x_LSD = x_NSD.reshape(-1, tokens, x_NSD.shape[-1])
        x_LSD = self.adapter(x_LSD, video_of_tubelet_L=video_of_tubelet_L, grid_hw=grid_hw)
        return x_LSD.reshape(x_NSD.shape)


class PatchEmbed(nn.Module):
    """Cuts a clip into tubelets of 2 frames x patch x patch pixels and projects each to a token."""

    def __init__(self, width: int, *, patch: int) -> None:
        super().__init__()
        kernel = (TUBELET_FRAMES, patch, patch)
        self.proj = nn.Conv3d(3, width, kernel_size=kernel, stride=kernel)

    def forward(self, clips_NCFHW: Tensor) -> Tensor:
        """Tokens of shape (N, D, T, h, w)."""
        return self.proj(clips_NCFHW)


class VideoMAE(nn.Module):
    """VideoMAE encoder without its pre-training decoder or classifier.

    Args:
        size: dimensions; see `SIZES` for the published ones.
        clip_frames: frames of a clip.
        position_image_size: side in pixels of the pictures that the position table was made for
            (224 for all published weights). At another size the table is interpolated (bicubic, per
            tubelet).
        learned_positions: the table is a parameter, part of the weights, instead of fixed
            sinusoids. Narrow models need it: sinusoids over all positions of a clip in a row tell
            little about row and column in under a hundred channels.
        drop_path_rate: rate at the last block; it grows linearly from 0.
        final_norm: apply the layer norm after the last block. The published detectors do not.
        pooled_norm: have a layer norm of pooled vectors, `fc_norm`, as fine-tuned weights do.
        norm_eps: epsilon of the layer norms.
        activation_checkpointing: keep only each block's input in training and recompute the rest,
            for less memory and more time.
    """

    def __init__(
        self,
        size: VideoMAESize,
        *,
        clip_frames: int = 16,
        position_image_size: int = 224,
        learned_positions: bool = False,
        drop_path_rate: float = 0.0,
        final_norm: bool = False,
        pooled_norm: bool = False,
        norm_eps: float = 1e-6,
        activation_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        self.size = size
        self.clip_frames = clip_frames
        self.activation_checkpointing = activation_checkpointing
        self.patch_embed = PatchEmbed(size.width, patch=size.patch)
        self.position_side = position_image_size // size.patch
        self.pos_embed: Tensor
        if learned_positions:
            table = separable_table(self.clip_tubelets, self.position_side, size.width)
            self.pos_embed = nn.Parameter(table[None])
        else:
            table = sinusoid_table(self.clip_tubelets * self.position_side**2, size.width)
            self.register_buffer("pos_embed", table[None], persistent=False)
        rates = [drop_path_rate * i / max(size.depth - 1, 1) for i in range(size.depth)]
        self.blocks = nn.ModuleList(
            Block(size, drop_path_rate=rate, norm_eps=norm_eps) for rate in rates
        )
        self.norm = nn.LayerNorm(size.width, eps=norm_eps) if final_norm else None
        self.fc_norm = nn.LayerNorm(size.width, eps=norm_eps) if pooled_norm else None
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        # The projection of patches is a linear layer, and starts as one.
        nn.init.xavier_uniform_(self.patch_embed.proj.weight.flatten(1))
        nn.init.zeros_(self.patch_embed.proj.bias)  # type: ignore[arg-type]

    @property
    def clip_tubelets(self) -> int:
        """Number of tubelets of a clip."""
        return self.clip_frames // TUBELET_FRAMES

    def positions(self, grid_hw: tuple[int, int]) -> Tensor:
        """Position table for pictures of ``grid_hw`` patches, shape (1, T x h x w, D)."""
        side = self.position_side
        if grid_hw == (side, side):
            return self.pos_embed
        table = self.pos_embed.reshape(self.clip_tubelets, side, side, -1).permute(0, 3, 1, 2)
        table = functional.interpolate(table, size=grid_hw, mode="bicubic", align_corners=False)
        return table.permute(0, 2, 3, 1).reshape(1, -1, self.size.width)

    def embed(self, clips_NCFHW: Tensor) -> Tensor:
        """Patch tokens of normalised clips, before positions: shape (N, D, T, h, w).

        Raises: ValueError if the frames of a clip or the size of the pictures do not fit.
        """
        frames, height, width = clips_NCFHW.shape[2:]
        patch = self.size.patch
        if frames != self.clip_frames or height % patch or width % patch:
            raise ValueError(
                f"expected clips of {self.clip_frames} frames whose sides are multiples of {patch} "
                f"pixels, found {frames} frames of {height}x{width}"
            )
        return self.patch_embed(clips_NCFHW)

    def encode(
        self, patches_NDThw: Tensor, video_of_clip_N: Tensor, *, before_block: int | None = None
    ) -> Tensor:
        """Tokens after the last block, shape (N, T, S, D).

        Args:
            patches_NDThw: what `embed` gives; the clips of a video are neighbours, in order.
            video_of_clip_N: which video each clip belongs to, for the temporal adapters.
            before_block: give the tokens as they enter this block instead.
        """
        grid_hw = (patches_NDThw.shape[3], patches_NDThw.shape[4])
        x_NSD = patches_NDThw.flatten(2).transpose(1, 2)
        x_NSD = x_NSD + self.positions(grid_hw).to(x_NSD.dtype)
        video_of_tubelet_L = video_of_clip_N.repeat_interleave(self.clip_tubelets)
        recompute = self.activation_checkpointing and self.training and torch.is_grad_enabled()
        for block in self.blocks[:before_block]:
            if recompute:
                x_NSD = checkpoint(
                    block,
                    x_NSD,
                    use_reentrant=False,
                    video_of_tubelet_L=video_of_tubelet_L,
                    grid_hw=grid_hw,
                )
            else:
                x_NSD = block(x_NSD, video_of_tubelet_L=video_of_tubelet_L, grid_hw=grid_hw)
        if self.norm is not None and before_block is None:
            x_NSD = self.norm(x_NSD)
        return x_NSD.unflatten(1, (self.clip_tubelets, math.prod(grid_hw)))

    def pool(self, tokens_NTSD: Tensor, *, over_time: bool = False) -> Tensor:
        """Mean of tokens after the last block, with the norm of pooled vectors if there is one.

        Args:
            tokens_NTSD: what `encode` gives.
            over_time: one vector for each clip, (N, D), instead of each tubelet, (N, T, D).
        """
        pooled = tokens_NTSD.mean(dim=2)
        if over_time:
            pooled = pooled.mean(dim=1)
        return pooled if self.fc_norm is None else self.fc_norm(pooled)

    def forward(self, clips_NCFHW: Tensor, video_of_clip_N: Tensor) -> Tensor:
        """Features, one vector per tubelet: shape (N, T, D).

        Arguments and errors as in `embed` and `encode`.
        """
        return self.pool(self.encode(self.embed(clips_NCFHW), video_of_clip_N))
