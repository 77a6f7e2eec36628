"""Reversible residual connections, whose activations are recomputed from the output.

Two streams u and v start as the same map; each branch f reads one and is added to the other,
(u, v) -> (v, u + f(v)), so that u = v' - f(u') gives the input of a branch back from its output.
What the backward pass needs is therefore computed anew, one branch at a time, and only the two
streams at the end are kept, however many branches there are.

Sources: reversible residual networks (arXiv 1707.04585), Re2TAL (arXiv 2211.14053), and OpenTAD's
code of it. Differs: OpenTAD repeats random numbers by seeding torch's generator anew in every
pass; here the state of the generator is restored.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

from mmad.models.layers.batch_norm import keeping_statistics

# For the backward pass: recompute activations from the output, recompute those of a branch from its
# input, which is kept, or keep them all.
Activations = Literal["from_output", "from_inputs", "kept"]


@dataclass(frozen=True)
class Branch:
    """What is added to a stream.

    Attributes:
        run: Gives what is added, of the size of its argument, which it must not change.
        modules: Modules with the parameters and batch norms that it uses.
    """

    run: Callable[[Tensor], Tensor]
    modules: Sequence[nn.Module]

    def parameters(self) -> list[nn.Parameter]:
        """The parameters that are trained."""
        found = (p for module in self.modules for p in module.parameters())
        return [parameter for parameter in found if parameter.requires_grad]


def couple(x: Tensor, branches: Sequence[Branch], *, activations: Activations) -> Tensor:
    """The mean of both streams after all branches, same shape and type as ``x``.

    The streams are float32 at least: a sum that was rounded to 16 bits would not give its parts
    back. Outputs do not depend on ``activations``; nothing is kept where no gradient is asked for.
    """
    trained = any(branch.parameters() for branch in branches)
    differentiated = torch.is_grad_enabled() and (x.requires_grad or trained)
    if torch.jit.is_tracing():  # for operations that are to be counted: all are seen
        activations = "kept"
    u = v = x.to(torch.promote_types(x.dtype, torch.float32))
    if not differentiated or activations == "kept":
        for branch in branches:
            u, v = v, u + branch.run(v)
    elif activations == "from_inputs":
        for branch in branches:
            u, v = v, u + _checkpointed(branch, v)
    else:
        behind = _Streams()
        for number, branch in enumerate(branches):
            u, v = v, _Added.apply(u, v, behind, branch, number == 0, *branch.parameters())
        u, v = _End.apply(u, v, behind)
    return ((u + v) / 2).to(x.dtype)


def _checkpointed(branch: Branch, v: Tensor) -> Tensor:
    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), keeping_statistics(branch.modules)

    return checkpoint(branch.run, v, use_reentrant=False, context_fn=contexts)


class _Streams:
    """In the backward pass, both streams behind the branch that is next."""

    u: Tensor
    v: Tensor


class _Added(torch.autograd.Function):
    """u + f(v) without a graph, which is made on the way back, when v is the stream u behind it."""

    @staticmethod
    def forward(
        ctx: Any,
        u: Tensor,
        v: Tensor,
        behind: _Streams,
        branch: Branch,
        is_first: bool,
        *parameters: nn.Parameter,
    ) -> Tensor:
        ctx.behind, ctx.branch, ctx.is_first, ctx.parameters = behind, branch, is_first, parameters
        ctx.autocast = _autocast_as_now(v.device)
        before = _random_states(v.device)
        with ctx.autocast():
            added = branch.run(v)
        ctx.states = before if _differ(before, _random_states(v.device)) else None
        return u + added

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        behind = ctx.behind
        v = behind.u.detach().requires_grad_()
        with (
            torch.enable_grad(),
            ctx.autocast(),
            keeping_statistics(ctx.branch.modules),
            _drawing_again(ctx.states, v.device),
        ):
            added = ctx.branch.run(v)
        if ctx.is_first:
            del behind.u, behind.v
        else:
            behind.u, behind.v = behind.v - added.detach(), behind.u
        of_v, *of_parameters = torch.autograd.grad(
            added, [v, *ctx.parameters], gradient.to(added.dtype), allow_unused=True
        )
        return gradient, of_v, None, None, None, *of_parameters


class _End(torch.autograd.Function):
    """Both streams as they are, kept for the branches before them."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, v: Tensor, behind: _Streams) -> tuple[Tensor, Tensor]:
        ctx.behind = behind
        ctx.save_for_backward(u, v)
        return u.view_as(u), v.view_as(v)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_u: Tensor, of_v: Tensor) -> tuple[Tensor | None, ...]:
        # Without their graph, which would hold itself by way of the streams.
        ctx.behind.u, ctx.behind.v = (stream.detach() for stream in ctx.saved_tensors)
        return of_u, of_v, None


def _autocast_as_now(device: torch.device) -> Callable[[], torch.autocast]:
    """Makes contexts with the present mixed precision.

    Without its cache of weights: those that were cast without a graph would be taken again where
    there is one. Each weight is used once in a pass, so nothing is lost.
    """
    enabled = torch.is_autocast_enabled(device.type)
    dtype = torch.get_autocast_dtype(device.type)
    return lambda: torch.autocast(device.type, dtype=dtype, enabled=enabled, cache_enabled=False)


def _random_states(device: torch.device) -> list[Tensor]:
    """States of the generators that a branch can draw from, the CPU's first."""
    states = [torch.get_rng_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    return states


def _differ(before: Sequence[Tensor], after: Sequence[Tensor]) -> bool:
    return not all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


@contextmanager
def _drawing_again(states: Sequence[Tensor] | None, device: torch.device) -> Iterator[None]:
    """Within it the generators are in these states; None: nothing is drawn."""
    if states is None:
        yield
        return
    is_cuda = device.type == "cuda"
    with torch.random.fork_rng([device] if is_cuda else []):
        torch.set_rng_state(states[0])
        if is_cuda:
            torch.cuda.set_rng_state(states[1], device)
        yield
