"""What blocks of a 2D network see of other frames: shift, and interlacing."""

import pytest
import torch
from torch import Tensor

from mmad.models.layers.temporal_exchange import (
    TemporalInterlace,
    TemporalShift,
    interpolation,
)


def frames(*, clips: int, num_frames: int, channels: int) -> Tensor:
    """Maps of 2 x 3 cells, of all frames of all clips."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(clips * num_frames, channels, 2, 3, generator=generator)


def test_shift_frame_by_frame() -> None:
    x = frames(clips=2, num_frames=3, channels=9)
    out = TemporalShift(9, num_frames=3, divisor=4)(x)
    for clip in range(2):
        for frame in range(3):
            here = 3 * clip + frame
            later = x[here + 1, 0:2] if frame < 2 else torch.zeros(2, 2, 3)
            earlier = x[here - 1, 2:4] if frame > 0 else torch.zeros(2, 2, 3)
            assert torch.equal(out[here], torch.cat((later, earlier, x[here, 4:])))


def test_shift_of_fewer_channels_than_the_divisor_does_nothing() -> None:
    x = frames(clips=1, num_frames=3, channels=4)
    assert torch.equal(TemporalShift(4, num_frames=3, divisor=8)(x), x)


@pytest.mark.parametrize(
    ("offset", "rows"),
    [
        # A positive offset moves to later frames: frame t has a share of t - 1.
        (0.25, [[0.75, 0, 0], [0.25, 0.75, 0], [0, 0.25, 0.75]]),
        (-0.25, [[0.75, 0.25, 0], [0, 0.75, 0.25], [0, 0, 0.75]]),
        (1.5, [[0, 0, 0], [0.5, 0, 0], [0.5, 0.5, 0]]),
        (1.0, [[0, 0, 0], [1, 0, 0], [0, 1, 0]]),
        (2.0, [[0, 0, 0], [0, 0, 0], [1, 0, 0]]),
    ],
)
def test_interpolation(offset: float, rows: list[list[float]]) -> None:
    assert interpolation(torch.tensor(offset), num_frames=3).tolist() == rows


def test_the_gradient_of_an_offset_is_that_of_its_fraction() -> None:
    offset = torch.tensor(1.0, requires_grad=True)
    values = torch.tensor([2.0, 5.0, 11.0])
    # Frame 2 has (1 - r) of frame 1 and r of frame 0.
    (interpolation(offset, num_frames=3) @ values)[2].backward()
    assert offset.grad == 2 - 5


def test_interlacing_at_its_start() -> None:
    """With zero kernels offsets are 4 (0.625 - 0.5) = 0.5 and weights 2 * 0.5 = 1."""
    layer = TemporalInterlace(17, num_frames=4, divisor=2)
    with torch.no_grad():
        for weight in (layer.offsets.out.weight, layer.weights.conv.weight):
            weight.zero_()
    x = frames(clips=2, num_frames=4, channels=17)
    with torch.no_grad():
        out = layer(x).unflatten(0, (2, 4))
    x = x.unflatten(0, (2, 4))
    assert torch.equal(out[:, :, 8:], x[:, :, 8:])
    nothing = torch.zeros(2, 1, 4, 2, 3)
    padded = torch.cat((nothing, x[:, :, :4], nothing), dim=1)
    later = (padded[:, 1:-1] + padded[:, :-2]) / 2
    padded = torch.cat((nothing, x[:, :, 4:8], nothing), dim=1)
    earlier = (padded[:, 1:-1] + padded[:, 2:]) / 2
    expected = torch.cat((later, earlier), dim=2)
    torch.testing.assert_close(out[:, :, :8], expected, rtol=0, atol=1e-4)


def test_the_four_groups_have_their_own_offsets_and_weights() -> None:
    """Channel by channel, frame by frame, from the offsets and weights that the layer finds."""
    torch.manual_seed(0)
    layer = TemporalInterlace(8, num_frames=5, divisor=1)
    torch.nn.init.normal_(layer.offsets.out.bias)
    x = frames(clips=2, num_frames=5, channels=8)
    with torch.no_grad():
        out = layer(x)
        means = x.mean(dim=(2, 3)).unflatten(0, (2, 5)).transpose(1, 2)
        offsets, weights = layer.offsets(means), layer.weights(means)
    assert offsets.abs().max() < 2
    for clip in range(2):
        for group, (offset, sign) in enumerate(((0, 1), (1, 1), (0, -1), (1, -1))):
            moved = sign * float(offsets[clip, offset])
            whole = int(torch.tensor(moved).floor())
            for frame in range(5):
                own = slice(2 * group, 2 * group + 2)
                expected = torch.zeros(2, 2, 3)
                for source, share in (
                    (frame - whole, 1 - (moved - whole)),
                    (frame - whole - 1, moved - whole),
                ):
                    if 0 <= source < 5:
                        expected += share * x[5 * clip + source, own]
                expected *= weights[clip, frame, group % 2]
                torch.testing.assert_close(out[5 * clip + frame, own], expected)


def test_channels_that_are_no_four_groups_are_refused() -> None:
    with pytest.raises(ValueError, match="four groups of channels to interlace, found 6"):
        TemporalInterlace(24, num_frames=4, divisor=4)
