"""V-JEPA 2's encoder: a transformer over all tokens of a clip, with rotary positions.

Shapes: N clips; T steps of S = h x w tokens of width D; B = T x S; E channels of a head.

Sources: V-JEPA 2 (arXiv 2506.09985), its code and that of transformers 5; the position of the
adapter is AdaTAD's.
"""

from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from mmad.models.backbones.blocks import Block, BlockBackbone
from mmad.models.backbones.contract import BackboneSpec, ClipTokens
from mmad.models.layers.rotary import rotated, rotation_table
from mmad.models.layers.transformer import MLP, drop_path_rates

NORM_EPS = 1e-6


class Attention(nn.Module):
    """Self-attention among the tokens of a clip, whose queries and keys turn by their positions."""

    def __init__(self, width: int, *, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x_NBD: Tensor, rotation_2BE: Tensor) -> Tensor:
        """Attended tokens, same shape."""
        q, k, v = rearrange(
            self.qkv(x_NBD), "n b (three h e) -> three n h b e", three=3, h=self.num_heads
        )
        q, k = rotated(q, rotation_2BE), rotated(k, rotation_2BE)
        out = functional.scaled_dot_product_attention(q, k, v)
        return self.proj(rearrange(out, "n h b e -> n b (h e)"))


class VJEPA2(BlockBackbone):
    """The encoder of V-JEPA 2 without its predictor.

    Args:
        width: D.
        depth: Blocks.
        num_heads: Attention heads.
        patch: Side of a patch in pixels.
        hidden: Width of the hidden layer of an MLP.
        clip_frames: Frames of a clip.
        tubelet_frames: Frames of a step.
        drop_path_rate: Rate at the last block; it grows linearly from 0.
        activation_checkpointing: As `BlockBackbone`.
    """

    def __init__(
        self,
        *,
        width: int,
        depth: int,
        num_heads: int,
        patch: int,
        hidden: int,
        clip_frames: int,
        tubelet_frames: int,
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
            ),
            activation_checkpointing=activation_checkpointing,
        )
        self.head_width = width // num_heads
        kernel = (tubelet_frames, patch, patch)
        self.patches = nn.Conv3d(3, width, kernel, stride=kernel)

        def make_norm() -> nn.LayerNorm:
            return nn.LayerNorm(width, eps=NORM_EPS)

        self.blocks = nn.ModuleList(
            Block(
                Attention(width, num_heads=num_heads),
                MLP(width, hidden=hidden),
                make_norm=make_norm,
                drop_path_rate=rate,
                layer_scale=None,
                width=width,
            )
            for rate in drop_path_rates(drop_path_rate, depth)
        )
        self.norm = make_norm()
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv3d):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(
        self, images_NCFHW: Tensor, video_of_clip_N: Tensor, *, stop_before: int | None = None
    ) -> ClipTokens:
        """As in `Backbone`."""
        self.require_fitting(images_NCFHW)
        patches_NDThw = self.patches(images_NCFHW)
        steps, grid_hw = patches_NDThw.shape[2], tuple(patches_NDThw.shape[3:])
        rotation = rotation_table(steps, grid_hw, head_width=self.head_width)
        x_NBD = self.run_blocks(
            rearrange(patches_NDThw, "n d t h w -> n (t h w) d"),
            rotation.to(patches_NDThw.device),
            video_of_clip_N=video_of_clip_N,
            grid_hw=grid_hw,
            stop_before=stop_before,
        )
        if stop_before is None:
            x_NBD = self.norm(x_NBD)
        return ClipTokens(x_NBD.unflatten(1, (steps, -1)), grid_hw)
