"""Layers that see no padding."""

import torch
from torch import nn

from mmad.models.layers.masked import MaskedGroupNorm, masked_mean, pad_steps
from support.detector_batches import padded, ragged, shaken


def test_group_norm_sees_no_padding() -> None:
    norm = shaken(MaskedGroupNorm(32, num_groups=16))
    videos = [torch.randn(32, 7) * 3 + 5, torch.randn(32, 12)]
    found = norm(*padded(videos, 12))
    for row, video in enumerate(videos):
        alone = torch.nn.functional.group_norm(video[None], 16, norm.weight, norm.bias, 1e-5)
        torch.testing.assert_close(found[row, :, : video.shape[1]], alone[0], rtol=0, atol=1e-5)


def test_group_norm_of_a_whole_batch_is_torchs() -> None:
    ours, theirs = shaken(MaskedGroupNorm(8, num_groups=2)), nn.GroupNorm(2, 8)
    theirs.load_state_dict(ours.state_dict())
    x, mask = ragged([11, 11], steps=11, channels=8)
    torch.testing.assert_close(ours(x, mask), theirs(x))


def test_mean_is_over_the_steps_of_a_video() -> None:
    x, mask = ragged([7, 0, 12], steps=12)
    found = masked_mean(x, mask)
    expected = torch.stack((x[0, :, :7].mean(1), torch.zeros(6), x[2].mean(1)))
    torch.testing.assert_close(found[..., 0], expected)


def test_steps_are_added_up_to_a_multiple() -> None:
    x, mask = ragged([5, 3], steps=5)
    longer, known = pad_steps(x, mask, multiple=4)
    assert longer.shape == (2, 6, 8)
    assert torch.equal(longer[..., :5], x)
    assert not longer[..., 5:].any()
    assert known.sum(dim=1).tolist() == [5, 3]
    assert pad_steps(longer, known, multiple=4)[0].shape == (2, 6, 8)
