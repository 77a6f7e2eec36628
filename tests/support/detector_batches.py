"""Batches of videos of different length for the tests of detectors, and what must hold for them."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


def shaken(module: nn.Module, *, mean: float = 0.0, std: float = 0.3) -> nn.Module:
    """So that no path is switched off by its first value."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, mean=mean, std=std)
    return module


def padded(videos: Sequence[Tensor], length: int) -> tuple[Tensor, Tensor]:
    """Videos (C, T) of any T as features (B, C, length), zero beyond each end, and the mask."""
    features = torch.zeros(len(videos), videos[0].shape[0], length)
    mask = torch.zeros(len(videos), length, dtype=torch.bool)
    for row, video in enumerate(videos):
        features[row, :, : video.shape[1]], mask[row, : video.shape[1]] = video, True
    return features, mask


def ragged(lengths: Sequence[int], *, steps: int, channels: int = 6) -> tuple[Tensor, Tensor]:
    """Features that are not zero where no video is, and the mask."""
    mask = torch.arange(steps)[None] < torch.tensor(lengths)[:, None]
    return torch.randn(len(lengths), channels, steps), mask


def assert_points_do_not_see_padding(
    model: nn.Module,
    lengths: Sequence[int],
    *,
    names: Sequence[str] = ("logits_BPK", "offsets_BP2"),
    rtol: float = 1e-4,
) -> tuple[list[Tensor], Any]:
    """Each video alone has the outputs that it has in a batch. Gives the videos and the outputs of
    the batch.
    """
    videos = [torch.randn(6, length) for length in lengths]
    together = model(*padded(videos, max(lengths)))
    assert together.logits_BPK[together.mask_BP].std() > 0.1
    for row, video in enumerate(videos):
        alone = model(*padded([video], video.shape[1]))
        for name in names:
            ours = getattr(together, name)[row][together.mask_BP[row]]
            theirs = getattr(alone, name)[0][alone.mask_BP[0]]
            torch.testing.assert_close(ours, theirs, rtol=rtol, atol=1e-5)
    return videos, together
