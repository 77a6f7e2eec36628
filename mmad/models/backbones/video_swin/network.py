"""Video Swin, a pyramid of transformer blocks with attention inside shifted windows.

Shapes: N clips, F frames of a clip; T steps, H W rows and columns of the map, C channels; L = N x T
steps of all clips, videos concatenated.

Sources: arXiv 2106.13230, and mmaction2's code of it, whose padding, clamped windows and initial
values these are.
"""

import re
from collections.abc import Sequence
from functools import partial

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from mmad.models.backbones.adaptable import AdaptableBackbone, AdaptableBlock
from mmad.models.backbones.contract import BackboneSpec, ClipTokens, tokens_of_map
from mmad.models.backbones.video_swin.images import inflate_image_weights
from mmad.models.layers.reversible import Activations, Branch, couple
from mmad.models.layers.transformer import MLP, drop_path, drop_path_rates
from mmad.models.layers.window_attention import THW, WindowAttention, Windows


class PatchEmbed(nn.Module):
    """Cuts clips into patches of frames x pixels x pixels and projects each to a token."""

    def __init__(self, width: int, *, patch: THW, norm: bool) -> None:
        super().__init__()
        self.patch = patch
        self.proj = nn.Conv3d(3, width, kernel_size=patch, stride=patch)
        self.norm = nn.LayerNorm(width) if norm else None

    def forward(self, images_NCFHW: Tensor) -> Tensor:
        """Tokens (N, T, H, W, C); zeros fill the last patches of each dimension."""
        frames, rows, columns = (
            -size % patch for size, patch in zip(images_NCFHW.shape[2:], self.patch, strict=True)
        )
        x = self.proj(functional.pad(images_NCFHW, (0, columns, 0, rows, 0, frames)))
        x = rearrange(x, "n c t h w -> n t h w c")
        return x if self.norm is None else self.norm(x)


class Block(AdaptableBlock):
    """Pre-norm transformer block with attention inside windows, then its adapter if it has one.

    Args:
        width: C.
        num_heads: Heads.
        window: Largest window.
        shifted: Whether windows lie half a window further.
        mlp_ratio: Hidden width of the MLP / width.
        qkv_bias: As in `WindowAttention`.
        drop_path_rate: Rate of stochastic depth.
    """

    def __init__(
        self,
        width: int,
        *,
        num_heads: int,
        window: THW,
        shifted: bool,
        mlp_ratio: float,
        qkv_bias: bool,
        drop_path_rate: float,
    ) -> None:
        super().__init__(width)
        self.window = window
        self.shift = (window[0] // 2, window[1] // 2, window[2] // 2) if shifted else (0, 0, 0)
        self.drop_path_rate = drop_path_rate
        self.norm1 = nn.LayerNorm(width)
        self.attn = WindowAttention(width, num_heads=num_heads, window=window, qkv_bias=qkv_bias)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = MLP(width, hidden=int(width * mlp_ratio))

    def forward(
        self,
        x_NTHWC: Tensor,
        windows: Windows,
        mask_W1LL: Tensor | None,
        video_of_step_L: Tensor,
    ) -> Tensor:
        """The map after the block, same shape.

        Args:
            x_NTHWC: The map.
            windows, mask_W1LL: Of the size of the map.
            video_of_step_L: For the adapter.
        """
        x_NTHWC = x_NTHWC + self.attend(x_NTHWC, windows, mask_W1LL)
        return x_NTHWC + self.mix(x_NTHWC, video_of_step_L)

    def attend(self, x_NTHWC: Tensor, windows: Windows, mask_W1LL: Tensor | None) -> Tensor:
        """What attention adds to the map."""
        # The norm comes before the padding, which therefore stays zero.
        cut = windows.cut(self.norm1(x_NTHWC))
        attended = windows.join(self.attn(cut, mask_W1LL))
        return drop_path(attended, rate=self.drop_path_rate, training=self.training)

    def mix(self, x_NTHWC: Tensor, video_of_step_L: Tensor) -> Tensor:
        """What the MLP adds to the map, and the adapter to their sum."""
        mixed = self.mlp(self.norm2(x_NTHWC))
        mixed = drop_path(mixed, rate=self.drop_path_rate, training=self.training)
        if self.adapter is None:
            return mixed
        return mixed + self.adapter.added_to_map(x_NTHWC + mixed, video_of_step_L)

    def branches(
        self, windows: Windows, mask_W1LL: Tensor | None, video_of_step_L: Tensor
    ) -> list[Branch]:
        """Both of a reversible network; arguments as in `forward`.

        The adapter is part of the second: a branch of its own would swap the streams once more, and
        the network would no longer start as that without adapters.
        """
        attend = partial(self.attend, windows=windows, mask_W1LL=mask_W1LL)
        mix = partial(self.mix, video_of_step_L=video_of_step_L)
        adapter = [] if self.adapter is None else [self.adapter]
        return [
            Branch(attend, [self.norm1, self.attn]),
            Branch(mix, [self.norm2, self.mlp, *adapter]),
        ]


class Merge(nn.Module):
    """Joins each 2x2 tokens of a step into one of twice the channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * width)
        self.reduce = nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x_NTHWC: Tensor) -> Tensor:
        """The map (N, T, H / 2, W / 2, 2 C), rounded up."""
        rows, columns = x_NTHWC.shape[2] % 2, x_NTHWC.shape[3] % 2
        x = functional.pad(x_NTHWC, (0, 0, 0, columns, 0, rows))
        # In the order of the weights the row changes first.
        x = rearrange(x, "n t (h row) (w column) c -> n t h w (column row c)", row=2, column=2)
        return self.reduce(self.norm(x))


class Stage(nn.Module):
    """Blocks at one size of the map, every other one shifted, and what follows them.

    Args:
        blocks: The blocks.
        merge: Joins tokens after them; None after the last stage.
        reversible: As in `VideoSwin`.
    """

    def __init__(self, blocks: Sequence[Block], merge: Merge | None, *, reversible: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.merge = merge
        self.reversible = reversible

    def forward(
        self, x_NTHWC: Tensor, video_of_clip_N: Tensor, *, activations: Activations
    ) -> Tensor:
        """The map after the stage.

        Args:
            x_NTHWC: The map.
            video_of_clip_N: As in `Backbone.forward`.
            activations: As in `VideoSwin`.
        """
        _, steps, rows, columns, _ = x_NTHWC.shape
        video_of_step_L = video_of_clip_N.repeat_interleave(steps)
        masks: dict[Windows, Tensor | None] = {}
        branches: list[Branch] = []
        for block in self.blocks:
            assert isinstance(block, Block)
            windows = Windows.fitted((steps, rows, columns), window=block.window, shift=block.shift)
            if windows not in masks:
                masks[windows] = windows.mask(device=x_NTHWC.device)
            if self.reversible:
                branches += block.branches(windows, masks[windows], video_of_step_L)
            elif activations == "from_inputs" and self.training and torch.is_grad_enabled():
                x_NTHWC = checkpoint(
                    block, x_NTHWC, windows, masks[windows], video_of_step_L, use_reentrant=False
                )
            else:
                x_NTHWC = block(x_NTHWC, windows, masks[windows], video_of_step_L)
        if self.reversible:
            x_NTHWC = couple(x_NTHWC, branches, activations=activations)
        return x_NTHWC if self.merge is None else self.merge(x_NTHWC)


class VideoSwin(AdaptableBackbone):
    """Video Swin without its classifier.

    Args:
        width: Channels of the first stage; each stage doubles them.
        depths: Blocks of each stage.
        num_heads: Attention heads of each stage.
        clip_frames: Frames of a clip.
        patch: Frames, rows and columns of a patch; rows and columns are equally many.
        window: Steps, rows and columns of a window.
        mlp_ratio: Hidden width of the MLPs / width.
        qkv_bias: As in `WindowAttention`.
        patch_norm: Layer norm of the patches.
        drop_path_rate: Rate at the last block; it grows linearly from 0.
        reversible: Couple attention and MLPs of a stage by two streams, as `couple` does, instead
            of adding all to one.
        activations: For the backward pass: see `Activations`. Those of a network that is not
            reversible cannot be recomputed from the output.
    """

    def __init__(
        self,
        *,
        width: int,
        depths: Sequence[int],
        num_heads: Sequence[int],
        clip_frames: int,
        patch: THW,
        window: THW,
        mlp_ratio: float,
        qkv_bias: bool,
        patch_norm: bool,
        drop_path_rate: float,
        reversible: bool,
        activations: Activations,
    ) -> None:
        super().__init__(
            BackboneSpec(
                channels=width * 2 ** (len(depths) - 1),
                clip_frames=clip_frames,
                frames_per_step=patch[0],
                side_multiple=patch[1] * 2 ** (len(depths) - 1),
            )
        )
        self.depths = tuple(depths)
        self.window = window
        self.activations = activations
        self.patches = PatchEmbed(width, patch=patch, norm=patch_norm)
        rates = iter(drop_path_rates(drop_path_rate, sum(depths)))
        self.stages = nn.ModuleList()
        for number, (depth, heads) in enumerate(zip(depths, num_heads, strict=True)):
            channels = width * 2**number
            blocks = [
                Block(
                    channels,
                    num_heads=heads,
                    window=window,
                    shifted=block % 2 == 1,
                    mlp_ratio=mlp_ratio,
                    qkv_bias=qkv_bias,
                    drop_path_rate=next(rates),
                )
                for block in range(depth)
            ]
            last = number == len(depths) - 1
            self.stages.append(
                Stage(blocks, None if last else Merge(channels), reversible=reversible)
            )
        self.norm = nn.LayerNorm(self.spec.channels)
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
        """The feature map (N, C, T, H, W) of clips of any length and size."""
        x = self.patches(images_NCFHW)
        for stage in self.stages:
            x = stage(x, video_of_clip_N, activations=self.activations)
        return rearrange(self.norm(x), "n t h w c -> n c t h w")

    def depth_of(self, name: str) -> int:
        """As in `Backbone`; what joins tokens belongs to the block before it."""
        if match := re.match(r"stages\.(\d+)\.(?:blocks\.(\d+)\.|merge\.)", name):
            stage = int(match[1])
            block = self.depths[stage] - 1 if match[2] is None else int(match[2])
            return 1 + sum(self.depths[:stage]) + block
        return sum(self.depths) + 1 if name.startswith("norm.") else 0

    def fit_weights(self, tensors: dict[str, Tensor], *, source: str) -> dict[str, str]:
        """As in `Backbone`: weights of an image Swin are inflated, bias tables resized."""
        return inflate_image_weights(tensors, self.state_dict(), window=self.window)
