"""The plain video transformer of VideoMAE, VideoMAE v2 and UMT.

Shapes: N clips of F frames, H W height and width in pixels; a clip becomes T tubelets of S = h x w
tokens of width D; L = N x T tubelets of all clips, videos concatenated; P packed tokens, if only
some are computed.

Sources: VideoMAE (arXiv 2203.12602), VideoMAE v2 (2303.16727), UMT (2303.16058) and their released
code for layer names, initial values, the epsilon of the layer norm, cosine attention and UMT's
position table; the position of the adapter, after both residuals of a block, is AdaTAD's.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from mmad.config.tokens import TokenSettings
from mmad.errors import CheckpointError
from mmad.models.backbones.blocks import Block, BlockBackbone
from mmad.models.backbones.contract import BackboneSpec, ClipTokens
from mmad.models.backbones.kept_tokens import KeptTokens
from mmad.models.backbones.moving import TokenRule
from mmad.models.layers.positions import resized_grids, resized_steps
from mmad.models.layers.transformer import MLP, drop_path_rates, sinusoid_table

_POSITIONS = "pos_embed"
# Cosine attention: the logarithm of its factor at the start, and at most.
_FIRST_SCALE, _LARGEST_SCALE = math.log(10), 4.6052


@dataclass(frozen=True)
class ViTSize:
    """Dimensions: width, blocks, heads, side of a patch in pixels, ratio of the MLP's width."""

    width: int
    depth: int
    num_heads: int
    patch: int = 16
    mlp_ratio: float = 4.0

    @property
    def hidden(self) -> int:
        """Width of the hidden layer of an MLP."""
        return int(self.width * self.mlp_ratio)


def separable_table(num_tubelets: int, side: int, width: int) -> Tensor:
    """Random sum of a vector for the tubelet, one for the row and one for the column.

    The initial value of a learned table; float32, shape (num_tubelets x side x side, width).
    """
    shapes = ((num_tubelets, 1, 1), (1, side, 1), (1, 1, side))
    parts = [0.3 * torch.randn(*shape, width) for shape in shapes]
    return (parts[0] + parts[1] + parts[2]).reshape(-1, width)


def tubelet_frames(tensors: Mapping[str, Tensor]) -> int | None:
    """Frames of a tubelet in weights with names of VideoMAE's own code; None if they lack it."""
    for prefix in ("", "encoder."):
        kernel = tensors.get(f"{prefix}patch_embed.proj.weight")
        if kernel is not None and kernel.ndim == 5:
            return kernel.shape[2]
    return None


def is_plain_vit(tensors: Mapping[str, Tensor]) -> bool:
    """Whether weights with such blocks can be of this network: others have class tokens, biases of
    keys, or norms of queries.
    """
    foreign = ("cls_token", "class_token", "blocks.0.attn.qkv.bias", "blocks.0.attn.q_norm.weight")
    return not any(f"{prefix}{name}" in tensors for name in foreign for prefix in ("", "encoder."))


class Attention(nn.Module):
    """Self-attention among the tokens of one clip; the key has no bias, as in VideoMAE.

    Args:
        width: D.
        num_heads: Heads.
        qkv_bias: Whether queries and values have a bias.
        cosine: Compare queries and keys by their cosine times a learned factor of each head.
    """

    def __init__(self, width: int, *, num_heads: int, qkv_bias: bool, cosine: bool) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(width)) if qkv_bias else None
        self.v_bias = nn.Parameter(torch.zeros(width)) if qkv_bias else None
        first = torch.full((num_heads, 1, 1), _FIRST_SCALE)
        self.scale = nn.Parameter(first) if cosine else None
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, kept: KeptTokens | None = None) -> Tensor:
        """Attended tokens, same shape.

        Args:
            x: Tokens (N, S, D), or packed ones (P, D).
            kept: How tokens are packed; None: they are not.
        """
        bias = None
        if self.q_bias is not None and self.v_bias is not None:
            bias = torch.cat((self.q_bias, torch.zeros_like(self.q_bias), self.v_bias))
        qkv = functional.linear(x, self.qkv.weight, bias)
        if kept is None:
            return self.proj(self._attended(qkv))
        parts = [self._attended(part).flatten(0, 1) for part in kept.split(qkv)]
        return self.proj(torch.cat(parts))

    def _attended(self, qkv_NSD: Tensor) -> Tensor:
        q, k, v = rearrange(qkv_NSD, "n s (three h d) -> three n h s d", three=3, h=self.num_heads)
        factor = None
        if self.scale is not None:
            q, k = functional.normalize(q, dim=-1), functional.normalize(k, dim=-1)
            q, factor = q * self.scale.clamp(max=_LARGEST_SCALE).exp().to(q.dtype), 1.0
        out = functional.scaled_dot_product_attention(q, k, v, scale=factor)
        return rearrange(out, "n h s d -> n s (h d)")


class PatchEmbed(nn.Module):
    """Cuts a clip into tubelets of a few frames x patch x patch pixels; each becomes a token."""

    def __init__(self, width: int, *, patch: int, tubelet_frames: int) -> None:
        super().__init__()
        kernel = (tubelet_frames, patch, patch)
        self.proj = nn.Conv3d(3, width, kernel_size=kernel, stride=kernel)

    def forward(self, clips_NCFHW: Tensor) -> Tensor:
        """Tokens of shape (N, D, T, h, w)."""
        return self.proj(clips_NCFHW)

    def of_kept(self, clips_NCFHW: Tensor, kept: KeptTokens) -> Tensor:
        """The packed tokens alone, (P, D)."""
        frames, patch, _ = self.proj.kernel_size
        # Sizes are fixed in a traced network, where they would be tensors.
        clips, colours, num_frames, height, width = (int(size) for size in clips_NCFHW.shape)
        across = width // patch
        grid = (clips, num_frames // frames, height // patch, across)
        clip_P, step_P, down_P, right_P = torch.unravel_index(kept.places_P, grid)
        # Pieces of rows as wide as a patch are copied whole.
        first_P = (clip_P * colours * num_frames + step_P * frames) * height + down_P * patch
        c, f, p = torch.meshgrid(
            *(torch.arange(size, device=first_P.device) for size in (colours, frames, patch)),
            indexing="ij",
        )
        rows_R = ((c * num_frames + f) * height + p).flatten()
        pieces_PR = (first_P[:, None] + rows_R) * across + right_P[:, None]
        pieces = functional.embedding(pieces_PR, clips_NCFHW.reshape(-1, patch))
        return functional.linear(pieces.flatten(1), self.proj.weight.flatten(1), self.proj.bias)


class PlainViT(BlockBackbone):
    """Encoder of VideoMAE or UMT without a pre-training decoder or classifier.

    Args:
        size: Dimensions of the network.
        clip_frames: Frames of a clip.
        tubelet_frames: Frames of a tubelet.
        position_image_size: Side in pixels of the images that the position table was made for (224
            for all published weights). At another size the table is interpolated (bicubic, per
            tubelet).
        position_steps: Tubelets that the table was made for, 8 in UMT; for clips of more or fewer
            it is interpolated (linear). None: as many as a clip has.
        learned_positions: The table is a parameter, part of the weights, instead of fixed
            sinusoids. Narrow models need it: sinusoids over all positions of a clip in a row tell
            little about row and column in under a hundred channels.
        qkv_bias: Whether queries and values have a bias.
        cosine_attention: As `Attention`.
        layer_scale: As `Block`.
        drop_path_rate: Rate at the last block; it grows linearly from 0.
        final_norm: Apply the layer norm after the last block. The reference detectors do not.
        pooled_norm: Add a layer norm of pooled vectors, `fc_norm`, as in fine-tuned weights.
        norm_eps: Epsilon of the layer norms.
        activation_checkpointing: As `BlockBackbone`.

    Attributes:
        rule: Which tokens are computed; None: all.
    """

    tables = ("pos_embed",)

    def __init__(
        self,
        size: ViTSize,
        *,
        clip_frames: int = 16,
        tubelet_frames: int = 2,
        position_image_size: int = 224,
        position_steps: int | None = None,
        learned_positions: bool = False,
        qkv_bias: bool = True,
        cosine_attention: bool = False,
        layer_scale: float | None = None,
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
                frames_per_step=tubelet_frames,
                side_multiple=size.patch,
                num_blocks=size.depth,
            ),
            activation_checkpointing=activation_checkpointing,
        )
        self.size = size
        self.rule: TokenRule | None = None
        self.patch_embed = PatchEmbed(size.width, patch=size.patch, tubelet_frames=tubelet_frames)
        self.position_side = position_image_size // size.patch
        self.position_steps = position_steps or self.spec.steps_per_clip
        self.pos_embed: Tensor
        if learned_positions:
            table = separable_table(self.position_steps, self.position_side, size.width)
            self.pos_embed = nn.Parameter(table[None])
        else:
            table = sinusoid_table(self.position_steps * self.position_side**2, size.width)
            self.register_buffer("pos_embed", table[None], persistent=False)

        def make_norm() -> nn.LayerNorm:
            return nn.LayerNorm(size.width, eps=norm_eps)

        self.blocks = nn.ModuleList(
            Block(
                Attention(
                    size.width, num_heads=size.num_heads, qkv_bias=qkv_bias, cosine=cosine_attention
                ),
                MLP(size.width, hidden=size.hidden),
                make_norm=make_norm,
                drop_path_rate=rate,
                layer_scale=layer_scale,
                width=size.width,
            )
            for rate in drop_path_rates(drop_path_rate, size.depth)
        )
        self.norm = make_norm() if final_norm else None
        self.fc_norm = make_norm() if pooled_norm else None
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
        table = resized_grids(self.pos_embed, side=self.position_side, grid_hw=grid_hw)
        return resized_steps(table, steps=self.position_steps, target=self.spec.steps_per_clip)

    def embed(self, clips_NCFHW: Tensor) -> Tensor:
        """Patch tokens of normalised clips, before positions: shape (N, D, T, h, w).

        Raises: ValueError if the number of frames or the size of the images does not fit.
        """
        self.require_fitting(clips_NCFHW)
        return self.patch_embed(clips_NCFHW)

    def use_tokens(self, settings: TokenSettings) -> None:
        """As in `Backbone`."""
        self.rule = TokenRule.of(
            settings, patch=self.size.patch, frames_per_step=self.spec.frames_per_step
        )

    def choose(self, clips_NFHWC: Tensor) -> Tensor | None:
        """As in `Backbone`."""
        return None if self.rule is None else self.rule(clips_NFHWC)

    def encode(
        self,
        images_NCFHW: Tensor,
        video_of_clip_N: Tensor,
        kept: KeptTokens,
        *,
        stop_before: int | None = None,
    ) -> Tensor:
        """The packed tokens after the last block and the norm, (P, D); the others are not computed.

        Args:
            images_NCFHW, video_of_clip_N, stop_before: As in `forward`.
            kept: The tokens that are computed, each at its own position. Adapters see the grid that
                they fill.

        Raises: ValueError as `forward`.
        """
        self.require_fitting(images_NCFHW)
        grid_hw = self.spec.grid_hw((images_NCFHW.shape[3], images_NCFHW.shape[4]))
        x_PD = self.patch_embed.of_kept(images_NCFHW, kept)
        x_PD = x_PD + self.positions(grid_hw)[0, kept.place_in_clip_P].to(x_PD.dtype)
        x_PD = self.run_blocks(
            x_PD,
            video_of_clip_N=video_of_clip_N,
            grid_hw=grid_hw,
            stop_before=stop_before,
            kept=kept,
        )
        return x_PD if self.norm is None or stop_before is not None else self.norm(x_PD)

    def forward(
        self,
        images_NCFHW: Tensor,
        video_of_clip_N: Tensor,
        *,
        stop_before: int | None = None,
        kept: KeptTokens | None = None,
    ) -> ClipTokens:
        """As in `Backbone`."""
        if kept is not None:
            x_PD = self.encode(images_NCFHW, video_of_clip_N, kept, stop_before=stop_before)
            tokens_NTSC = kept.fill(x_PD).unflatten(0, (-1, self.spec.steps_per_clip))
            grid_hw = self.spec.grid_hw((images_NCFHW.shape[3], images_NCFHW.shape[4]))
            return ClipTokens(tokens_NTSC, grid_hw)
        patches_NDThw = self.embed(images_NCFHW)
        grid_hw = (patches_NDThw.shape[3], patches_NDThw.shape[4])
        x_NSD = rearrange(patches_NDThw, "n d t h w -> n (t h w) d")
        x_NSD = x_NSD + self.positions(grid_hw).to(x_NSD.dtype)
        x_NSD = self.run_blocks(
            x_NSD, video_of_clip_N=video_of_clip_N, grid_hw=grid_hw, stop_before=stop_before
        )
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

    def fit_weights(self, tensors: dict[str, Tensor], *, source: str) -> Mapping[str, str]:
        """As in `Backbone`: a position table of another image size is resized, bicubic."""
        table = tensors.get(_POSITIONS)
        if table is None or table.ndim != 3:
            return {}
        if not isinstance(self.pos_embed, nn.Parameter):
            if not self._is_fixed(table):
                raise CheckpointError(
                    f"{source}: has a position table of its own; set "
                    "backbone.learned_positions=true"
                )
            return {}
        own, steps, target = self.pos_embed, self.position_steps, self.position_side
        side = math.isqrt(table.shape[1] // steps)
        if table.shape == own.shape or table.shape[1] != steps * side**2:
            return {}
        tensors[_POSITIONS] = resized_grids(table, side=side, grid_hw=(target, target))
        return {_POSITIONS: f"from {side} x {side} to {target} x {target} patches, bicubic"}

    def _is_fixed(self, table_1SD: Tensor) -> bool:
        """Whether a table is that of sinusoids, or ours made for other images and clips (UMT)."""
        table_1SD = table_1SD.float()
        _, rows, width = table_1SD.shape
        fixed = [sinusoid_table(rows, width)[None]]
        if width == self.pos_embed.shape[2]:
            for steps in range(1, rows + 1):
                side = math.isqrt(rows // steps)
                if rows == steps * side**2:
                    ours = self.pos_embed
                    ours = resized_grids(ours, side=self.position_side, grid_hw=(side, side))
                    fixed.append(resized_steps(ours, steps=self.position_steps, target=steps))
        return any(torch.allclose(table_1SD, one, atol=1e-4) for one in fixed)

    def advice(self, missing: Collection[str], tensors: Collection[str]) -> str | None:
        """As in `Backbone`."""
        if "norm.weight" in missing and "fc_norm.weight" in tensors:
            return (
                "fine-tuned weights, whose last norm (fc_norm) is of pooled vectors; set "
                "backbone.final_norm=pooled (or auto, or false to go without)"
            )
        return None
