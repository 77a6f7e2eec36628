"""The blocks of ActionFormer: masked temporal attention, global or in a window around each step.

Shapes: B batch, C channels, T steps, h heads, d channels of a head.

Source: ActionFormer (arXiv 2202.07925) and its released code.
"""

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from mmad.models.layers.masked import ChannelNorm, MaskedConv1d, mask_steps, masked_max_pool
from mmad.models.layers.transformer import drop_path


def _attend_globally(q: Tensor, k: Tensor, v: Tensor, mask_BT: Tensor) -> Tensor:
    """Attention of every query to every step of its own video; q, k, v are (B, h, T, d)."""
    return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask_BT[:, None, None, :])


def _attend_locally(q: Tensor, k: Tensor, v: Tensor, mask_BT: Tensor, *, window: int) -> Tensor:
    """Attention of every query to the ``window`` steps around it; memory grows with T, not with its
    square.

    Queries are cut into chunks; a chunk sees its own steps and half a window on either side.
    """
    reach = window // 2
    chunk = max(window, 16)
    batch, heads, steps, channels = q.shape
    num_chunks = (steps + chunk - 1) // chunk
    tail = num_chunks * chunk - steps
    seen = torch.arange(chunk + 2 * reach, device=q.device)
    first = torch.arange(num_chunks, device=q.device) * chunk
    index = (first[:, None] + seen).flatten()  # and not unfold, which ONNX has for fixed lengths

    def neighbourhoods(x: Tensor) -> Tensor:
        padded = functional.pad(x, (0, 0, reach, reach + tail))
        return padded.index_select(2, index).unflatten(2, (-1, chunk + 2 * reach))

    q_chunks = functional.pad(q, (0, 0, 0, tail)).unflatten(2, (-1, chunk))
    known = functional.pad(mask_BT, (reach, reach + tail)).index_select(1, index)
    known = known.unflatten(1, (-1, chunk + 2 * reach))
    distance = seen[None] - reach
    distance = distance - torch.arange(chunk, device=q.device)[:, None]
    near = distance.abs() <= reach
    allowed = near & known[:, None, :, None, :]
    # A padded query with no known neighbour would give NaN; it attends to itself and is masked
    # afterwards.
    allowed = allowed | ((distance == 0) & ~allowed.any(dim=-1, keepdim=True))
    out = functional.scaled_dot_product_attention(
        q_chunks, neighbourhoods(k), neighbourhoods(v), attn_mask=allowed
    )
    return out.reshape(batch, heads, num_chunks * chunk, channels)[:, :, :steps]


class MaskedAttention(nn.Module):
    """Multi-head attention over time with depth-wise convolutions before the projections.

    Args:
        channels: C.
        num_heads: h.
        stride: 2 halves the sequence.
        window: Number of steps that a query attends to; None for all.
    """

    def __init__(self, channels: int, *, num_heads: int, stride: int, window: int | None) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.window = window

        def depthwise() -> MaskedConv1d:
            return MaskedConv1d(
                channels, channels, kernel_size=3, stride=stride, groups=channels, bias=False
            )

        def pointwise() -> nn.Conv1d:
            layer = nn.Conv1d(channels, channels, 1)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
            return layer

        self.query_conv, self.key_conv, self.value_conv = depthwise(), depthwise(), depthwise()
        self.query_norm, self.key_norm, self.value_norm = (ChannelNorm(channels) for _ in range(3))
        self.query, self.key, self.value, self.proj = (pointwise() for _ in range(4))

    def forward(self, x_BCT: Tensor, mask_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Attended sequence (B, C, T / stride) and its mask."""
        q, out_mask = self.query_conv(x_BCT, mask_BT)
        k, _ = self.key_conv(x_BCT, mask_BT)
        v, _ = self.value_conv(x_BCT, mask_BT)
        q = self.query(self.query_norm(q))
        k = self.key(self.key_norm(k))
        v = self.value(self.value_norm(v))
        q, k, v = (rearrange(y, "b (h d) t -> b h t d", h=self.num_heads) for y in (q, k, v))
        if self.window is None:
            out = _attend_globally(q, k, v, out_mask)
        else:
            out = _attend_locally(q, k, v, out_mask, window=self.window)
        out_BCT = self.proj(rearrange(out, "b h t d -> b (h d) t"))
        return mask_steps(out_BCT, out_mask), out_mask


class TransformerBlock(nn.Module):
    """Pre-norm block; with stride 2 its shortcut is a max-pool.

    Args:
        channels, num_heads, stride, window: As `MaskedAttention`.
        drop_path_rate: Probability to drop a residual of a window in training.
        pool_sees_padding: Let the shortcut pool the zeros beyond a video's end, as the released
            code does.
    """

    def __init__(
        self,
        channels: int,
        *,
        num_heads: int,
        stride: int,
        window: int | None,
        drop_path_rate: float,
        pool_sees_padding: bool,
    ) -> None:
        super().__init__()
        self.stride = stride
        self.drop_path_rate = drop_path_rate
        self.pool_sees_padding = pool_sees_padding
        self.norm1 = ChannelNorm(channels)
        self.attn = MaskedAttention(channels, num_heads=num_heads, stride=stride, window=window)
        self.norm2 = ChannelNorm(channels)
        self.fc1 = nn.Conv1d(channels, 4 * channels, 1)
        self.fc2 = nn.Conv1d(4 * channels, channels, 1)
        for layer in (self.fc1, self.fc2):
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        self.scale_attn = nn.Parameter(torch.full((1, channels, 1), 1e-4))
        self.scale_mlp = nn.Parameter(torch.full((1, channels, 1), 1e-4))

    def _shortcut(self, x_BCT: Tensor, mask_BT: Tensor) -> Tensor:
        if self.stride == 1:
            return mask_steps(x_BCT, mask_BT)
        return masked_max_pool(
            x_BCT, mask_BT, stride=self.stride, sees_padding=self.pool_sees_padding
        )[0]

    def forward(self, x_BCT: Tensor, mask_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Sequence (B, C, T / stride) and its mask."""
        rate, training = self.drop_path_rate, self.training
        attended, out_mask = self.attn(self.norm1(x_BCT), mask_BT)
        x_BCT = self._shortcut(x_BCT, mask_BT) + drop_path(
            self.scale_attn * attended, rate=rate, training=training
        )
        hidden = self.fc2(functional.gelu(self.fc1(self.norm2(x_BCT))))
        hidden = self.scale_mlp * mask_steps(hidden, out_mask)
        return x_BCT + drop_path(hidden, rate=rate, training=training), out_mask
