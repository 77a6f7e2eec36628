"""Trained networks written as single files, and compared with what they were written from."""

import contextlib
import io
import re
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmad.errors import ExportError
from mmad.export.description import KEY, Description
from mmad.export.networks import ExportedNetwork
from mmad.export.packages import OPSET, package
from mmad.export.sessions import Session, first_line
from mmad.files import write_bytes

Format = Literal["onnx", "torchscript", "pt2"]
SUFFIXES: Mapping[str, str] = {"onnx": ".onnx", "torchscript": ".ts", "pt2": ".pt2"}
# Largest difference from PyTorch, as a share of 1 + |value|.
TOLERANCE = 1e-4
_LARGEST_ONNX = 2**31
# Largest dimension of a pt2 file.
_LONGEST = 2**20

Run = Callable[..., Mapping[str, Any]]


@dataclass(frozen=True)
class Comparison:
    """How far an exported file is from the network.

    Attributes:
        largest: Largest difference of any output, as a share of 1 + |value|.
        sizes: (number, length) of the calls that were compared.
    """

    largest: float
    sizes: tuple[tuple[int, int], ...]


def write_network(
    network: ExportedNetwork, description: Description, out: Path, *, format: Format
) -> Comparison:
    """Write the file and compare what it gives with what the network gives.

    Args:
        network: The network, in the form that is exported.
        description: What the file says of itself.
        out: New file.
        format: Format of the file.

    Raises: ExportError if it cannot be written, with the operator, or is not equal to the network;
        then there is no file.
    """
    network = network.eval().requires_grad_(False)
    with tempfile.TemporaryDirectory(prefix="mmad-") as folder, torch.no_grad():
        partial = Path(folder) / f"network{SUFFIXES[format]}"
        with _told_operator():
            run = _WRITERS[format](network, description, partial)
        least = network.least_length if format == "pt2" else 1
        comparison = compare(network, run, least_length=least)
        write_bytes(out, partial.read_bytes())
    return comparison


def compare(network: ExportedNetwork, run: Run, *, least_length: int = 1) -> Comparison:
    """How far ``run`` is from the network, for windows of several numbers and lengths.

    Args:
        network: The network.
        run: What the file gives, by name.
        least_length: Smallest length that the file takes.

    Raises: ExportError if further than `TOLERANCE`, or not defined for one of them.
    """
    largest = 0.0
    sizes = tuple((number, max(length, least_length)) for number, length in network.sizes)
    for number, length in sizes:
        inputs = network.example(number, length)
        expected = network.reference(*inputs)
        try:
            found = run(*inputs)
        except (ExportError, RuntimeError) as error:
            raise ExportError(
                f"{_NOT_EXPORTED}: with {number} x {length} it fails at {_operator_in(error)}; a "
                "part of it is fixed to one length; try another --format"
            ) from None
        for name, value in expected.items():
            difference = difference_of(np.asarray(found[name]), value.cpu().numpy())
            if not difference <= TOLERANCE:
                raise ExportError(
                    f"the exported network is not equal to the trained one: with {number} x "
                    f"{length}, output {name} differs by {difference:.2g} (expected at most "
                    f"{TOLERANCE:g}); nothing was written"
                )
            largest = max(largest, difference)
        derived = network.derived_difference(found)
        if not derived <= TOLERANCE:
            raise ExportError(
                f"the candidates in the exported network are not those of mmad: with {number} x "
                f"{length} they differ by {derived:.2g} (expected at most {TOLERANCE:g}); nothing "
                "was written"
            )
        largest = max(largest, derived)
    return Comparison(largest, sizes)


def difference_of(found: NDArray[Any], expected: NDArray[Any]) -> float:
    """Largest difference of two arrays as a share of 1 + |expected|; infinite for other shapes.

    >>> difference_of(np.array([1.0, 3.0]), np.array([1.0, 1.0]))
    1.0
    """
    if found.shape != expected.shape:
        return float("inf")
    if not found.size:
        return 0.0
    found, expected = found.astype(np.float64), expected.astype(np.float64)
    with np.errstate(invalid="ignore"):
        distance = np.where(found == expected, 0.0, np.abs(found - expected))
        return float((distance / (1 + np.abs(expected))).max())


def _example(network: ExportedNetwork) -> tuple[Tensor, ...]:
    # Neither number nor length is that of another dimension, nor of a call that is compared.
    length = 2 if network.sizes[-1][1] < 10 else 170
    return network.example(3, max(length, network.least_length + 1))


def _write_onnx(network: ExportedNetwork, description: Description, path: Path) -> Run:
    onnx = package("onnx")
    package("onnxruntime")
    size = sum(value.numel() * value.element_size() for value in network.state_dict().values())
    if size > _LARGEST_ONNX:
        raise ExportError(
            f"the weights take {size / 2**30:.1f} GiB, and an ONNX file holds 2 at most; pass "
            "--format pt2"
        )
    inputs = _example(network)
    names = list(network(*network.example(1, 1)))
    with _quiet_tracing():
        torch.onnx.export(
            network,
            inputs,
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=list(network.inputs),
            output_names=names,
            dynamic_axes={name: dict(axes) for name, axes in network.axes.items()},
        )
    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, {KEY: description.model_dump_json()})
    shapes = {tensor.name: tensor.shape for tensor in description.outputs}
    for output in model.graph.output:
        # Those of the traced example are no promise.
        output.type.tensor_type.ClearField("shape")
        for size in shapes.get(output.name, ()):
            dimension = output.type.tensor_type.shape.dim.add()
            field = "dim_param" if isinstance(size, str) else "dim_value"
            setattr(dimension, field, size)
    model.doc_string = "\n".join(description.lines())
    model.producer_name, model.producer_version = "mmad", description.mmad
    onnx.save(model, str(path))
    return Session(path)


def _write_torchscript(network: ExportedNetwork, description: Description, path: Path) -> Run:
    inputs = _example(network)
    with _quiet_tracing():
        traced = torch.jit.trace(network, inputs, check_trace=False, strict=False)
        torch.jit.save(
            traced, str(path), _extra_files={f"{KEY}.json": description.model_dump_json()}
        )
        return torch.jit.load(str(path))


def _write_pt2(network: ExportedNetwork, description: Description, path: Path) -> Run:
    inputs = _example(network)
    names = {axis for axes in network.axes.values() for axis in axes.values()}
    dims: dict[str, Any] = {}
    for name in names:
        times = network.multiples.get(name, 1)
        least = 1 if name in ("windows", "views") else network.least_length
        label = name if times == 1 else f"{name}_part"
        unit = torch.export.Dim(label, min=least, max=_LONGEST)
        dims[name] = unit if times == 1 else times * unit
    shapes = tuple(
        {axis: dims[dim] for axis, dim in network.axes[name].items()} for name in network.inputs
    )
    with _quiet_tracing():
        program = torch.export.export(network, inputs, dynamic_shapes=shapes)
        torch.export.save(
            program, str(path), extra_files={f"{KEY}.json": description.model_dump_json()}
        )
        return torch.export.load(str(path)).module()


_WRITERS: Mapping[str, Callable[[ExportedNetwork, Description, Path], Run]] = {
    "onnx": _write_onnx,
    "torchscript": _write_torchscript,
    "pt2": _write_pt2,
}


@contextlib.contextmanager
def _quiet_tracing() -> Iterator[None]:
    """No warnings of the tracer, whose guesses `compare` checks, and no fused attention of torch's
    own, which no other runtime knows.
    """
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    torch._C._jit_set_onnx_log_enabled(False)  # a dump of the whole graph, on standard output
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


# In the messages of torch's exporters, of its tracer, and of onnxruntime.
_OPERATORS = (
    r"operator '?([\w:.]+)",
    r"running (\w+ node\. Name:'[^']+')",
    r"Python function call '(\w+)'",
    r"(aten[:.]+\w+)",
)
_NOT_EXPORTED = "this network cannot be exported in this format"


@contextlib.contextmanager
def _told_operator() -> Iterator[None]:
    """What torch cannot export as one message with the operator."""
    try:
        yield
    except (ExportError, MemoryError):
        raise
    except Exception as error:  # its exporters raise many kinds
        raise ExportError(
            f"{_NOT_EXPORTED}: it fails at {_operator_in(error)}; try another --format"
        ) from None


def _operator_in(error: Exception) -> str:
    """The operator that a message names, else its first line."""
    for pattern in _OPERATORS:
        if found := re.search(pattern, str(error)):
            return f"the operator {found[1]}"
    return first_line(error)
