"""Blocks of plain video transformers, with room for an adapter after each.

Shapes: N clips, T steps of a clip, S tokens of a clip (those of its steps, after any class token),
h x w tokens of a step, D width, L = N x T steps of all clips, videos concatenated, P packed tokens.
"""

import re
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmad.models.backbones.adaptable import AdaptableBackbone, AdaptableBlock
from mmad.models.backbones.contract import BackboneSpec
from mmad.models.backbones.kept_tokens import KeptTokens
from mmad.models.layers.transformer import drop_path


class Block(AdaptableBlock):
    """Pre-norm transformer block, then its adapter if it has one.

    Args:
        attention: Attention among the tokens of a clip.
        mlp: The layers for each token.
        make_norm: Makes a norm of tokens.
        drop_path_rate: Rate at which a clip skips a residual branch in training.
        layer_scale: Initial value of a factor for each channel of both branches; None: none.
        width: D.
    """

    def __init__(
        self,
        attention: nn.Module,
        mlp: nn.Module,
        *,
        make_norm: Callable[[], nn.Module],
        drop_path_rate: float,
        layer_scale: float | None,
        width: int,
    ) -> None:
        super().__init__(width)
        self.norm1 = make_norm()
        self.attn = attention
        self.norm2 = make_norm()
        self.mlp = mlp
        self.gamma_1: nn.Parameter | None = None
        self.gamma_2: nn.Parameter | None = None
        if layer_scale is not None:
            self.gamma_1 = nn.Parameter(torch.full((width,), layer_scale))
            self.gamma_2 = nn.Parameter(torch.full((width,), layer_scale))
        self.drop_path_rate = drop_path_rate

    def forward(
        self,
        x_NSD: Tensor,
        *further: Tensor,
        video_of_step_L: Tensor,
        grid_hw: tuple[int, int],
        kept: KeptTokens | None = None,
    ) -> Tensor:
        """Tokens after the block, same shape.

        Args:
            x_NSD: Tokens, or packed ones (P, D).
            further: Further arguments of the attention.
            video_of_step_L, grid_hw: For the adapter.
            kept: How tokens are packed; None: they are not.
        """
        if kept is not None:
            x_PD = x_NSD
            branch = self.attn(self.norm1(x_PD), kept)
            x_PD = x_PD + self._dropped(branch, self.gamma_1, kept)
            x_PD = x_PD + self._dropped(self.mlp(self.norm2(x_PD)), self.gamma_2, kept)
            if self.adapter is None:
                return x_PD
            return self.adapter(x_PD, video_of_step_L=video_of_step_L, grid_hw=grid_hw, kept=kept)
        branch = self.attn(self.norm1(x_NSD), *further)
        x_NSD = x_NSD + self._dropped(branch, self.gamma_1)
        x_NSD = x_NSD + self._dropped(self.mlp(self.norm2(x_NSD)), self.gamma_2)
        if self.adapter is None:
            return x_NSD
        tokens = grid_hw[0] * grid_hw[1]
        steps = video_of_step_L.shape[0] // x_NSD.shape[0]
        # A class token, of no step, goes past the adapter.
        others = x_NSD.shape[1] - steps * tokens
        first, x_NSD = x_NSD[:, :others], x_NSD[:, others:]
        x_LSD = x_NSD.reshape(-1, tokens, x_NSD.shape[-1])
        x_LSD = self.adapter(x_LSD, video_of_step_L=video_of_step_L, grid_hw=grid_hw)
        adapted = x_LSD.reshape(x_NSD.shape)
        return torch.cat((first, adapted), dim=1) if first.shape[1] else adapted

    def _dropped(
        self, x_NSD: Tensor, gamma: nn.Parameter | None, kept: KeptTokens | None = None
    ) -> Tensor:
        scaled = x_NSD if gamma is None else gamma * x_NSD
        rate, training = self.drop_path_rate, self.training
        if kept is None:
            return drop_path(scaled, rate=rate, training=training)
        if rate == 0.0 or not training:
            return scaled
        factor_N1 = drop_path(scaled.new_ones(kept.num_clips, 1), rate=rate, training=training)
        return scaled * factor_N1[kept.clip_P]


class BlockBackbone(AdaptableBackbone):
    """A backbone of one stack of blocks over all tokens of a clip.

    Args:
        spec: As `Backbone`.
        activation_checkpointing: Keep only each block's input in training and recompute the rest:
            less memory, more time.
    """

    blocks: nn.ModuleList
    # Prefixes of the parameters after the last block.
    after_blocks: tuple[str, ...] = ("norm.", "fc_norm.")

    def __init__(self, spec: BackboneSpec, *, activation_checkpointing: bool) -> None:
        super().__init__(spec)
        self.activation_checkpointing = activation_checkpointing

    def run_blocks(
        self,
        x_NSD: Tensor,
        *further: Tensor,
        video_of_clip_N: Tensor,
        grid_hw: tuple[int, int],
        stop_before: int | None,
        kept: KeptTokens | None = None,
    ) -> Tensor:
        """Tokens after the last block, or those that enter block ``stop_before``; same shape.

        Args:
            x_NSD: Tokens of clips, or packed ones (P, D).
            further: Further arguments of the attention of each block.
            video_of_clip_N, stop_before: As in `Backbone.forward`.
            grid_hw: Rows and columns of the tokens of a step.
            kept: As in `Block`, whose attention must then take packed tokens.
        """
        packed: dict[str, Any] = {} if kept is None else {"kept": kept}
        video_of_step_L = video_of_clip_N.repeat_interleave(self.spec.steps_per_clip)
        recompute = self.activation_checkpointing and self.training and torch.is_grad_enabled()
        for block in self.blocks[:stop_before]:
            if recompute:
                x_NSD = checkpoint(
                    block,
                    x_NSD,
                    *further,
                    use_reentrant=False,
                    video_of_step_L=video_of_step_L,
                    grid_hw=grid_hw,
                    **packed,
                )
            else:
                x_NSD = block(
                    x_NSD, *further, video_of_step_L=video_of_step_L, grid_hw=grid_hw, **packed
                )
        return x_NSD

    def depth_of(self, name: str) -> int:
        """As in `Backbone`."""
        if match := re.match(r"blocks\.(\d+)\.", name):
            return int(match[1]) + 1
        return len(self.blocks) + 1 if name.startswith(self.after_blocks) else 0
