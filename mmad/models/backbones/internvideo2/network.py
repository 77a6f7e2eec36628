"""InternVideo2: a transformer over all tokens of a clip, pooled by attention.

Shapes: N clips; T steps of S = h x w tokens of width D; B = 1 + T x S tokens with the class token;
C channels of the pooled vector.

Sources: InternVideo2 (arXiv 2403.15377) and its released code (commit 3965eef1) for the norms, the
position tables, the pooling and initial values; the position of the adapter is AdaTAD's.
"""

import math
from collections.abc import Collection, Mapping
from typing import Literal

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from mmad.models.backbones.blocks import Block, BlockBackbone
from mmad.models.backbones.contract import BackboneSpec, ClipTokens
from mmad.models.backbones.internvideo2.tables import PositionTables
from mmad.models.layers.transformer import MLP, drop_path_rates

RMS_EPS, LAYER_EPS = 1e-6, 1e-5


class Attention(nn.Module):
    """Self-attention among the tokens of a clip.

    Args:
        width: D.
        num_heads: Heads.
        qkv_bias: Whether queries, keys and values have a bias.
        qk_norm: Norm queries and keys over the whole width, before it is split into heads.
    """

    def __init__(self, width: int, *, num_heads: int, qkv_bias: bool, qk_norm: bool) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width, bias=qkv_bias)
        self.q_norm = nn.RMSNorm(width, eps=RMS_EPS) if qk_norm else nn.Identity()
        self.k_norm = nn.RMSNorm(width, eps=RMS_EPS) if qk_norm else nn.Identity()
        self.proj = nn.Linear(width, width)

    def forward(self, x_NBD: Tensor) -> Tensor:
        """Attended tokens, same shape."""
        q_NBD, k_NBD, v_NBD = self.qkv(x_NBD).chunk(3, dim=-1)
        q, k, v = (
            rearrange(part, "n b (h d) -> n h b d", h=self.num_heads)
            for part in (self.q_norm(q_NBD), self.k_norm(k_NBD), v_NBD)
        )
        out = functional.scaled_dot_product_attention(q, k, v)
        return self.proj(rearrange(out, "n h b d -> n b (h d)"))


class AttentionPool(nn.Module):
    """The vector of a clip: attention of the mean of its tokens to each of them.

    Args:
        width: D.
        num_heads: Heads.
        channels: C.
        mlp: Add an MLP of the vector to it, as for probing a frozen network.
        norm: Norm the vector, as in fine-tuned weights.
    """

    def __init__(self, width: int, *, num_heads: int, channels: int, mlp: bool, norm: bool) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query_norm = nn.LayerNorm(width, eps=LAYER_EPS)
        self.key_norm = nn.LayerNorm(width, eps=LAYER_EPS)
        self.value_norm = nn.LayerNorm(width, eps=LAYER_EPS)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.proj = nn.Linear(width, channels)
        self.mlp_norm = nn.LayerNorm(channels, eps=LAYER_EPS) if mlp else None
        self.mlp = MLP(channels, hidden=4 * channels) if mlp else None
        self.norm = nn.LayerNorm(channels, eps=LAYER_EPS) if norm else nn.Identity()

    def forward(self, x_NBD: Tensor) -> Tensor:
        """A vector for each clip, (N, C)."""
        mean_N1D = x_NBD.mean(dim=1, keepdim=True)
        q, k, v = (
            rearrange(part, "n b (h d) -> n h b d", h=self.num_heads)
            for part in (
                self.query(self.query_norm(mean_N1D)),
                self.key(self.key_norm(x_NBD)),
                self.value(self.value_norm(x_NBD)),
            )
        )
        out = functional.scaled_dot_product_attention(q, k, v)
        pooled_NC = self.proj(rearrange(out, "n h 1 d -> n (h d)"))
        if self.mlp is not None and self.mlp_norm is not None:
            pooled_NC = pooled_NC + self.mlp(self.mlp_norm(pooled_NC))
        return self.norm(pooled_NC)


class InternVideo2(BlockBackbone):
    """The video encoder of InternVideo2 without its classifier.

    Args:
        width: D.
        depth: Blocks.
        num_heads: Attention heads of a block.
        patch: Side of a patch in pixels.
        hidden: Width of the hidden layer of an MLP.
        approximate_gelu: Compute GELUs of blocks by their approximation, as fused kernels do.
        qkv_bias, qk_norm: As `Attention`.
        layer_scale: As `Block`.
        clip_frames: Frames of a clip.
        tubelet_frames: Frames of a step.
        position_image_size: Side in pixels of the images that the position tables were made for.
        separate_positions: Tables of times and of places instead of one of both.
        pooling: How the vector of a clip is made: "mean" of its tokens, "attention", or
            "attention_mlp" with an MLP.
        pooled_channels, pool_heads: Of the pooling by attention.
        pooled_norm: As `AttentionPool`.
        drop_path_rate: Rate at the last block; it grows linearly from 0.
        activation_checkpointing: As `BlockBackbone`.
    """

    tables = ("class_token", "positions.")
    after_blocks = ("pool.",)

    def __init__(
        self,
        *,
        width: int,
        depth: int,
        num_heads: int,
        patch: int,
        hidden: int,
        approximate_gelu: bool,
        qkv_bias: bool,
        qk_norm: bool,
        layer_scale: float | None,
        clip_frames: int,
        tubelet_frames: int,
        position_image_size: int,
        separate_positions: bool,
        pooling: Literal["mean", "attention", "attention_mlp"],
        pooled_channels: int,
        pool_heads: int,
        pooled_norm: bool,
        drop_path_rate: float,
        activation_checkpointing: bool,
    ) -> None:
        super().__init__(
            BackboneSpec(
                channels=width,
                clip_frames=clip_frames,
                frames_per_step=tubelet_frames,
                side_multiple=patch,
                num_blocks=depth,
                pooled_channels=None if pooling == "mean" else pooled_channels,
            ),
            activation_checkpointing=activation_checkpointing,
        )
        kernel = (tubelet_frames, patch, patch)
        self.patches = nn.Conv3d(3, width, kernel, stride=kernel)
        self.class_token = nn.Parameter(torch.empty(1, 1, width))
        self.positions = PositionTables(
            width,
            steps=self.spec.steps_per_clip,
            side=position_image_size // patch,
            separate=separate_positions,
        )
        self.blocks = nn.ModuleList(
            Block(
                Attention(width, num_heads=num_heads, qkv_bias=qkv_bias, qk_norm=qk_norm),
                MLP(width, hidden=hidden, approximate=approximate_gelu),
                make_norm=lambda: nn.RMSNorm(width, eps=RMS_EPS),
                drop_path_rate=rate,
                layer_scale=layer_scale,
                width=width,
            )
            for rate in drop_path_rates(drop_path_rate, depth)
        )
        self.pool = None
        if pooling != "mean":
            self.pool = AttentionPool(
                width,
                num_heads=pool_heads,
                channels=pooled_channels,
                mlp=pooling == "attention_mlp",
                norm=pooled_norm,
            )
        self._start()

    def _start(self) -> None:
        """Initial values: small weights, smaller ones at the end of deep blocks."""
        nn.init.trunc_normal_(self.class_token, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        with torch.no_grad():
            for number, block in enumerate(self.blocks, start=1):
                for branch in ("attn.proj", "mlp.fc2"):
                    block.get_parameter(f"{branch}.weight").div_(math.sqrt(2 * number))
        if self.pool is not None and self.pool.mlp is not None:
            nn.init.zeros_(self.pool.mlp.fc2.weight)

    def forward(
        self, images_NCFHW: Tensor, video_of_clip_N: Tensor, *, stop_before: int | None = None
    ) -> ClipTokens:
        """As in `Backbone`; the vector of a clip is None if tokens before a block are asked for."""
        self.require_fitting(images_NCFHW)
        patches_NDThw = self.patches(images_NCFHW)
        grid_hw = (patches_NDThw.shape[3], patches_NDThw.shape[4])
        x_NSD = rearrange(patches_NDThw, "n d t h w -> n (t h w) d")
        class_N1D = self.class_token.expand(x_NSD.shape[0], -1, -1).to(x_NSD.dtype)
        x_NBD = torch.cat((class_N1D, x_NSD), dim=1)
        x_NBD = x_NBD + self.positions(grid_hw).to(x_NBD.dtype)
        x_NBD = self.run_blocks(
            x_NBD, video_of_clip_N=video_of_clip_N, grid_hw=grid_hw, stop_before=stop_before
        )
        tokens_NTSD = x_NBD[:, 1:].unflatten(1, (self.spec.steps_per_clip, -1))
        clip_NC = None
        if self.pool is not None and stop_before is None:
            clip_NC = self.pool(x_NBD)
        return ClipTokens(tokens_NTSD, grid_hw, clip_NC)

    def fit_weights(self, tensors: dict[str, Tensor], *, source: str) -> Mapping[str, str]:
        """As in `Backbone`: position tables of other images or clips are resized."""
        return self.positions.fit(tensors, prefix="positions.")

    def advice(self, missing: Collection[str], tensors: Collection[str]) -> str | None:
        """As in `Backbone`."""
        if "pool.norm.weight" in missing and "pool.proj.weight" in tensors:
            return (
                "has no norm of pooled vectors (fc_norm), which only fine-tuned weights have; set "
                "backbone.pooled_norm=false"
            )
        if "pool.mlp_norm.weight" in missing and "pool.proj.weight" in tensors:
            return (
                "has no MLP behind its attention pooling (extra_mlp); set "
                "backbone.pooling=attention, or mean"
            )
        return None
