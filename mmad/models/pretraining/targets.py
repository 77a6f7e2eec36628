"""What a decoder is to paint: the pixels of patches.

Shapes: N clips, F frames, H W pixels, S patches of a clip, step by step and row by row, P = frames
x rows x columns of a patch x 3 colours, in this order.

Source: the released code of VideoMAE, which transformers follows.
"""

from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor

from mmad.config.backbones.family import ColourStatistics

GREY = 0.5


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


def unit_colours(patches_NSP3: Tensor, statistics: ColourStatistics) -> Tensor:
    """Patches of normalised images on a scale of 0 to 1, float32."""
    mean, std = (torch.tensor(values, device=patches_NSP3.device) / 255 for values in statistics)
    return torch.addcmul(mean, patches_NSP3.float(), std)


@dataclass(frozen=True)
class Targets:
    """How colours become the numbers to paint.

    Attributes:
        normalised, least_deviation, deviation: As in `DecoderSettings`.
    """

    normalised: bool
    least_deviation: float
    deviation: float | None

    def of(self, patches_NSP3: Tensor) -> Tensor:
        """The numbers to paint, (N, S, P), of colours on a scale of 0 to 1."""
        mean, deviation = self._look(patches_NSP3)
        return ((patches_NSP3 - mean) / deviation).flatten(2)

    def colours(self, painted_NSP: Tensor, *, like_NSP3: Tensor) -> Tensor:
        """Colours of painted numbers, (N, S, pixels, 3); normalised ones get mean and deviation of
        the true colours ``like_NSP3``.
        """
        mean, deviation = self._look(like_NSP3)
        return painted_NSP.float().unflatten(2, (-1, 3)) * deviation + mean

    def _look(self, patches_NSP3: Tensor) -> tuple[Tensor | float, Tensor | float]:
        """What is taken off, and what the rest is divided by; (N, S, 1, 3) if normalised."""
        if self.normalised:
            deviation = patches_NSP3.var(dim=2, keepdim=True, unbiased=True).sqrt()
            return patches_NSP3.mean(dim=2, keepdim=True), deviation + self.least_deviation
        return (0.0, 1.0) if self.deviation is None else (GREY, self.deviation)
