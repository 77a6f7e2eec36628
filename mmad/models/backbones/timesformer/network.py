"""TimeSformer, an image transformer whose blocks also attend over the frames of a clip.

Shapes: N clips, F frames of a clip, P = h x w patches of a frame, D channels; a clip has L = 1 + P
x F tokens: its class token, then patch by patch the frames of each.

Sources: arXiv 2102.05095, its released code and mmaction2's.
"""

import re
from collections.abc import Mapping
from typing import Literal

import torch
from einops import rearrange, repeat
from torch import Tensor, nn
from torch.nn import functional

from mmad.models.backbones.adaptable import AdaptableBackbone, AdaptableBlock
from mmad.models.backbones.contract import BackboneSpec, ClipTokens
from mmad.models.backbones.timesformer.images import complete_image_weights
from mmad.models.layers.transformer import MLP, SelfAttention, drop_path, drop_path_rates

AttentionKind = Literal["divided", "joint", "space"]
NORM_EPS = 1e-6


class Attention(nn.Module):
    """Pre-norm attention among all tokens of an item, and the residual sum."""

    def __init__(self, width: int, *, num_heads: int, drop_path_rate: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.attn = SelfAttention(width, num_heads=num_heads)
        self.drop_path_rate = drop_path_rate

    def residual(self, x_NLD: Tensor) -> Tensor:
        """What is added to the tokens, same shape."""
        attended = self.attn(self.norm(x_NLD))
        return drop_path(attended, rate=self.drop_path_rate, training=self.training)

    def forward(self, x_NLD: Tensor, *, num_frames: int) -> Tensor:
        """The tokens after it, same shape."""
        return x_NLD + self.residual(x_NLD)


class TemporalAttention(Attention):
    """Attention of each patch over the frames, behind a linear layer; the class token is left out.

    At first the linear layer is zero, and so is what attention adds.
    """

    def __init__(self, width: int, *, num_heads: int, drop_path_rate: float) -> None:
        super().__init__(width, num_heads=num_heads, drop_path_rate=drop_path_rate)
        self.fc = nn.Linear(width, width)

    def forward(self, x_NLD: Tensor, *, num_frames: int) -> Tensor:
        """The tokens after it, same shape."""
        class_N1D, patches = x_NLD[:, :1], x_NLD[:, 1:]
        over_frames = rearrange(patches, "n (p f) d -> (n p) f d", f=num_frames)
        added = rearrange(
            self.fc(self.residual(over_frames)), "(n p) f d -> n (p f) d", n=x_NLD.shape[0]
        )
        return torch.cat((class_N1D, patches + added), dim=1)


class SpatialAttention(Attention):
    """Attention within each frame and a copy of the class token, whose results are averaged."""

    def forward(self, x_NLD: Tensor, *, num_frames: int) -> Tensor:
        """The tokens after it, same shape."""
        class_tokens = repeat(x_NLD[:, :1], "n 1 d -> (n f) 1 d", f=num_frames)
        patches = rearrange(x_NLD[:, 1:], "n (p f) d -> (n f) p d", f=num_frames)
        added = self.residual(torch.cat((class_tokens, patches), dim=1))
        added = rearrange(added, "(n f) p d -> n p f d", f=num_frames)
        to_class = added[:, 0].mean(dim=1, keepdim=True)
        to_patches = rearrange(added[:, 1:], "n p f d -> n (p f) d")
        return x_NLD + torch.cat((to_class, to_patches), dim=1)


class Block(AdaptableBlock):
    """Transformer block: attention over time if it is divided, other attention, MLP, adapter."""

    def __init__(
        self,
        width: int,
        *,
        attention: AttentionKind,
        num_heads: int,
        mlp_ratio: float,
        drop_path_rate: float,
    ) -> None:
        super().__init__(width)
        self.temporal: TemporalAttention | None = None
        other = Attention
        if attention == "divided":
            other = SpatialAttention
            self.temporal = TemporalAttention(
                width, num_heads=num_heads, drop_path_rate=drop_path_rate
            )
        self.attention = other(width, num_heads=num_heads, drop_path_rate=drop_path_rate)
        self.mlp_norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.mlp = MLP(width, hidden=int(width * mlp_ratio))
        self.drop_path_rate = drop_path_rate

    def forward(
        self,
        x_NLD: Tensor,
        *,
        num_frames: int,
        video_of_step_L: Tensor,
        grid_hw: tuple[int, int],
    ) -> Tensor:
        """The tokens after the block, same shape.

        Args:
            x_NLD: Tokens.
            num_frames: F.
            video_of_step_L, grid_hw: For the adapter.
        """
        if self.temporal is not None:
            x_NLD = self.temporal(x_NLD, num_frames=num_frames)
        x_NLD = self.attention(x_NLD, num_frames=num_frames)
        mixed = self.mlp(self.mlp_norm(x_NLD))
        x_NLD = x_NLD + drop_path(mixed, rate=self.drop_path_rate, training=self.training)
        if self.adapter is None:
            return x_NLD
        # Clips or, if these stay apart, frames; their class token goes past the adapter.
        items, class_N1D = x_NLD.shape[0], x_NLD[:, :1]
        steps = video_of_step_L.shape[0] // items
        x_SPD = rearrange(x_NLD[:, 1:], "n (p s) d -> (n s) p d", s=steps)
        x_SPD = self.adapter(x_SPD, video_of_step_L=video_of_step_L, grid_hw=grid_hw)
        return torch.cat((class_N1D, rearrange(x_SPD, "(n s) p d -> n (p s) d", n=items)), dim=1)


class TimeSformer(AdaptableBackbone):
    """TimeSformer without its classifier.

    Args:
        attention: "divided" over time, then space; "joint" over all tokens; "space" within a frame
            only, whose results are averaged.
        width: D.
        depth: Blocks.
        num_heads: Heads.
        patch: Side of a patch in pixels.
        mlp_ratio: Hidden width of the MLPs / width.
        clip_frames: Frames of a clip.
        position_image_size: Side in pixels of the images that the position table is for. At another
            size the table is interpolated (bicubic).
        drop_path_rate: Rate at the last block; it grows linearly from 0.
    """

    tables = ("class_token", "position_table", "time_table")

    def __init__(
        self,
        *,
        attention: AttentionKind,
        width: int,
        depth: int,
        num_heads: int,
        patch: int,
        mlp_ratio: float,
        clip_frames: int,
        position_image_size: int,
        drop_path_rate: float,
    ) -> None:
        super().__init__(
            BackboneSpec(
                channels=width,
                clip_frames=clip_frames,
                frames_per_step=1,
                side_multiple=patch,
                num_blocks=depth,
            )
        )
        self.attention = attention
        self.position_side = position_image_size // patch
        self.patches = nn.Conv2d(3, width, kernel_size=patch, stride=patch)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.position_table = nn.Parameter(torch.zeros(1, 1 + self.position_side**2, width))
        self.time_table: nn.Parameter | None = None
        if attention != "space":
            self.time_table = nn.Parameter(torch.zeros(1, clip_frames, width))
        self.blocks = nn.ModuleList(
            Block(
                width,
                attention=attention,
                num_heads=num_heads,
                mlp_ratio=mlp_ratio,
                drop_path_rate=rate,
            )
            for rate in drop_path_rates(drop_path_rate, depth)
        )
        self.norm = nn.LayerNorm(width, eps=NORM_EPS)
        self._initialise()

    def _initialise(self) -> None:
        for table in (self.class_token, self.position_table):
            nn.init.trunc_normal_(table, std=0.02)
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
                if name.endswith(".temporal.fc"):
                    nn.init.zeros_(module.weight)

    def positions(self, grid_hw: tuple[int, int]) -> Tensor:
        """Position table for a class token and images of ``grid_hw`` patches, (1, 1 + P, D)."""
        side = self.position_side
        # As in `resized_grids`.
        grid_hw = (int(grid_hw[0]), int(grid_hw[1]))
        if grid_hw == (side, side):
            return self.position_table
        table = rearrange(self.position_table[:, 1:], "1 (h w) d -> 1 d h w", h=side)
        table = functional.interpolate(table, size=grid_hw, mode="bicubic", align_corners=False)
        patches = rearrange(table, "1 d h w -> 1 (h w) d")
        return torch.cat((self.position_table[:, :1], patches), dim=1)

    def forward(
        self, images_NCFHW: Tensor, video_of_clip_N: Tensor, *, stop_before: int | None = None
    ) -> ClipTokens:
        """As in `Backbone`; the vector of a clip is its class token."""
        self.require_fitting(images_NCFHW)
        frames, height, width = images_NCFHW.shape[2:]
        grid_hw = self.spec.grid_hw((height, width))
        video_of_step_L = video_of_clip_N.repeat_interleave(frames)
        x = self.embed(images_NCFHW)
        for block in self.blocks[:stop_before]:
            x = block(x, num_frames=frames, video_of_step_L=video_of_step_L, grid_hw=grid_hw)
        norm = self.norm if stop_before is None else nn.Identity()
        if self.attention == "space":
            # The mean over frames comes before the norm.
            class_ND = norm(x[:, 0].unflatten(0, (-1, frames)).mean(dim=1))
            tokens_NTSC = norm(x[:, 1:]).unflatten(0, (-1, frames))
        else:
            x = norm(x)
            class_ND = x[:, 0]
            tokens_NTSC = rearrange(x[:, 1:], "n (p f) d -> n f p d", f=frames)
        return ClipTokens(tokens_NTSC, grid_hw, class_ND)

    def embed(self, images_NCFHW: Tensor) -> Tensor:
        """Tokens of clips, (N, L, D); those of frames, (N F, 1 + P, D), if these stay apart."""
        frames = images_NCFHW.shape[2]
        map_ = self.patches(rearrange(images_NCFHW, "n c f h w -> (n f) c h w"))
        patches = rearrange(map_, "nf d h w -> nf (h w) d")
        class_tokens = self.class_token.expand(len(patches), -1, -1).to(patches.dtype)
        x = torch.cat((class_tokens, patches), dim=1)
        x = x + self.positions((map_.shape[2], map_.shape[3])).to(x.dtype)
        if self.time_table is None:
            return x
        class_N1D = x[::frames, :1]  # all frames of a clip have the same
        patches = rearrange(x[:, 1:], "(n f) p d -> n p f d", f=frames)
        patches = patches + self.time_table.to(x.dtype)
        return torch.cat((class_N1D, patches.flatten(1, 2)), dim=1)

    def depth_of(self, name: str) -> int:
        """As in `Backbone`."""
        if match := re.match(r"blocks\.(\d+)\.", name):
            return int(match[1]) + 1
        return len(self.blocks) + 1 if name.startswith("norm.") else 0

    def fit_weights(self, tensors: dict[str, Tensor], *, source: str) -> Mapping[str, str]:
        """As in `Backbone`: what an image transformer lacks is added, tables are resized."""
        return complete_image_weights(
            tensors, self.state_dict(), divided=self.attention == "divided"
        )
