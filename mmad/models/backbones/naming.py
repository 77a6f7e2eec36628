"""From the names that other projects give to tensors to ours."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

Rules = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Renamed:
    """Tensors under our names.

    Attributes:
        naming: whose names the file had.
        tensors: by our name.
        origins: our name -> names in the file; more than one where tensors were joined.
        family: of the network, by its name in the settings.
    """

    naming: str
    tensors: Mapping[str, Tensor]
    origins: Mapping[str, tuple[str, ...]]
    family: str = ""


@dataclass(frozen=True)
class WeightNaming:
    """How one project calls the tensors of a network.

    Attributes:
        name: of the project.
        mark: pattern of a name by which its files are known.
        rules: (pattern, replacement), applied to every name in this order.
        finish: joins or reshapes tensors once they are renamed.
    """

    name: str
    mark: str
    rules: Rules = ()
    finish: Callable[[Renamed], Renamed] | None = None

    def fits(self, names: Sequence[str]) -> bool:
        """Whether a file with these names is one of this project."""
        return any(re.search(self.mark, name) for name in names)


def rename(name: str, rules: Rules) -> str:
    r"""The name after all rules.

    >>> rename("layer1.0.bn.weight", [(r"layer([0-9])", r"stages.\1"), (r"[.]bn[.]", ".norm.")])
    'stages.1.0.norm.weight'
    """
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def rename_tensors(tensors: Mapping[str, Tensor], naming: WeightNaming) -> Renamed:
    """Tensors of a file under our names; what no rule knows keeps its name."""
    origins = {rename(name, naming.rules): (name,) for name in tensors}
    renamed = {name: tensors[origin] for name, (origin,) in origins.items()}
    found = Renamed(naming.name, renamed, origins)
    return found if naming.finish is None else naming.finish(found)


def without_prefix(
    tensors: Mapping[str, Tensor], prefixes: Sequence[str]
) -> dict[str, tuple[str, Tensor]]:
    """Name without the first of ``prefixes`` that any name begins with -> (name, tensor)."""
    prefix = next((p for p in prefixes if any(n.startswith(p) for n in tensors)), "")
    return {name.removeprefix(prefix): (name, value) for name, value in tensors.items()}
