"""The light decoder of masked pre-training.

Shapes: N clips, K tokens of a clip that the encoder has seen, M whose pixels are painted, D width
of the encoder, E that of the decoder, P numbers of a patch.

Sources: VideoMAE (arXiv 2203.12602) and its released code, for layers, initial values and names.
"""

import torch
from torch import Tensor, nn

from mmad.models.backbones.blocks import Block
from mmad.models.backbones.plain_vit import Attention, ViTSize, separable_table
from mmad.models.layers.positions import resized_grids
from mmad.models.layers.transformer import MLP, sinusoid_table

_NORM_EPS = 1e-6
_TOKEN_STD = 0.02


class PixelDecoder(nn.Module):
    """Paints the pixels of patches from the tokens of others.

    Args:
        size: Its dimensions.
        encoder_width: D.
        patch_numbers: P.
        steps: Steps of a clip.
        position_side: Rows and columns of the images that its position table is made for; it is
            interpolated for others, as that of the encoder is.
        learned_positions: Whether the table is learnt, instead of fixed sinusoids.
        embed_bias: Whether the projection of the encoder's tokens has a bias.
    """

    tables = ("pos_embed",)

    def __init__(
        self,
        size: ViTSize,
        *,
        encoder_width: int,
        patch_numbers: int,
        steps: int,
        position_side: int,
        learned_positions: bool,
        embed_bias: bool,
    ) -> None:
        super().__init__()
        self.size = size
        self.position_side = position_side
        self.embed = nn.Linear(encoder_width, size.width, bias=embed_bias)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, size.width))
        self.pos_embed: Tensor
        if learned_positions:
            table = separable_table(steps, position_side, size.width)
            self.pos_embed = nn.Parameter(table[None])
        else:
            table = sinusoid_table(steps * position_side**2, size.width)
            self.register_buffer("pos_embed", table[None], persistent=False)

        def make_norm() -> nn.LayerNorm:
            return nn.LayerNorm(size.width, eps=_NORM_EPS)

        self.blocks = nn.ModuleList(
            Block(
                Attention(size.width, num_heads=size.num_heads, qkv_bias=True, cosine=False),
                MLP(size.width, hidden=size.hidden),
                make_norm=make_norm,
                drop_path_rate=0.0,
                layer_scale=None,
                width=size.width,
            )
            for _ in range(size.depth)
        )
        self.norm = make_norm()
        self.head = nn.Linear(size.width, patch_numbers)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.trunc_normal_(self.mask_token, std=_TOKEN_STD, a=-_TOKEN_STD, b=_TOKEN_STD)

    def forward(
        self,
        seen_NKD: Tensor,
        seen_places_NK: Tensor,
        painted_places_NM: Tensor,
        grid_hw: tuple[int, int],
    ) -> Tensor:
        """The pixels of patches, (N, M, P).

        Args:
            seen_NKD: Tokens of the encoder.
            seen_places_NK, painted_places_NM: Their numbers in the clip, and those to paint.
            grid_hw: Rows and columns of the tokens of a step.
        """
        table = resized_grids(self.pos_embed, side=self.position_side, grid_hw=grid_hw)[0]
        seen = self.embed(seen_NKD)
        table = table.to(seen.dtype)
        seen = seen + table[seen_places_NK]
        painted = self.mask_token.to(seen.dtype) + table[painted_places_NM]
        x_NSE = torch.cat((seen, painted), dim=1)
        clips_N = torch.arange(len(x_NSE), device=x_NSE.device)
        for block in self.blocks:
            x_NSE = block(x_NSE, video_of_step_L=clips_N, grid_hw=(1, 1))
        return self.head(self.norm(x_NSE[:, seen.shape[1] :]))
