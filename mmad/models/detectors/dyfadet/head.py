"""The dynamic head of DyFADet: gated fusion of neighbouring levels of the pyramid.

Shapes: B batch, C channels, T steps of a level, k steps of a kernel, S = C k shifted channels.

Source: DyFADet (arXiv 2407.03197, dynamic head) and its released code, also in OpenTAD; the gate
and the routes between levels come from arXiv 2012.03519, which does so for images.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmad.models.detectors.losses import set_prior
from mmad.models.layers.masked import ChannelNorm, MaskedConv1d, mask_steps


def open_gate(x: Tensor, *, tau: float) -> Tensor:
    """Opening of a gate, 0 to 1: shut at 0 and below; above, a larger ``tau`` opens it more slowly.

    >>> open_gate(torch.tensor([-1.0, 0.0, 50.0]), tau=1.5).tolist()
    [0.0, 0.0, 1.0]
    """
    shut = math.tanh(tau)
    return ((torch.tanh(x - tau) + shut) / (1 + shut)).clamp(min=0)


def start_gate(gate: nn.Conv1d, *, opening: float | None, tau: float) -> None:
    """Set the bias of ``gate`` so that an input of zeros opens it by ``opening``; None leaves it as
    it is.

    A gate that is shut gets no gradient. A gate per step on the output of a ReLU is easily shut at
    all steps by its initial weights, and the layers before it are then never trained.
    """
    if opening is None:
        return
    shut = math.tanh(tau)
    nn.init.constant_(gate.bias, tau + math.atanh(opening * (1 + shut) - shut))  # type: ignore[arg-type]


def shift_steps(x_BCT: Tensor, *, kernel_size: int) -> Tensor:
    """The k neighbours of each step as channels, (B, C k, T): channel c k + i is channel c, i - k
    // 2 steps later; zero beyond the ends.

    A point-wise convolution of it is a convolution over k steps; before it, each of the k can be
    weighted at each step.
    """
    reach = kernel_size // 2
    steps = x_BCT.shape[2]
    padded = functional.pad(x_BCT, (reach, kernel_size - 1 - reach))
    shifted = [padded[:, :, first : first + steps] for first in range(kernel_size)]
    return torch.stack(shifted, dim=2).flatten(1, 2)


class GatedConv(nn.Module):
    """Convolution with a gate for each channel and step of its input, then layer norm.

    Args:
        channels: C.
        kernel_size: k, odd; of convolution and gate.
        stride: 2 keeps every second step.
        gate_tau: As `open_gate`.
        initial_gate: Initial opening of the gates, as `start_gate`. Differs: the released settings
            have one, 0.1 or 1, but no released code reads it; that is None here.
        square: Weight a shifted feature by its gate times itself, as the released code does; if
            false by its gate only, the formula of the paper.
        norm_eps: Epsilon of the norm.
    """

    def __init__(
        self,
        channels: int,
        *,
        kernel_size: int,
        stride: int,
        gate_tau: float,
        initial_gate: float | None,
        square: bool,
        norm_eps: float,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride
        self.gate_tau = gate_tau
        self.square = square
        self.gate = nn.Conv1d(
            channels, channels, kernel_size, padding=kernel_size // 2, groups=channels
        )
        start_gate(self.gate, opening=initial_gate, tau=gate_tau)
        self.proj = nn.Conv1d(channels * kernel_size, channels, 1)
        self.norm = ChannelNorm(channels, eps=norm_eps)

    def forward(self, x_BCT: Tensor, mask_BT: Tensor) -> Tensor:
        """Sequence (B, C, T / stride)."""
        gate_BCT = open_gate(self.gate(x_BCT), tau=self.gate_tau)
        shifted_BST = shift_steps(x_BCT, kernel_size=self.kernel_size)[:, :, :: self.stride]
        weights_BST = gate_BCT[:, :, :: self.stride].repeat_interleave(self.kernel_size, dim=1)
        if self.square:
            weights_BST = weights_BST * shifted_BST
        out_BCT = self.norm(self.proj(shifted_BST * weights_BST))
        return mask_steps(out_BCT, mask_BT[:, :: self.stride])


class ReweightedConv(nn.Module):
    """Convolution whose input channels are weighted at each step by a second convolution with a
    gate per step; then layer norm.

    Args:
        channels, kernel_size, gate_tau, initial_gate, norm_eps: As `GatedConv`; both convolutions
            have k steps.
        mask_inside: Zero what is shifted beyond a video's end before it is weighted; the released
            code does not.
    """

    def __init__(
        self,
        channels: int,
        *,
        kernel_size: int,
        gate_tau: float,
        initial_gate: float | None,
        norm_eps: float,
        mask_inside: bool,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.gate_tau = gate_tau
        self.mask_inside = mask_inside
        shifted, reach = channels * kernel_size, kernel_size // 2
        self.weight = nn.Conv1d(shifted, channels, kernel_size, padding=reach)
        self.weight_norm = ChannelNorm(channels, eps=norm_eps)
        self.gate = nn.Conv1d(shifted, 1, kernel_size, padding=reach)
        start_gate(self.gate, opening=initial_gate, tau=gate_tau)
        self.proj = nn.Conv1d(shifted, channels, 1)
        self.norm = ChannelNorm(channels, eps=norm_eps)

    def forward(self, x_BCT: Tensor, mask_BT: Tensor) -> Tensor:
        """Transformed sequence, same shape."""
        shifted_BST = shift_steps(x_BCT, kernel_size=self.kernel_size)
        if self.mask_inside:
            shifted_BST = mask_steps(shifted_BST, mask_BT)
        gate_B1T = open_gate(self.gate(shifted_BST), tau=self.gate_tau)
        weights_BCT = self.weight_norm(self.weight(shifted_BST)) * gate_B1T
        weights_BST = weights_BCT.repeat_interleave(self.kernel_size, dim=1)
        return mask_steps(self.norm(self.proj(shifted_BST * weights_BST)), mask_BT)


class NeighbourFusion(nn.Module):
    """Adds gated convolutions of the next finer and next coarser level to each level, and convolves
    the sum; shared by all levels.

    Args:
        channels, kernel_size, gate_tau, initial_gate, square, norm_eps, mask_inside: As `GatedConv`
            and `ReweightedConv`.
    """

    def __init__(
        self,
        channels: int,
        *,
        kernel_size: int,
        gate_tau: float,
        initial_gate: float | None,
        square: bool,
        norm_eps: float,
        mask_inside: bool,
    ) -> None:
        super().__init__()
        assert kernel_size % 2 == 1, "kernels are odd, so that they have a middle"
        self.mask_inside = mask_inside
        self.from_finer, self.from_coarser = (
            GatedConv(
                channels,
                kernel_size=kernel_size,
                stride=stride,
                gate_tau=gate_tau,
                initial_gate=initial_gate,
                square=square,
                norm_eps=norm_eps,
            )
            for stride in (2, 1)
        )
        self.combine = ReweightedConv(
            channels,
            kernel_size=kernel_size,
            gate_tau=gate_tau,
            initial_gate=initial_gate,
            norm_eps=norm_eps,
            mask_inside=mask_inside,
        )
        self.neighbour_weight = nn.Parameter(torch.zeros(()))
        self.own_weight = nn.Parameter(torch.ones(()))

    def forward(self, levels: Sequence[Tensor], masks: Sequence[Tensor]) -> list[Tensor]:
        """Levels of the same shapes, finest first."""
        out = []
        for level, (x_BCT, mask_BT) in enumerate(zip(levels, masks, strict=True)):
            fused = self.own_weight * x_BCT
            if level > 0:
                finer = self.from_finer(levels[level - 1], masks[level - 1])
                fused = fused + self.neighbour_weight * finer
            if level + 1 < len(levels):
                coarser = self.from_coarser(levels[level + 1], masks[level + 1])
                fused = fused + self.neighbour_weight * coarser.repeat_interleave(2, dim=2)
            if self.mask_inside:  # a coarser step can reach beyond a video's end
                fused = mask_steps(fused, mask_BT)
            out.append(functional.relu(self.combine(fused, mask_BT)))
        return out


class DynamicTower(nn.Module):
    """Fusions of the levels, and the output convolution.

    Args:
        channels: C.
        out_channels: Channels of the output.
        num_layers: Number of fusions.
        prior: Initial score of every class; None for a tower that does not classify.
        keywords: Arguments of `NeighbourFusion`.
    """

    def __init__(
        self,
        channels: int,
        out_channels: int,
        *,
        num_layers: int,
        prior: float | None,
        **keywords: object,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            NeighbourFusion(channels, **keywords)  # type: ignore[arg-type]
            for _ in range(num_layers)
        )
        self.out = MaskedConv1d(channels, out_channels, kernel_size=3)
        if prior is not None:
            set_prior(self.out.conv, prior)

    def forward(self, levels: Sequence[Tensor], masks: Sequence[Tensor]) -> list[Tensor]:
        """Raw output of each level, (B, out_channels, T); at least two levels."""
        assert len(levels) > 1, "a single level has no neighbours"
        for layer in self.layers:
            levels = layer(levels, masks)
        return [self.out(x, mask)[0] for x, mask in zip(levels, masks, strict=True)]
