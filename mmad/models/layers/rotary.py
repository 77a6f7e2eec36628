"""Rotary positions of tokens in time and space, as V-JEPA 2 has them.

Shapes: T steps of h x w tokens, S = T x h x w; E channels of a head, of which a third each, made
even, is turned by the step, the row and the column, and the rest is left.

Source: V-JEPA 2 (arXiv 2506.09985) and its code. Its rates belong to other channels than those they
turn together: channels 2i and 2i + 1 are turned as one plane, but by the rates number 2i and 2i + 1
(modulo half the third). That is how its weights were trained.
"""

import torch
from torch import Tensor


def rotation_table(steps: int, grid_hw: tuple[int, int], *, head_width: int) -> Tensor:
    """Cosines and sines by which each token turns queries and keys, (2, S, E), float32."""
    third = 2 * (head_width // 3 // 2)
    rates = 10000.0 ** -(torch.arange(third // 2) / (third / 2))
    sizes = (steps, *grid_hw)
    places = torch.meshgrid([torch.arange(size) for size in sizes], indexing="ij")
    angles = [(place.reshape(-1, 1) * rates).repeat(1, 2) for place in places]
    still = torch.zeros(steps * grid_hw[0] * grid_hw[1], head_width - 3 * third)
    angles_SE = torch.cat((*angles, still), dim=1)
    return torch.stack((angles_SE.cos(), angles_SE.sin()))


def rotated(x: Tensor, rotation_2SE: Tensor) -> Tensor:
    """Queries or keys (..., S, E), turned by their positions."""
    even, odd = x.unflatten(-1, (-1, 2)).unbind(-1)
    turned = torch.stack((-odd, even), dim=-1).flatten(-2)
    return (x * rotation_2SE[0] + turned * rotation_2SE[1]).to(x.dtype)
