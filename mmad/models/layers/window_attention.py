"""Self-attention inside windows of a map of video features, as in Swin.

Shapes: N clips, T H W steps, rows and columns of the map, C channels; W windows of a clip with L =
t x h x w tokens each.

Sources: Swin (arXiv 2103.14030), Video Swin (arXiv 2106.13230) and mmaction2's code of it.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

THW = tuple[int, int, int]

# Added to the similarity of tokens that lie beside each other only because the map was rolled.
_APART = -100.0


@dataclass(frozen=True)
class Windows:
    """How a map of a certain size is cut into windows.

    Attributes:
        size: Steps, rows and columns of the map.
        window: Those of a window, nowhere larger than the map.
        shift: How far the map is rolled back before it is cut.
    """

    size: THW
    window: THW
    shift: THW

    @classmethod
    def fitted(cls, size: THW, *, window: THW, shift: THW) -> "Windows":
        """Windows of a map; along a dimension that one window covers there is one, not shifted.

        >>> Windows.fitted((16, 4, 9), window=(8, 7, 7), shift=(4, 3, 3))
        Windows(size=(16, 4, 9), window=(8, 4, 7), shift=(4, 0, 3))
        """
        covered = [whole <= part for whole, part in zip(size, window, strict=True)]
        return cls(
            size,
            _three(w if c else p for w, p, c in zip(size, window, covered, strict=True)),
            _three(0 if c else s for s, c in zip(shift, covered, strict=True)),
        )

    @property
    def padded(self) -> THW:
        """Size of the map with zeros at its ends, a multiple of the window."""
        return _three(-(-s // w) * w for s, w in zip(self.size, self.window, strict=True))

    def cut(self, x_NTHWC: Tensor) -> Tensor:
        """The tokens of all windows, (N, W, L, C)."""
        (steps, rows, columns), (t, h, w) = self.padded, self.window
        ends = (x_NTHWC.shape[1], x_NTHWC.shape[2], x_NTHWC.shape[3])
        x = functional.pad(
            x_NTHWC, (0, 0, 0, columns - ends[2], 0, rows - ends[1], 0, steps - ends[0])
        )
        if any(self.shift):
            x = x.roll([-shift for shift in self.shift], dims=(1, 2, 3))
        return rearrange(x, "n (nt t) (nh h) (nw w) c -> n (nt nh nw) (t h w) c", t=t, h=h, w=w)

    def join(self, x_NWLC: Tensor) -> Tensor:
        """The map (N, T, H, W, C) that the windows were cut from."""
        (steps, rows, columns), (t, h, w) = self.padded, self.window
        x = rearrange(
            x_NWLC,
            "n (nt nh nw) (t h w) c -> n (nt t) (nh h) (nw w) c",
            nt=steps // t,
            nh=rows // h,
            nw=columns // w,
            t=t,
            h=h,
        )
        if any(self.shift):
            x = x.roll(list(self.shift), dims=(1, 2, 3))
        return x[:, : self.size[0], : self.size[1], : self.size[2]]

    def mask(self, *, device: torch.device | None = None) -> Tensor | None:
        """What is added to the similarities of tokens, (W, 1, L, L); None if nothing is shifted.

        Padding is not masked: its tokens are keys like others.
        """
        if not any(self.shift):
            return None
        regions = [
            _regions(*of, device=device)
            for of in zip(self.padded, self.window, self.shift, strict=True)
        ]
        region_THW = (
            9 * regions[0][:, None, None] + 3 * regions[1][None, :, None] + regions[2][None, None]
        )
        # Cut as it is: the regions are those of the rolled map.
        (t, h, w) = self.window
        region_WL = rearrange(
            region_THW, "(nt t) (nh h) (nw w) -> (nt nh nw) (t h w)", t=t, h=h, w=w
        )
        apart_WLL = region_WL[:, :, None] != region_WL[:, None, :]
        return (_APART * apart_WLL.float())[:, None]


def _three(values: Iterable[int]) -> THW:
    first, second, third = values
    return first, second, third


def _regions(size: int, window: int, shift: int, *, device: torch.device | None) -> Tensor:
    """Number of the region of each place of a rolled dimension: before the last window, its tokens
    that lay there before, and those that came from the other end.
    """
    place = torch.arange(size, device=device)
    if not shift:
        return torch.zeros_like(place)
    return (place >= size - window).long() + (place >= size - shift).long()


def relative_places(window: THW) -> Tensor:
    """Row of the bias table for each query and key of a window, (L, L).

    >>> relative_places((1, 1, 2)).tolist()
    [[1, 0], [2, 1]]
    """
    grids = torch.meshgrid(*(torch.arange(size) for size in window), indexing="ij")
    index = torch.zeros(math.prod(window), math.prod(window), dtype=torch.long)
    for grid, size in zip(grids, window, strict=True):
        place = grid.flatten()
        index = index * (2 * size - 1) + place[:, None] - place[None, :] + size - 1
    return index


class WindowAttention(nn.Module):
    """Self-attention among the tokens of each window, with a bias for their relative places.

    Args:
        width: C.
        num_heads: Heads.
        window: The largest window, for which the bias table is. A smaller one takes the biases of
            the first tokens of the largest in its order, whatever their places, as the released
            networks were trained.
        qkv_bias: Whether queries, keys and values have a bias.
    """

    tables = ("bias_table",)

    def __init__(self, width: int, *, num_heads: int, window: THW, qkv_bias: bool) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width, bias=qkv_bias)
        self.proj = nn.Linear(width, width)
        places = math.prod(2 * size - 1 for size in window)
        self.bias_table = nn.Parameter(torch.zeros(places, num_heads))
        nn.init.trunc_normal_(self.bias_table, std=0.02)
        self.places: Tensor
        self.register_buffer("places", relative_places(window), persistent=False)

    def forward(self, x_NWLC: Tensor, mask_W1LL: Tensor | None) -> Tensor:
        """Attended tokens, same shape; the mask is that of `Windows`."""
        length = x_NWLC.shape[2]
        q, k, v = rearrange(
            self.qkv(x_NWLC), "n w l (three h d) -> three n w h l d", three=3, h=self.num_heads
        )
        bias = self.bias_table[self.places[:length, :length]]
        bias = rearrange(bias, "query key heads -> heads query key")
        if mask_W1LL is not None:
            bias = bias + mask_W1LL
        out = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        return self.proj(rearrange(out, "n w h l d -> n w l (h d)"))
