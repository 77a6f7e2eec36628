"""Weights of an image transformer, or of other tables, for a TimeSformer."""

import math
import re
from collections.abc import Mapping

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional

_POSITIONS, _TIMES = "position_table", "time_table"
# Adapters have layers of that name, too.
_OVER_TIME = re.compile(r"blocks\.\d+\.temporal\.")


def complete_image_weights(
    tensors: dict[str, Tensor], own: Mapping[str, Tensor], *, divided: bool
) -> dict[str, str]:
    """Add what weights of images lack and resize tables, in place; what was done, by name.

    Attention over time starts as that within a frame, its last layer and the table of times as
    zero, so that the network starts as that of images.

    Args:
        tensors: Tensors of a file, under our names.
        own: Tensors of the network, by name.
        divided: Whether the network has attention over time alone.
    """
    done = _resize_tables(tensors, own)
    of_images = _TIMES not in tensors and not any(map(_OVER_TIME.match, tensors))
    if not of_images:
        return done
    for name, value in own.items():
        if name == _TIMES or (divided and ".temporal.fc." in name):
            tensors[name] = torch.zeros_like(value)
            done[name] = "zero, as the file is of an image network"
        elif _OVER_TIME.match(name):
            within = name.replace(".temporal.", ".attention.")
            if within in tensors:
                tensors[name] = tensors[within].clone()
                done[name] = f"copied from {within}"
    return done


def _resize_tables(tensors: dict[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, str]:
    done = {}
    for name in (_POSITIONS, _TIMES):
        table = tensors.get(name)
        if table is None or name not in own or table.shape == own[name].shape:
            continue
        if table.ndim != 3 or table.shape[2] != own[name].shape[2]:
            continue
        count = own[name].shape[1]
        if name == _TIMES:
            resized = functional.interpolate(table.transpose(1, 2), size=count, mode="linear")
            tensors[name] = resized.transpose(1, 2)
            done[name] = f"from {table.shape[1]} to {count} frames, linear"
            continue
        side, target = math.isqrt(table.shape[1] - 1), math.isqrt(count - 1)
        if side**2 != table.shape[1] - 1:
            continue
        grid = rearrange(table[:, 1:], "1 (h w) d -> 1 d h w", h=side)
        grid = functional.interpolate(grid, size=(target, target), mode="bicubic")
        tensors[name] = torch.cat((table[:, :1], rearrange(grid, "1 d h w -> 1 (h w) d")), dim=1)
        done[name] = f"from {side} x {side} to {target} x {target} patches, bicubic"
    return done
