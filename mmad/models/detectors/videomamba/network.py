"""The blocks of the VideoMamba detector: selective state spaces over time, in both directions.

Shapes: B batch, C channels, E channels inside a block, T steps, N states of a channel, R rank of
the step sizes, K kernel, S = R + 2N.

Sources: Mamba (arXiv 2312.00752, Eq. 2 and Alg. 2); Video Mamba Suite (arXiv 2403.09626) and its
released code, and that of OpenTAD.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional

from mmad.errors import MmadError
from mmad.models.layers.masked import ChannelNorm, mask_steps, masked_max_pool
from mmad.models.layers.transformer import drop_path

Scan = Literal["auto", "torch", "cuda"]

CHUNK_STEPS = 32  # 1024 steps are then 32 chunks: fewest sequential operations
SHORTEST_STEP, LONGEST_STEP = 1e-3, 1e-1  # step sizes before training


def _run_chunks(
    decay: Tensor, added: Tensor, states: Tensor, *, start: Tensor, backwards: bool
) -> Tensor:
    """The last state; all states are written to ``states``.

    Dimensions of all three are chunks, steps of a chunk, and any others. All chunks run
    in parallel: a first pass finds how each maps its first state to its last one, a second, with
    the first states known, all states. Only products of decays are formed, never quotients, so that
    nothing overflows.
    """
    num_chunks, num_steps = added.shape[:2]
    steps = range(num_steps)[:: -1 if backwards else 1]
    last = added[:, steps[0]].clone()
    product = decay[:, steps[0]].clone()
    for k in steps[1:]:
        torch.addcmul(added[:, k], decay[:, k], last, out=last)
        product *= decay[:, k]
    first = torch.empty_like(last)
    for chunk in range(num_chunks)[:: -1 if backwards else 1]:
        first[chunk] = start
        start = torch.addcmul(last[chunk], product[chunk], start)
    state = first
    for k in steps:
        state = torch.addcmul(added[:, k], decay[:, k], state, out=states[:, k])
    return start


def _recur(decay: Tensor, added: Tensor, *, backwards: bool = False) -> Tensor:
    """All states of ``state = decay * state + added`` from a state of 0, along the first dimension;
    from its end if ``backwards``.
    """
    states = torch.empty_like(added)
    even = len(added) - len(added) % CHUNK_STEPS
    parts = [slice(0, even), slice(even, len(added))]
    state = torch.zeros_like(added[0])
    for part in reversed(parts) if backwards else parts:
        size = min(part.stop - part.start, CHUNK_STEPS)
        if size > 0:
            chunks = [x[part].unflatten(0, (-1, size)) for x in (decay, added, states)]
            state = _run_chunks(*chunks, start=state, backwards=backwards)
    return states


class _Recurrence(torch.autograd.Function):
    """`_recur` with a gradient that is a recurrence itself; autograd would keep every step."""

    @staticmethod
    def forward(ctx: FunctionCtx, decay: Tensor, added: Tensor) -> Tensor:
        states = _recur(decay, added)
        ctx.save_for_backward(decay, states)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        decay, states = ctx.saved_tensors
        # A state reaches the loss by itself, and by the next state through the next decay. The
        # decay that the roll brings to the end meets a state of 0.
        of_added = _recur(decay.roll(-1, 0), gradient.contiguous(), backwards=True)
        of_decay = torch.zeros_like(decay)
        torch.mul(of_added[1:], states[:-1], out=of_decay[1:])
        return of_decay, of_added


@dataclass(frozen=True)
class ScanInputs:
    """The inputs of a selective scan; letters as in the paper, x and z as in the released code.

    Attributes:
        x_BET: x, the sequence.
        steps_BET: Delta, the step sizes, before bias and softplus.
        step_bias_E: Bias of the step sizes.
        decay_EN: A, negative.
        write_BNT: B, what a step writes into the states.
        read_BNT: C, what it reads of them.
        skip_E: D.
        gate_BET: z.
    """

    x_BET: Tensor
    steps_BET: Tensor
    step_bias_E: Tensor
    decay_EN: Tensor
    write_BNT: Tensor
    read_BNT: Tensor
    skip_E: Tensor
    gate_BET: Tensor


def scan_in_torch(inputs: ScanInputs) -> Tensor:
    """y, with shape and dtype of x: ``h_t = exp(s_t A) h_{t-1} + s_t B_t x_t`` and ``y_t = C_t h_t
    + D x_t``, times SiLU of z, where ``s`` is the softplus of the biased Delta; in float32 at
    least.
    """
    dtype = torch.promote_types(inputs.x_BET.dtype, torch.float32)

    def time_first(y: Tensor) -> Tensor:
        return y.to(dtype).permute(2, 0, 1).contiguous()

    with torch.autocast(inputs.x_BET.device.type, enabled=False):
        x_TBE, write_TBN = time_first(inputs.x_BET), time_first(inputs.write_BNT)
        steps_TBE = functional.softplus(time_first(inputs.steps_BET) + inputs.step_bias_E.to(dtype))
        decay_TBEN = torch.exp(steps_TBE[..., None] * inputs.decay_EN.to(dtype))
        added_TBEN = (steps_TBE * x_TBE)[..., None] * write_TBN[:, :, None]
        states_TBEN: Tensor = _Recurrence.apply(decay_TBEN, added_TBEN)
        y_TBE = torch.einsum("tben,tbn->tbe", states_TBEN, time_first(inputs.read_BNT))
        y_TBE = y_TBE + inputs.skip_E.to(dtype) * x_TBE
        y_TBE = y_TBE * functional.silu(time_first(inputs.gate_BET))
        return y_TBE.permute(1, 2, 0).to(inputs.x_BET.dtype)


@functools.cache
def compiled_scan() -> Callable[..., Tensor] | None:
    """The scan of the package ``mamba_ssm``, or None where that cannot be imported."""
    try:
        from mamba_ssm.ops.selective_scan_interface import selective_scan_fn
    except ImportError:
        return None
    return selective_scan_fn


@functools.cache
def compiled_conv() -> Callable[..., Tensor] | None:
    """The convolution of the package ``causal_conv1d``, or None where that cannot be imported."""
    try:
        from causal_conv1d import causal_conv1d_fn
    except ImportError:
        return None
    return causal_conv1d_fn


def scan_in_cuda(inputs: ScanInputs) -> Tensor:
    """As `scan_in_torch`, with the kernel of ``mamba_ssm``, which must be importable."""
    kernel = compiled_scan()
    assert kernel is not None, "choose_compiled comes first"

    def sequence(y: Tensor) -> Tensor:
        return y.to(inputs.x_BET.dtype).contiguous()

    return kernel(
        sequence(inputs.x_BET),
        sequence(inputs.steps_BET),
        inputs.decay_EN.float(),
        sequence(inputs.write_BNT),
        sequence(inputs.read_BNT),
        inputs.skip_E.float(),
        z=sequence(inputs.gate_BET),
        delta_bias=inputs.step_bias_E.float(),
        delta_softplus=True,
    )


def choose_compiled(scan: Scan, device: torch.device) -> bool:
    """Whether the scan of ``mamba_ssm`` is used.

    Raises:
        MmadError: ``scan`` is cuda, and the tensors are not on a GPU or the package is missing.
    """
    possible = device.type == "cuda" and compiled_scan() is not None
    if scan == "cuda" and not possible:
        package = "not importable" if compiled_scan() is None else "importable"
        raise MmadError(
            "scan: cuda: expected tensors on a GPU and the package mamba_ssm, found tensors on "
            f"{device.type} and mamba_ssm {package}; install it or set scan to auto"
        )
    return possible and scan != "torch"


class StateSpace(nn.Module):
    """One direction: causal convolution, SiLU, selective scan, gate.

    Before training, A is -1, ..., -N in every channel, D is 1, and the step sizes are spread evenly
    by their logarithm between 0.001 and 0.1.

    Args:
        channels: E.
        num_states: N.
        step_rank: R.
        kernel_size: Steps that the convolution sees, the last one its own.
        scan: ``cuda`` for the package ``mamba_ssm`` (and ``causal_conv1d`` if installed), ``torch``
            for the scan of this file, ``auto`` for the package if it can be used.
    """

    def __init__(
        self,
        channels: int,
        *,
        num_states: int,
        step_rank: int,
        kernel_size: int,
        scan: Scan,
    ) -> None:
        super().__init__()
        self.sizes = [step_rank, num_states, num_states]
        self.scan = scan
        self.conv = nn.Conv1d(channels, channels, kernel_size, groups=channels)
        self.select = nn.Linear(channels, sum(self.sizes), bias=False)
        self.steps = nn.Linear(step_rank, channels)
        decay_N = torch.arange(1, num_states + 1, dtype=torch.float32)
        self.log_decay = nn.Parameter(decay_N.log().repeat(channels, 1))
        self.skip = nn.Parameter(torch.ones(channels))
        nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]
        nn.init.uniform_(self.steps.weight, -(step_rank**-0.5), step_rank**-0.5)
        size_E = torch.empty(channels).uniform_(math.log(SHORTEST_STEP), math.log(LONGEST_STEP))
        with torch.no_grad():  # softplus(bias) is the step size
            self.steps.bias.copy_(size_E.exp().expm1().log())

    def _convolve(self, x_BET: Tensor, *, compiled: bool) -> Tensor:
        conv = compiled_conv() if compiled else None
        if conv is not None:
            weight_EK = self.conv.weight[:, 0].to(x_BET.dtype)
            assert self.conv.bias is not None
            bias_E = self.conv.bias.to(x_BET.dtype)
            return conv(x_BET.contiguous(), weight_EK, bias_E, activation="silu")
        reach = self.conv.kernel_size[0] - 1
        return functional.silu(self.conv(functional.pad(x_BET, (reach, 0))))

    def forward(self, x_BET: Tensor, gate_BET: Tensor, mask_BT: Tensor) -> Tensor:
        """The scanned sequence, same shape; unspecified where the mask is false.

        Masked steps are zero before the convolution and again after it, so the states remain zero
        up to a video's first step, whatever precedes it.
        """
        compiled = choose_compiled(self.scan, x_BET.device)
        x_BET = self._convolve(mask_steps(x_BET, mask_BT), compiled=compiled)
        x_BET = mask_steps(x_BET, mask_BT)
        selected_BTS = self.select(x_BET.transpose(1, 2))
        steps_BTR, write_BTN, read_BTN = selected_BTS.split(self.sizes, dim=-1)
        inputs = ScanInputs(
            x_BET,
            steps_BET=functional.linear(steps_BTR, self.steps.weight).transpose(1, 2),
            step_bias_E=self.steps.bias,
            decay_EN=-self.log_decay.exp(),
            write_BNT=write_BTN.transpose(1, 2),
            read_BNT=read_BTN.transpose(1, 2),
            skip_E=self.skip,
            gate_BET=gate_BET,
        )
        return scan_in_cuda(inputs) if compiled else scan_in_torch(inputs)


class DecomposedMamba(nn.Module):
    """DBM of the suite: each direction has its own input projection, and both share a state space;
    their outputs are concatenated and projected.

    Args:
        channels: C.
        expand: E / C.
        num_states, kernel_size, scan: As `StateSpace`.
    """

    def __init__(
        self, channels: int, *, expand: int, num_states: int, kernel_size: int, scan: Scan
    ) -> None:
        super().__init__()
        inner = expand * channels
        self.proj_in = nn.Linear(channels, 4 * inner, bias=False)
        self.both = StateSpace(
            inner,
            num_states=num_states,
            step_rank=math.ceil(channels / 16),
            kernel_size=kernel_size,
            scan=scan,
        )
        self.proj_out = nn.Linear(2 * inner, channels, bias=False)

    def forward(self, x_BCT: Tensor, mask_BT: Tensor) -> Tensor:
        """Transformed sequence, same shape; unspecified where the mask is false."""
        ahead, back = self.proj_in(x_BCT.transpose(1, 2)).transpose(1, 2).chunk(2, dim=1)
        x, gate = torch.cat((ahead, back.flip(-1))).chunk(2, dim=1)
        ahead, back = self.both(x, gate, torch.cat((mask_BT, mask_BT.flip(-1)))).chunk(2)
        y = torch.cat((ahead, back.flip(-1)), dim=1)
        return self.proj_out(y.transpose(1, 2)).transpose(1, 2)


class TwoWayMamba(nn.Module):
    """ViM: both directions share the input, and each has its own state space; their outputs are
    added and projected.

    Args:
        channels, expand, num_states, kernel_size, scan: As `DecomposedMamba`.
    """

    def __init__(
        self, channels: int, *, expand: int, num_states: int, kernel_size: int, scan: Scan
    ) -> None:
        super().__init__()
        inner = expand * channels
        self.proj_in = nn.Linear(channels, 2 * inner, bias=False)
        self.ahead, self.back = (
            StateSpace(
                inner,
                num_states=num_states,
                step_rank=math.ceil(channels / 16),
                kernel_size=kernel_size,
                scan=scan,
            )
            for _ in range(2)
        )
        self.proj_out = nn.Linear(inner, channels, bias=False)

    def forward(self, x_BCT: Tensor, mask_BT: Tensor) -> Tensor:
        """Transformed sequence, same shape; unspecified where the mask is false."""
        x, gate = self.proj_in(x_BCT.transpose(1, 2)).transpose(1, 2).chunk(2, dim=1)
        y = self.ahead(x, gate, mask_BT)
        y = y + self.back(x.flip(-1), gate.flip(-1), mask_BT.flip(-1)).flip(-1)
        return self.proj_out(y.transpose(1, 2)).transpose(1, 2)


MIXERS = {"dbm": DecomposedMamba, "vim": TwoWayMamba}


class MambaBlock(nn.Module):
    """Norm, Mamba in both directions, shortcut; with stride 2 a max-pool of their sum.

    Differs: the reference implementations let the backward direction start in the padding.
    OpenTAD's marks a pooled step as existing if any of its three does, so that a padded video of
    even length gains a step at each level; here, as in the suite's, every second step of the mask.

    Args:
        channels: C.
        mixer: ``dbm`` or ``vim``.
        stride: 2 halves the sequence.
        expand, num_states, kernel_size, scan: As `DecomposedMamba`.
        drop_path_rate: Probability to drop the residual of a window in training.
        norm_eps: Epsilon of the norm; the suite has 1e-5, OpenTAD 1e-6.
        scan_sees_padding: Scan the padding too, as the reference implementations do.
        pool_sees_padding: As `masked_max_pool`.
    """

    def __init__(
        self,
        channels: int,
        *,
        mixer: Literal["dbm", "vim"],
        stride: int = 1,
        expand: int,
        num_states: int,
        kernel_size: int,
        scan: Scan,
        drop_path_rate: float,
        norm_eps: float,
        scan_sees_padding: bool,
        pool_sees_padding: bool,
    ) -> None:
        super().__init__()
        self.stride = stride
        self.drop_path_rate = drop_path_rate
        self.scan_sees_padding = scan_sees_padding
        self.pool_sees_padding = pool_sees_padding
        self.norm = ChannelNorm(channels, eps=norm_eps)
        self.mamba = MIXERS[mixer](
            channels, expand=expand, num_states=num_states, kernel_size=kernel_size, scan=scan
        )
        self.scale = nn.Parameter(torch.full((1, channels, 1), 1e-4))

    def forward(self, x_BCT: Tensor, mask_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Sequence (B, C, T / stride) and its mask."""
        seen_BT = torch.ones_like(mask_BT) if self.scan_sees_padding else mask_BT
        x_BCT = mask_steps(x_BCT, seen_BT)
        mixed = mask_steps(self.mamba(self.norm(x_BCT), seen_BT), mask_BT)
        x_BCT = x_BCT + drop_path(
            self.scale * mixed, rate=self.drop_path_rate, training=self.training
        )
        if self.stride == 1:
            return x_BCT, mask_BT
        return masked_max_pool(
            x_BCT, mask_BT, stride=self.stride, sees_padding=self.pool_sees_padding
        )
