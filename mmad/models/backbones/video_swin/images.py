"""Weights of an image Swin, or of other windows, for a Video Swin."""

from collections.abc import Mapping

from einops import rearrange, repeat
from torch import Tensor
from torch.nn import functional

from mmad.models.backbones.inflation import inflate_kernels
from mmad.models.layers.window_attention import THW


def inflate_image_weights(
    tensors: dict[str, Tensor], own: Mapping[str, Tensor], *, window: THW
) -> dict[str, str]:
    """Fit patches and bias tables to the network, in place; what was done, by name.

    Kernels of patches are inflated. A table of image windows is repeated for each distance in time,
    after it was resized (bicubic) to the rows and columns of the network's.

    Args:
        tensors: Tensors of a file, under our names.
        own: Tensors of the network, by name.
        window: Steps, rows and columns of the network's windows.
    """
    done = inflate_kernels(tensors, own)
    steps, rows, columns = (2 * size - 1 for size in window)
    for name, table in tensors.items():
        if not name.endswith(".bias_table") or name not in own or table.ndim != 2:
            continue
        wanted = own[name].shape
        side = round(len(table) ** 0.5)
        if table.shape == wanted or table.shape[1] != wanted[1] or side**2 != len(table):
            continue
        resized = table
        if (side, side) != (rows, columns):
            grid = rearrange(table, "(h w) heads -> 1 heads h w", h=side)
            grid = functional.interpolate(grid, size=(rows, columns), mode="bicubic")
            resized = rearrange(grid, "1 heads h w -> (h w) heads")
        tensors[name] = repeat(resized, "hw heads -> (t hw) heads", t=steps)
        done[name] = f"of {side} x {side} places, for each of {steps} distances in time"
    return done
