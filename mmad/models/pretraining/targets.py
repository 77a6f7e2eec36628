"""What a decoder is to paint: the pixels of patches.

Shapes: N clips, F frames, H W pixels, S patches of a clip, step by step and row by row, P = frames
x rows x columns of a patch x 3 colours, in this order.

Source: the released code of VideoMAE, which transformers follows.
"""

from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor

from mmad.config.backbones.family import ColourStatistics


class PatchLook(NamedTuple):
    """Mean and deviation of the colours of patches, (N, S, 1, 3) each, on a scale of 0 to 1."""

    mean_NS13: Tensor
    deviation_NS13: Tensor


def to_patches(images_NCFHW: Tensor, *, frames: int, side: int) -> Tensor:
    """Images cut into patches of so many frames and pixels, (N, S, pixels, 3)."""
    return rearrange(
        images_NCFHW, "n c (t f) (h p) (w q) -> n (t h w) (f p q) c", f=frames, p=side, q=side
    )


def from_patches(
    patches_NSP: Tensor, *, frames: int, side: int, grid_hw: tuple[int, int]
) -> Tensor:
    """The images of `to_patches`, (N, 3, F, H, W), from patches whose numbers are in one row."""
    return rearrange(
        patches_NSP,
        "n (t h w) (f p q c) -> n c (t f) (h p) (w q)",
        h=grid_hw[0],
        w=grid_hw[1],
        f=frames,
        p=side,
        q=side,
    )


def unit_colours(images_NCFHW: Tensor, statistics: ColourStatistics) -> Tensor:
    """Normalised images on a scale of 0 to 1, float32."""
    mean, std = (
        torch.tensor(values, device=images_NCFHW.device).view(3, 1, 1, 1) / 255
        for values in statistics
    )
    return images_NCFHW.float() * std + mean


def look_of(patches_NSP3: Tensor, *, least_deviation: float) -> PatchLook:
    """Mean and deviation of each colour of each patch, the latter plus ``least_deviation``."""
    mean = patches_NSP3.mean(dim=2, keepdim=True)
    deviation = patches_NSP3.var(dim=2, keepdim=True, unbiased=True).sqrt()
    return PatchLook(mean, deviation + least_deviation)


def targets_of(patches_NSP3: Tensor, *, normalised: bool, least_deviation: float) -> Tensor:
    """The numbers to paint, (N, S, P)."""
    if normalised:
        look = look_of(patches_NSP3, least_deviation=least_deviation)
        patches_NSP3 = (patches_NSP3 - look.mean_NS13) / look.deviation_NS13
    return patches_NSP3.flatten(2)
