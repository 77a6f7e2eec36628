"""Multiply-adds of a network, counted by fvcore in a trace of one pass, with handlers of our own.

A backward pass is counted from the same trace: a product of two operands takes as many
multiply-adds again for the gradient of each operand that needs one.
"""

import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from mmad.errors import MmadError

# Values of the traced graph, which have types and shapes but no numbers.
Values = Sequence[Any]
Handle = Callable[[Values, Values], Counter[str]]

_BACKWARD = " backward"


@dataclass(frozen=True)
class Operations:
    """What a pass computes.

    Attributes:
        forward: Multiply-adds of the forward pass by kind of operation.
        backward: Multiply-adds of the backward pass by kind of operation; empty if nothing needs a
            gradient.
        by_module: Multiply-adds of the forward pass inside each module, by its name.
        elementwise: Operations that are not counted by convention, and how often each was met:
            sums, activations, pooling.
        unknown: All others that could not be counted.
    """

    forward: Mapping[str, int]
    backward: Mapping[str, int]
    by_module: Mapping[str, int]
    elementwise: Mapping[str, int]
    unknown: Mapping[str, int]


def count_operations(model: nn.Module, run: Callable[[], object]) -> Operations:
    """The operations of ``run()``, which calls ``model`` and may compute losses of its outputs.

    With gradients enabled, the backward pass is counted, too; activations that are computed again
    in it (activation checkpointing) are not.

    Raises: MmadError without the package fvcore.
    """
    analysis = _analysis(_Traced(model, run))
    counts = analysis.by_module_and_operator()
    forward, backward = _passes(counts[""])
    by_module = {
        name.removeprefix("model").removeprefix("."): sum(_passes(found)[0].values())
        for name, found in counts.items()
        if name
    }
    missed = {_short(name): number for name, number in analysis.unsupported_ops().items()}
    return Operations(
        forward=forward,
        # Weights need a gradient even where none is computed.
        backward=backward if torch.is_grad_enabled() else {},
        by_module=by_module,
        elementwise={name: n for name, n in missed.items() if name.rstrip("_") in _ELEMENTWISE},
        unknown={name: n for name, n in missed.items() if name.rstrip("_") not in _ELEMENTWISE},
    )


def require_fvcore() -> None:
    """Raise MmadError unless fvcore can be imported."""
    try:
        import fvcore.nn  # noqa: F401
    except ImportError as cause:
        raise MmadError(
            "counting multiply-adds needs the package fvcore; pip install 'mmad[profile]'"
        ) from cause


class _Traced(nn.Module):
    """A call without arguments as a module, as the tracer wants it.

    The tracer follows tensors, so one is passed, which nothing depends on.
    """

    def __init__(self, model: nn.Module, run: Callable[[], object]) -> None:
        super().__init__()
        self.model = model
        self.run = run

    def forward(self, nothing: Tensor) -> tuple[Tensor, ...]:
        return nothing, *tensors_in(self.run())


def tensors_in(value: object) -> list[Tensor]:
    """The tensors in nested sequences, mappings and dataclasses."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, Mapping):
        parts: Sequence[object] = list(value.values())
    elif isinstance(value, list | tuple):
        parts = value
    elif is_dataclass(value):
        parts = [getattr(value, field.name) for field in fields(value)]
    else:
        return []
    return [tensor for part in parts for tensor in tensors_in(part)]


def _analysis(traced: _Traced) -> Any:
    require_fvcore()
    from fvcore.nn.jit_analysis import JitModelAnalysis

    analysis = JitModelAnalysis(traced, (torch.zeros(1),))
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    analysis.tracer_warnings("none")
    analysis.set_op_handle(**_handles())
    for name in _FREE:
        analysis.set_op_handle(f"aten::{name}", None)
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # whole layers in one operation
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the tracer, about branches that depend on numbers
            analysis.total()
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    return analysis


def _passes(counts: Mapping[str, float]) -> tuple[dict[str, int], dict[str, int]]:
    """Counts of the forward and of the backward pass, without zeros."""
    forward: dict[str, int] = {}
    backward: dict[str, int] = {}
    for name, number in counts.items():
        if number:
            kind = backward if name.endswith(_BACKWARD) else forward
            kind[name.removesuffix(_BACKWARD)] = round(number)
    return forward, backward


def _short(name: str) -> str:
    """``mul`` for ``aten::mul``; ``Name`` for the autograd function of that name."""
    return name.removeprefix("aten::").removeprefix("prim::PythonOp.")


# ---- handlers ----


def _shape(value: Any) -> list[int]:
    sizes = value.type().sizes()
    assert sizes is not None, f"the trace has no shape for {value}"
    return sizes


def _needs_gradient(value: Any) -> bool:
    return value.isCompleteTensor() and value.requires_grad()


def _counted(name: str, forward: float, operands: Values) -> Counter[str]:
    """An operation, and its backward pass: as much again for each operand that needs a gradient."""
    again = sum(_needs_gradient(one) for one in operands)
    return Counter({name: forward, f"{name}{_BACKWARD}": again * forward})


def _product(first: int = 0, name: str = "matrix product") -> Handle:
    """Products over the last dimension of the operand at ``first``, with the next one."""

    def handle(inputs: Values, outputs: Values) -> Counter[str]:
        number = prod(_shape(outputs[0])) * _shape(inputs[first])[-1]
        return _counted(name, number, inputs[first : first + 2])

    return handle


def _attention(inputs: Values, outputs: Values) -> Counter[str]:
    """``softmax(q k' + mask) v``: two products, and four in the backward pass."""
    query, key, value, mask = inputs[:4]
    length = _shape(key)[-2]
    weights = prod(_shape(query)[:-1]) * length  # numbers of the attention map
    of_map, of_values = weights * _shape(query)[-1], weights * _shape(value)[-1]
    needs_query, needs_key, needs_value = map(_needs_gradient, (query, key, value))
    through_map = needs_query or needs_key or _needs_gradient(mask)
    backward = of_values * (needs_value + through_map) + of_map * (needs_query + needs_key)
    name = "attention"
    return Counter({name: of_map + of_values, f"{name}{_BACKWARD}": backward})


def _scan(inputs: Values, outputs: Values) -> Counter[str]:
    """The recurrence ``h = a h + b``, and the two products that make each a and each b.

    What reads the states is a matrix product of its own.
    """
    return _counted("scan", 3 * prod(_shape(outputs[0])), inputs[:2])


def _compiled_scan(inputs: Values, outputs: Values) -> Counter[str]:
    """As `_scan`, with what reads the states, of the kernel in ``mamba_ssm``: inputs x, step sizes,
    A.
    """
    x, _, decay = inputs[:3]
    return _counted("scan", 4 * prod(_shape(x)) * _shape(decay)[-1], (x, decay))


def _compiled_conv(inputs: Values, outputs: Values) -> Counter[str]:
    """The convolution of each channel in ``causal_conv1d``: inputs x and kernels."""
    x, kernels = inputs[:2]
    return _counted("convolution", prod(_shape(x)) * _shape(kernels)[-1], (x, kernels))


def _interpolation(reads: int) -> Handle:
    """Interpolation between ``reads`` numbers."""

    def handle(inputs: Values, outputs: Values) -> Counter[str]:
        return _counted("interpolation", reads * prod(_shape(outputs[0])), inputs[:1])

    return handle


def _handles() -> dict[str, Handle]:
    """Handlers of ours and of fvcore by operation."""
    from fvcore.nn.jit_handles import (
        batchnorm_flop_jit,
        conv_flop_jit,
        einsum_flop_jit,
        norm_flop_counter,
    )

    def theirs(name: str, count: Callable[..., Any], weight: int = 1) -> Handle:
        """A handler of fvcore; the operands are the first input and ``weight``."""

        def handle(inputs: Values, outputs: Values) -> Counter[str]:
            found = count(inputs, outputs)
            number = sum(found.values()) if isinstance(found, Counter) else found
            return _counted(name, number, (inputs[0], inputs[weight]))

        return handle

    def einsum(inputs: Values, outputs: Values) -> Counter[str]:
        operands = list(inputs[1].node().inputs())
        return _counted("matrix product", einsum_flop_jit(inputs, outputs), operands)

    return {
        "aten::_convolution": theirs("convolution", conv_flop_jit),
        "aten::linear": _product(name="linear"),
        "aten::matmul": _product(),
        "aten::mm": _product(),
        "aten::bmm": _product(),
        "aten::addmm": _product(first=1),
        "aten::baddbmm": _product(first=1),
        "aten::einsum": einsum,
        "aten::scaled_dot_product_attention": _attention,
        "aten::batch_norm": theirs("norm", batchnorm_flop_jit),
        "aten::layer_norm": theirs("norm", norm_flop_counter(2), weight=2),
        "aten::rms_norm": theirs("norm", norm_flop_counter(2), weight=2),
        "aten::group_norm": theirs("norm", norm_flop_counter(2), weight=2),
        "aten::instance_norm": theirs("norm", norm_flop_counter(1)),
        "aten::upsample_nearest1d": _interpolation(1),
        "aten::upsample_nearest2d": _interpolation(1),
        "aten::upsample_linear1d": _interpolation(2),
        "aten::upsample_bilinear2d": _interpolation(4),
        "aten::upsample_bicubic2d": _interpolation(16),
        "aten::upsample_trilinear3d": _interpolation(8),
        "aten::grid_sampler": _interpolation(4),
        "prim::PythonOp._Recurrence": _scan,
        "prim::PythonOp.SelectiveScanFn": _compiled_scan,
        "prim::PythonOp.CausalConv1dFn": _compiled_conv,
    }


# Operations that compute no number: they copy, choose, compare or describe. fvcore knows others.
_FREE = (
    *("__or__", "_unique2", "abs", "alias", "any", "argmax", "argsort", "bernoulli", "bernoulli_"),
    *("bitwise_and", "bitwise_or", "ceil", "clamp_max", "clamp_min", "clone", "diff", "embedding"),
    *("empty_like", "expand_as", "fill_", "flip", "item", "le", "lift_fresh", "logical_and"),
    *("logical_not", "logical_or", "lt", "masked_fill_", "max_pool1d", "max_pool2d"),
    *(
        "max_pool3d",
        "maximum",
        "meshgrid",
        "min",
        "minimum",
        "movedim",
        "ne",
        "new_ones",
        "numel",
        "one_hot",
    ),
    *("ones_like", "pad", "rand", "rand_like", "randn_like", "repeat", "repeat_interleave"),
    *(
        "round",
        "scatter",
        "scatter_",
        "sign",
        "sort",
        "swapaxes",
        "take_along_dim",
        "tensor_split",
        "tile",
        "topk",
        "unflatten",
    ),
    *("unfold", "unique_consecutive", "where", "zero_"),
)
# Arithmetic of single numbers, sums and means, which are not counted by convention.
_ELEMENTWISE = frozenset(
    (
        *("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "add", "addcmul"),
        *("avg_pool1d", "avg_pool2d", "avg_pool3d", "cos", "cumsum", "div", "exp", "gelu"),
        *("hardtanh", "leaky_relu", "lerp", "linalg_vector_norm", "log", "log_softmax", "logit"),
        *("mean", "mul", "neg", "norm", "pow", "prod", "rsqrt", "rsub", "scatter_add", "sigmoid"),
        *("silu", "sin", "softmax", "softplus", "sqrt", "square", "std", "sub", "sum"),
        *("tanh", "var"),
    )
)
