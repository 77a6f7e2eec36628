"""The cost of a network: its numbers, their tables for the terminal, and their JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

_UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True)
class PassCost:
    """The cost of one pass over the input.

    Attributes:
        multiply_adds: Multiply-adds by kind of operation.
        milliseconds: Median time.
        milliseconds_range: Shortest and longest time.
        peak_memory_bytes: Memory of tensors at the most, weights included.
    """

    multiply_adds: Mapping[str, int]
    milliseconds: float
    milliseconds_range: tuple[float, float]
    peak_memory_bytes: int

    @property
    def total(self) -> int:
        """Multiply-adds of all operations."""
        return sum(self.multiply_adds.values())


@dataclass(frozen=True)
class ModuleCost:
    """A module: its parameters, those that are trained, and its multiply-adds in a forward pass."""

    name: str
    parameters: int
    trained: int
    multiply_adds: int


@dataclass(frozen=True)
class Profile:
    """The cost of a network.

    Attributes:
        input: Description of the input of a pass.
        unit: What costs are given for: clip, second of video, or window.
        units: Number of units in the input.
        views: Views of a clip that a prediction averages; 1 in detection.
        assumed: Assumptions about data that are not there.
        hardware: Device, threads and type of numbers.
        modules: The network itself, named "", and all modules in it, in order.
        forward: A forward pass for inference.
        training: A training step: forward, losses, backward, optimiser.
        elementwise: Operations that are not counted by convention, and how often each was met.
        unknown: Operations that could not be counted, and how often each was met.
    """

    input: str
    unit: str
    units: float
    views: int
    assumed: tuple[str, ...]
    hardware: str
    modules: tuple[ModuleCost, ...]
    forward: PassCost
    training: PassCost
    elementwise: Mapping[str, int]
    unknown: Mapping[str, int]

    @property
    def whole(self) -> ModuleCost:
        """The network itself."""
        return self.modules[0]


def size_text(number: float) -> str:
    """A number with a decimal prefix, in four digits.

    >>> size_text(23_508_032), size_text(32.7e9), size_text(812), size_text(0)
    ('23.51 M', '32.70 G', '812', '0')
    """
    for size, prefix in _UNITS:
        if number >= size:
            return f"{number / size:.2f} {prefix}"
    return f"{number:g}"


def cost_table(profile: Profile) -> Table:
    """Multiply-adds, time and memory of both passes; the first two for a unit of the input."""
    table = Table(title=f"Cost per {profile.unit}", title_justify="left")
    table.add_column("")
    for name in ("forward", "training step"):
        table.add_column(name, justify="right")
    passes = (profile.forward, profile.training)
    kinds = dict.fromkeys(kind for one in passes for kind in one.multiply_adds)

    def per_unit(numbers: list[float]) -> list[str]:
        return [size_text(number / profile.units) for number in numbers]

    table.add_row("multiply-adds", *per_unit([one.total for one in passes]), style="bold")
    for kind in sorted(kinds, key=lambda kind: -profile.training.multiply_adds.get(kind, 0)):
        table.add_row(f"  {kind}", *per_unit([one.multiply_adds.get(kind, 0) for one in passes]))
    times = [f"{one.milliseconds / profile.units:.1f}" for one in passes]
    table.add_row("milliseconds", *times, style="bold")
    memory = [f"{one.peak_memory_bytes / 2**20:.0f} MiB" for one in passes]
    table.add_row("peak memory (whole input)", *memory, style="bold")
    return table


def module_table(profile: Profile, *, depth: int) -> Table:
    """Parameters and multiply-adds (forward, per unit) of the modules down to a depth."""
    table = Table(title=f"Modules (multiply-adds per {profile.unit})", title_justify="left")
    table.add_column("module")
    for name in ("parameters", "trained", "multiply-adds", "share"):
        table.add_column(name, justify="right")
    whole = profile.whole
    for module in modules_to(profile, depth=depth):
        level = module.name.count(".") + 1 if module.name else 0
        share = module.multiply_adds / whole.multiply_adds if whole.multiply_adds else 0.0
        table.add_row(
            "  " * level + (module.name.rpartition(".")[2] or "all"),
            size_text(module.parameters),
            size_text(module.trained),
            size_text(module.multiply_adds / profile.units),
            f"{share:.1%}",
        )
    return table


def modules_to(profile: Profile, *, depth: int) -> list[ModuleCost]:
    """The modules at most ``depth`` names below the network, without those that cost nothing."""
    return [
        module
        for module in profile.modules
        if (not module.name or module.name.count(".") < depth)
        and (module.parameters or module.multiply_adds)
    ]


def notes_text(profile: Profile) -> str:
    """Text on what was assumed and what was not counted."""
    lines = [f"assumed: {text}" for text in profile.assumed]
    if profile.views > 1:
        lines.append(
            f"a prediction averages {profile.views} views of a clip: "
            f"{size_text(profile.views * profile.forward.total / profile.units)} multiply-adds"
        )
    if profile.elementwise:
        lines.append(f"not counted, by convention: {_listed(profile.elementwise)}")
    if profile.unknown:
        lines.append(f"NOT COUNTED, so the multiply-adds are too few: {_listed(profile.unknown)}")
    return "\n".join(lines)


def _listed(operations: Mapping[str, int]) -> str:
    often = sorted(operations.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} ({number})" for name, number in often)


def profile_json(profile: Profile, *, depth: int) -> dict[str, Any]:
    """The numbers of the tables, and those of the whole input."""
    passes = {"forward": profile.forward, "training": profile.training}
    return {
        "input": profile.input,
        "unit": profile.unit,
        "units": profile.units,
        "views": profile.views,
        "assumed": list(profile.assumed),
        "hardware": profile.hardware,
        "parameters": profile.whole.parameters,
        "trained": profile.whole.trained,
        "per_unit": {
            name: {
                "multiply_adds": one.total / profile.units,
                "milliseconds": one.milliseconds / profile.units,
            }
            for name, one in passes.items()
        },
        **{name: {"total": one.total, **asdict(one)} for name, one in passes.items()},
        "not_counted": {"by_convention": profile.elementwise, "unknown": profile.unknown},
        "modules": [asdict(module) for module in modules_to(profile, depth=depth)],
    }
