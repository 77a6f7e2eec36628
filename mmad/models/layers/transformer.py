"""Position tables, self-attention, MLPs and stochastic depth for transformers."""

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional


def sinusoid_table(num_positions: int, width: int) -> Tensor:
    """Fixed position table, float32, shape (num_positions, width): sine on even channels, cosine on
    odd.

    >>> sinusoid_table(2, 4)[0].tolist()
    [0.0, 1.0, 0.0, 1.0]
    """
    # Fixed values, which no file has: they are computed even where weights are still to come.
    position = torch.arange(num_positions, dtype=torch.float64, device="cpu")[:, None]
    channel = torch.arange(width, dtype=torch.float64, device="cpu")[None, :]
    angle = position / torch.pow(10000.0, 2 * (channel // 2) / width)
    return torch.where(channel % 2 == 0, angle.sin(), angle.cos()).float()


def drop_path(x_NSD: Tensor, *, rate: float, training: bool) -> Tensor:
    """Zero the residual of random items of the batch; the rest is scaled to keep the mean."""
    if rate == 0.0 or not training:
        return x_NSD
    shape = (len(x_NSD),) + (1,) * (x_NSD.ndim - 1)
    keep = torch.rand(shape, device=x_NSD.device, dtype=x_NSD.dtype) >= rate
    return x_NSD * keep / (1.0 - rate)


def drop_path_rates(last: float, depth: int) -> list[float]:
    """The rate of each of ``depth`` blocks: it grows linearly from 0 to ``last``.

    >>> drop_path_rates(0.2, 3)
    [0.0, 0.1, 0.2]
    """
    return [last * block / max(depth - 1, 1) for block in range(depth)]


class SelfAttention(nn.Module):
    """Self-attention among all tokens of an item.

    Args:
        width: D.
        num_heads: Heads.
        qkv_bias: Whether queries, keys and values have a bias.
    """

    def __init__(self, width: int, *, num_heads: int, qkv_bias: bool = True) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width, bias=qkv_bias)
        self.proj = nn.Linear(width, width)

    def forward(self, x_NSD: Tensor) -> Tensor:
        """Attended tokens, same shape."""
        q, k, v = rearrange(
            self.qkv(x_NSD), "n s (three h d) -> three n h s d", three=3, h=self.num_heads
        )
        out = functional.scaled_dot_product_attention(q, k, v)
        return self.proj(rearrange(out, "n h s d -> n s (h d)"))


class MLP(nn.Module):
    """Two linear layers with a GELU between, exact or its approximation by a tanh."""

    def __init__(self, width: int, *, hidden: int, approximate: bool = False) -> None:
        super().__init__()
        self.approximate = "tanh" if approximate else "none"
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Transformed tokens, same shape."""
        return self.fc2(functional.gelu(self.fc1(x), approximate=self.approximate))
