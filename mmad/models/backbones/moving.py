"""The tokens of clips whose images move, found in decoded frames.

A token repeats the last kept one at its place unless one of its small blocks differs from that one
by more than the noise and a threshold. The largest block decides, not the mean of the
patch: a micro-action may move a few pixels. Frames are compared with those that were last computed,
not with those just before, so slow movements add up. The rule is a function of one clip's frames
alone, so training, windows, streams, batches and single clips agree to the bit.

Grey images are compared, the mean of the colours and of the frames of a step: that halves the
noise, and videos keep most of their detail there.

Shapes: N clips of F frames of H x W pixels, T steps, S = h x w places of a step.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from mmad.config.tokens import TokenSettings

# The quarter of the blocks of a step that differs least from the last kept ones is taken for still,
# and noise reaches at most so many times their largest root mean square. It is never taken for more
# than a limit in levels of 255: if everything moves, as before a moving camera, that is no noise.
_STILL = 0.25
_NOISE_REACHES = 1.75
_LARGEST_NOISE = 6.0
# Random tokens depend on every so many-th byte of a clip.
_SAMPLED = 61
_ODD = 0x1E3779B97F4A7C15


@dataclass(frozen=True, eq=False)
class Movement:
    """How much the images of clips move.

    Attributes:
        squares_NTS: Mean square difference of the block of each token that differs most from the
            last kept one at its place, in levels of 255; infinite in the first step.
        noise_NT: What noise alone reaches in each step, in the same unit.
        kept_NTS: Tokens that move; those of the first step are among them.
    """

    squares_NTS: Tensor
    noise_NT: Tensor
    kept_NTS: Tensor


@dataclass(frozen=True)
class TokenRule:
    """Which tokens of clips are computed.

    Attributes:
        keep: The moving ones, or as many random ones.
        threshold: Root mean square difference above noise from which a block moves, in levels of
            255.
        block: Side of a block in pixels.
        buckets: Different numbers of tokens that clips can have.
        patch: Side of a patch in pixels.
        frames_per_step: f.
    """

    keep: Literal["moving", "random"]
    threshold: float
    block: int
    buckets: int
    patch: int
    frames_per_step: int

    @classmethod
    def of(cls, settings: TokenSettings, *, patch: int, frames_per_step: int) -> "TokenRule | None":
        """The rule of settings; None if all tokens are computed, as with a threshold of 0."""
        if settings.keep == "all" or settings.threshold == 0:
            return None
        return cls(
            settings.keep,
            threshold=settings.threshold,
            block=settings.block,
            buckets=settings.buckets,
            patch=patch,
            frames_per_step=frames_per_step,
        )

    @torch.no_grad()
    def __call__(self, clips_NFHWC: Tensor) -> Tensor:
        """The tokens of uint8 clips that are computed, bool (N, T, S)."""
        movement = self.movement(clips_NFHWC)
        kept_NTS = movement.kept_NTS
        priority_NTS = movement.squares_NTS.where(~kept_NTS, torch.inf)
        if self.keep == "random":
            priority_NTS = _random(clips_NFHWC, kept_NTS)
            priority_NTS[:, 0] = torch.inf
        size = -(-kept_NTS[0].numel() // self.buckets)
        count_N = kept_NTS.sum(dim=(1, 2))
        # Clips of a bucket are computed together, without padding.
        budget_N = (count_N + size - 1) // size * size
        ranks = priority_NTS.flatten(1).sort(dim=1, descending=True, stable=True).indices
        rank_NTS = ranks.argsort(dim=1).view_as(kept_NTS)
        return rank_NTS < budget_N[:, None, None]

    @torch.no_grad()
    def movement(self, clips_NFHWC: Tensor) -> Movement:
        """How much the images of uint8 clips move, and which of their tokens do."""
        grey_NTHW = _grey(clips_NFHWC, frames_per_step=self.frames_per_step)
        last_NHW = grey_NTHW[:, 0]
        squares, noise, kept = [], [], []
        for step, now_NHW in enumerate(grey_NTHW.unbind(dim=1)):
            blocks_Nhw = self._squares(now_NHW - last_NHW)
            noise_N = _noise(blocks_Nhw.flatten(1))
            largest_Nhw = functional.max_pool2d(blocks_Nhw, self.patch // self.block)
            if step == 0:
                largest_Nhw.fill_(torch.inf)
            moves_Nhw = largest_Nhw > (noise_N + self.threshold**2)[:, None, None]
            moves_NHW = moves_Nhw.repeat_interleave(self.patch, 1).repeat_interleave(self.patch, 2)
            last_NHW = now_NHW.where(moves_NHW, last_NHW)
            squares.append(largest_Nhw.flatten(1))
            noise.append(noise_N)
            kept.append(moves_Nhw.flatten(1))
        return Movement(*(torch.stack(parts, dim=1) for parts in (squares, noise, kept)))

    def _squares(self, difference_NHW: Tensor) -> Tensor:
        """The mean square of each block."""
        return functional.avg_pool2d(difference_NHW.square(), self.block)


def _noise(squares_NB: Tensor) -> Tensor:
    """What the mean square difference of a still block rarely exceeds, (N,)."""
    still_N = squares_NB.kthvalue(max(1, int(_STILL * squares_NB.shape[1])), dim=1).values
    return (still_N * _NOISE_REACHES**2).clamp(max=_LARGEST_NOISE**2)


def _grey(clips_NFHWC: Tensor, *, frames_per_step: int) -> Tensor:
    """The mean of colours and of the frames of each step, float32 (N, T, H, W)."""
    values = 3 * frames_per_step
    dtype = torch.int16 if 255 * values < 2**15 else torch.int32
    steps_NTFHWC = clips_NFHWC.unflatten(1, (-1, frames_per_step))
    sums_NTHWC = steps_NTFHWC[:, :, 0].to(dtype)
    for frame in range(1, frames_per_step):
        sums_NTHWC += steps_NTFHWC[:, :, frame]
    return (sums_NTHWC[..., 0] + sums_NTHWC[..., 1] + sums_NTHWC[..., 2]).float() / values


def _random(clips_NFHWC: Tensor, like_NTS: Tensor) -> Tensor:
    """Numbers from 0 to 1 for each token, drawn from the clip's own bytes: the same on any device,
    in any batch.
    """
    sample_NB = clips_NFHWC.flatten(1)[:, ::_SAMPLED].long()
    places = torch.arange(1, sample_NB.shape[1] + 1, device=sample_NB.device)
    seed_N = (sample_NB * (places * _ODD)).sum(dim=1)
    tokens = torch.arange(1, like_NTS[0].numel() + 1, device=sample_NB.device)
    bits = _mixed(_mixed(seed_N)[:, None] + tokens * _ODD)
    return ((bits & 0xFFFFFF).float() / 0x1000000).view_as(like_NTS)


def _mixed(bits: Tensor) -> Tensor:
    """Integers whose bits each depend on all bits of the given ones (splitmix64)."""
    bits = (bits ^ (bits >> 30)) * -0x40A7B892E31B1A47
    bits = (bits ^ (bits >> 27)) * -0x6B2FB644ECCEEE15
    return bits ^ (bits >> 31)
