"""Exchange of channels between the frames of a clip, in the blocks of a 2D network, and their gate.

Shapes: N clips, T frames of a clip, M = N x T, C channels, G groups of them, H W height and width.

Sources: TSM (arXiv 1811.08383) and TIN (arXiv 2001.06499), as mmaction2 computes them; the gate is
squeeze-and-excitation (arXiv 1709.01507) as MANet has it (Guo et al., section IV-C).
"""

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

# The sigmoid of the start bias is 0.625: frames are interlaced by half a step.
_START_BIAS = 0.5108
_GROUPS = 4


class Exchange(nn.Module):
    """What precedes the convolutions of a block: a gate, an exchange between frames, a convolution.

    Args:
        channels: C.
        gate: Scales the channels of each frame.
        movement: Moves channels between frames.
        convolves: A 3x3 convolution and ReLU follow.
    """

    def __init__(
        self,
        channels: int,
        *,
        gate: nn.Module | None,
        movement: nn.Module | None,
        convolves: bool,
    ) -> None:
        super().__init__()
        self.gate, self.movement = gate, movement
        self.convolution = nn.Conv2d(channels, channels, 3, padding=1) if convolves else None

    def forward(self, x_MCHW: Tensor) -> Tensor:
        """Features, same shape."""
        x = x_MCHW
        if self.gate is not None:
            x = self.gate(x)
        if self.movement is not None:
            x = self.movement(x)
        return x if self.convolution is None else functional.relu(self.convolution(x))


class FrameGate(nn.Module):
    """Squeeze-and-excitation: a weight from 0 to 1 for each channel of each frame.

    Args:
        channels: C.
        squeeze: C / width of the hidden layer.
    """

    def __init__(self, channels: int, *, squeeze: int) -> None:
        super().__init__()
        hidden = channels // squeeze
        self.down = nn.Linear(channels, hidden, bias=False)
        self.up = nn.Linear(hidden, channels, bias=False)

    def forward(self, x_MCHW: Tensor) -> Tensor:
        """Scaled features, same shape."""
        return x_MCHW * self.weights(x_MCHW.mean(dim=(2, 3)))[:, :, None, None]

    def weights(self, means_MC: Tensor) -> Tensor:
        """Weights of the channels, (M, C), from their means."""
        return torch.sigmoid(self.up(functional.relu(self.down(means_MC))))


class TemporalShift(nn.Module):
    """Shift of two shares of the channels by one frame, to and fro (TSM).

    Args:
        channels: C.
        num_frames: T.
        divisor: The first C // divisor channels of a frame are those of the next one, as many more
            those of the frame before; zeros at both ends of the clip.
    """

    def __init__(self, channels: int, *, num_frames: int, divisor: int) -> None:
        super().__init__()
        self.num_frames, self.fold = num_frames, channels // divisor

    def forward(self, x_MCHW: Tensor) -> Tensor:
        """Shifted features, same shape."""
        x_NTCHW = rearrange(x_MCHW, "(n t) c h w -> n t c h w", t=self.num_frames)
        rest = x_NTCHW.shape[2] - 2 * self.fold
        later, earlier, same = x_NTCHW.split([self.fold, self.fold, rest], dim=2)
        shifted = (_after(later[:, 1:], zeros=0), _after(earlier[:, :-1], zeros=1), same)
        return torch.cat(shifted, dim=2).flatten(0, 1)


def _after(x_NTCHW: Tensor, *, zeros: int) -> Tensor:
    """The frames with one frame of zeros more: at the beginning if ``zeros``, else at the end."""
    return functional.pad(x_NTCHW, (0, 0, 0, 0, 0, 0, zeros, 1 - zeros))


class TemporalInterlace(nn.Module):
    """Movement of a share of the channels by learned offsets, weighted by frame (TIN).

    The first C // divisor channels are four groups. Two offsets of a clip, from -2 to 2 steps, and
    their opposites move them, by interpolation between frames; then two weights of every frame,
    from 0 to 2, scale them: one the first and third group, one the others.

    Args:
        channels: C.
        num_frames: T.
        divisor: C / channels that move.
    """

    def __init__(self, channels: int, *, num_frames: int, divisor: int) -> None:
        super().__init__()
        self.num_frames, self.fold = num_frames, channels // divisor
        if not self.fold or self.fold % _GROUPS:
            raise ValueError(
                f"expected four groups of channels to interlace, found {self.fold} channels"
            )
        self.offsets = FrameOffsets(self.fold, num_frames=num_frames)
        self.weights = FrameWeights(self.fold)

    def forward(self, x_MCHW: Tensor) -> Tensor:
        """Interlaced features, same shape."""
        moved, same = x_MCHW.split([self.fold, x_MCHW.shape[1] - self.fold], dim=1)
        means_NCT = rearrange(moved.mean(dim=(2, 3)), "(n t) c -> n c t", t=self.num_frames)
        offsets_N2, weights_NT2 = self.offsets(means_NCT), self.weights(means_NCT)
        offsets_NG = torch.cat((offsets_N2, -offsets_N2), dim=1)
        weights_NTG = torch.cat((weights_NT2, weights_NT2), dim=2)
        mixing_NGTS = interpolation(offsets_NG, num_frames=self.num_frames)
        mixing_NGTS = mixing_NGTS * rearrange(weights_NTG, "n t g -> n g t 1")
        groups = rearrange(moved, "(n t) (g c) h w -> n g t (c h w)", t=self.num_frames, g=_GROUPS)
        out = rearrange(
            mixing_NGTS.to(groups.dtype) @ groups,
            "n g t (c h w) -> (n t) (g c) h w",
            h=x_MCHW.shape[2],
            w=x_MCHW.shape[3],
        )
        return torch.cat((out, same), dim=1)


class FrameOffsets(nn.Module):
    """Two offsets of each clip in steps, from -2 to 2; positive ones move to later frames.

    Args:
        channels: C.
        num_frames: T.
    """

    def __init__(self, channels: int, *, num_frames: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, 1, 3, padding=1)
        self.hidden = nn.Linear(num_frames, num_frames)
        self.out = nn.Linear(num_frames, 2)
        assert self.conv.bias is not None
        nn.init.zeros_(self.conv.bias)
        nn.init.constant_(self.out.bias, _START_BIAS)

    def forward(self, means_NCT: Tensor) -> Tensor:
        """Offsets (N, 2) from the means of the channels."""
        hidden = functional.relu(self.hidden(self.conv(means_NCT)[:, 0]))
        return 4 * (torch.sigmoid(self.out(hidden)) - 0.5)


class FrameWeights(nn.Module):
    """Two weights of each frame, from 0 to 2.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, 2, 3, padding=1)
        assert self.conv.bias is not None
        nn.init.zeros_(self.conv.bias)

    def forward(self, means_NCT: Tensor) -> Tensor:
        """Weights (N, T, 2) from the means of the channels."""
        return rearrange(2 * torch.sigmoid(self.conv(means_NCT)), "n g t -> n t g")


def interpolation(offsets: Tensor, *, num_frames: int) -> Tensor:
    """Share of each source frame in each target frame, (..., T target, T source).

    A target frame is interpolated between the two frames around ``target - offset``; zeros outside
    of the clip. Gradients reach the offset through the share of the earlier one.

    >>> interpolation(torch.tensor(0.25), num_frames=3)[1].tolist()
    [0.25, 0.75, 0.0]
    """
    whole = offsets.floor()[..., None, None]
    share = offsets[..., None, None] - whole
    frames = torch.arange(num_frames, device=offsets.device)
    distance = frames[:, None] - frames
    zero = torch.zeros_like(share)
    return torch.where(
        distance == whole, 1 - share, torch.where(distance == whole + 1, share, zero)
    )
