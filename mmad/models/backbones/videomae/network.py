"""VideoMAE, the video backbone, with room for an adapter after each block.

Shapes: N clips of 16 frames, F frames, H W height and width in pixels; a clip becomes T tubelets (2
frames each) of S = h x w tokens of width D; L = N x T tubelets of all clips, videos concatenated.

Sources: VideoMAE (arXiv 2203.12602) and its released code for layer names, initial values and the
epsilon of the layer norm; the position of the adapter, after both residuals of a block, is
AdaTAD's.
"""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from mmad.errors import CheckpointError
from mmad.models.backbones.adapters import Adapter
from mmad.models.backbones.contract import Backbone, BackboneSpec, ClipTokens
from mmad.models.layers.transformer import MLP, drop_path, drop_path_rates, sinusoid_table

TUBELET_FRAMES = 2
_POSITIONS = "pos_embed"


@dataclass(frozen=True)
class VideoMAESize:
    """Dimensions of a VideoMAE: width, blocks, heads, patch in pixels, ratio of the MLP's width."""

    width: int
    depth: int
    num_heads: int
    patch: int = 16
    mlp_ratio: float = 4.0


def separable_table(num_tubelets: int, side: int, width: int) -> Tensor:
    """Random sum of a vector for the tubelet, one for the row and one for the column.

    The initial value of a learned table; float32, shape (num_tubelets x side x side, width).
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
        q, k, v = rearrange(qkv, "n s (three h d) -> three n h s d", three=3, h=self.num_heads)
        out = functional.scaled_dot_product_attention(q, k, v)
        return self.proj(rearrange(out, "n h s d -> n s (h d)"))


class Block(nn.Module):
    """Pre-norm transformer block, then its adapter if it has one."""

    def __init__(self, size: VideoMAESize, *, drop_path_rate: float, norm_eps: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(size.width, eps=norm_eps)
        self.attn = Attention(size.width, num_heads=size.num_heads)
        self.norm2 = nn.LayerNorm(size.width, eps=norm_eps)
        self.mlp = MLP(size.width, hidden=round(size.width * size.mlp_ratio))
        self.drop_path_rate = drop_path_rate
        self.adapter: Adapter | None = None

    def forward(
        self, x_NSD: Tensor, *, video_of_step_L: Tensor, grid_hw: tuple[int, int]
    ) -> Tensor:
        """Tokens after the block, same shape."""
        rate = self.drop_path_rate
        x_NSD = x_NSD + drop_path(self.attn(self.norm1(x_NSD)), rate=rate, training=self.training)
        x_NSD = x_NSD + drop_path(self.mlp(self.norm2(x_NSD)), rate=rate, training=self.training)
        if self.adapter is None:
            return x_NSD
        tokens = grid_hw[0] * grid_hw[1]
        x_LSD = x_NSD.reshape(-1, tokens, x_NSD.shape[-1])
        x_LSD = self.adapter(x_LSD, video_of_step_L=video_of_step_L, grid_hw=grid_hw)
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


class VideoMAE(Backbone):
    """VideoMAE encoder without its pre-training decoder or classifier.

    Args:
        size: Dimensions of the network.
        clip_frames: Frames of a clip.
        position_image_size: Side in pixels of the images that the position table was made for (224
            for all published weights). At another size the table is interpolated (bicubic, per
            tubelet).
        learned_positions: The table is a parameter, part of the weights, instead of fixed
            sinusoids. Narrow models need it: sinusoids over all positions of a clip in a row tell
            little about row and column in under a hundred channels.
        drop_path_rate: Rate at the last block; it grows linearly from 0.
        final_norm: Apply the layer norm after the last block. The reference detectors do not.
        pooled_norm: Add a layer norm of pooled vectors, `fc_norm`, as in fine-tuned weights.
        norm_eps: Epsilon of the layer norms.
        activation_checkpointing: Keep only each block's input in training and recompute the rest:
            less memory, more time.
    """

    tables = ("pos_embed",)

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
        super().__init__(
            BackboneSpec(
                channels=size.width,
                clip_frames=clip_frames,
                frames_per_step=TUBELET_FRAMES,
                side_multiple=size.patch,
                num_blocks=size.depth,
            )
        )
        self.size = size
        self.activation_checkpointing = activation_checkpointing
        self.patch_embed = PatchEmbed(size.width, patch=size.patch)
        self.position_side = position_image_size // size.patch
        self.pos_embed: Tensor
        if learned_positions:
            table = separable_table(self.spec.steps_per_clip, self.position_side, size.width)
            self.pos_embed = nn.Parameter(table[None])
        else:
            table = sinusoid_table(self.spec.steps_per_clip * self.position_side**2, size.width)
            self.register_buffer("pos_embed", table[None], persistent=False)
        self.blocks = nn.ModuleList(
            Block(size, drop_path_rate=rate, norm_eps=norm_eps)
            for rate in drop_path_rates(drop_path_rate, size.depth)
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

    def positions(self, grid_hw: tuple[int, int]) -> Tensor:
        """Position table for images of ``grid_hw`` patches, shape (1, T x h x w, D)."""
        side = self.position_side
        if grid_hw == (side, side):
            return self.pos_embed
        table = rearrange(self.pos_embed, "1 (t h w) d -> t d h w", h=side, w=side)
        table = functional.interpolate(table, size=grid_hw, mode="bicubic", align_corners=False)
        return rearrange(table, "t d h w -> 1 (t h w) d")

    def embed(self, clips_NCFHW: Tensor) -> Tensor:
        """Patch tokens of normalised clips, before positions: shape (N, D, T, h, w).

        Raises: ValueError if the number of frames or the size of the images does not fit.
        """
        self.require_fitting(clips_NCFHW)
        return self.patch_embed(clips_NCFHW)

    def forward(
        self, images_NCFHW: Tensor, video_of_clip_N: Tensor, *, stop_before: int | None = None
    ) -> ClipTokens:
        """As in `Backbone`."""
        patches_NDThw = self.embed(images_NCFHW)
        grid_hw = (patches_NDThw.shape[3], patches_NDThw.shape[4])
        x_NSD = rearrange(patches_NDThw, "n d t h w -> n (t h w) d")
        x_NSD = x_NSD + self.positions(grid_hw).to(x_NSD.dtype)
        video_of_step_L = video_of_clip_N.repeat_interleave(self.spec.steps_per_clip)
        recompute = self.activation_checkpointing and self.training and torch.is_grad_enabled()
        for block in self.blocks[:stop_before]:
            if recompute:
                x_NSD = checkpoint(
                    block,
                    x_NSD,
                    use_reentrant=False,
                    video_of_step_L=video_of_step_L,
                    grid_hw=grid_hw,
                )
            else:
                x_NSD = block(x_NSD, video_of_step_L=video_of_step_L, grid_hw=grid_hw)
        if self.norm is not None and stop_before is None:
            x_NSD = self.norm(x_NSD)
        return ClipTokens(x_NSD.unflatten(1, (self.spec.steps_per_clip, -1)), grid_hw)

    def pool_steps(self, tokens: ClipTokens) -> Tensor:
        """As in `Backbone`, with the norm of pooled vectors if there is one."""
        pooled = super().pool_steps(tokens)
        return pooled if self.fc_norm is None else self.fc_norm(pooled)

    def pool_clips(self, tokens: ClipTokens) -> Tensor:
        """As in `Backbone`, with the norm of pooled vectors if there is one."""
        pooled = super().pool_clips(tokens)
        return pooled if self.fc_norm is None else self.fc_norm(pooled)

    @property
    def pools_with_norm(self) -> bool:
        """As in `Backbone`."""
        return self.fc_norm is not None

    def adapters(self) -> Sequence[Adapter]:
        """As in `Backbone`."""
        return self._adapters_before(None)

    def _adapters_before(self, block: int | None) -> list[Adapter]:
        adapters = [module.adapter for module in self.blocks[:block]]
        return [one for one in adapters if isinstance(one, Adapter)]

    def context_clips(self, *, stop_before: int | None = None) -> int:
        """As in `Backbone`: temporal adapters add the clips that half a kernel reaches."""
        steps = self.spec.steps_per_clip
        return sum(math.ceil(a.reach_steps / steps) for a in self._adapters_before(stop_before))

    def depth_of(self, name: str) -> int:
        """As in `Backbone`."""
        if match := re.match(r"blocks\.(\d+)\.", name):
            return int(match[1]) + 1
        return len(self.blocks) + 1 if name.startswith(("norm.", "fc_norm.")) else 0

    def fit_weights(self, tensors: dict[str, Tensor], *, source: str) -> Mapping[str, str]:
        """As in `Backbone`: a position table of another image size is resized, bicubic."""
        table = tensors.get(_POSITIONS)
        if table is None:
            return {}
        if not isinstance(self.pos_embed, nn.Parameter):
            fixed = sinusoid_table(table.shape[1], table.shape[2])[None]
            if not torch.allclose(table, fixed, atol=1e-4):
                raise CheckpointError(
                    f"{source}: has a position table of its own; set "
                    "backbone.learned_positions=true"
                )
            return {}
        own, steps, target = self.pos_embed, self.spec.steps_per_clip, self.position_side
        side = math.isqrt(table.shape[1] // steps)
        if table.shape == own.shape or table.shape[1] != steps * side**2:
            return {}
        grid = rearrange(table, "1 (t h w) d -> t d h w", t=steps, h=side)
        grid = functional.interpolate(grid, size=(target, target), mode="bicubic")
        tensors[_POSITIONS] = rearrange(grid, "t d h w -> 1 (t h w) d")
        return {_POSITIONS: f"from {side} x {side} to {target} x {target} patches, bicubic"}

    def advice(self, missing: Collection[str], tensors: Collection[str]) -> str | None:
        """As in `Backbone`."""
        if "norm.weight" in missing and "fc_norm.weight" in tensors:
            return (
                "fine-tuned weights, whose last norm (fc_norm) is of pooled vectors; set "
                "backbone.final_norm=pooled (or auto, or false to go without)"
            )
        return None
