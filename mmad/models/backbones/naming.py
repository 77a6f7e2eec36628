"""Renaming of tensors from other projects' names to ours."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

Rules = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Renamed:
    """Tensors under our names.

    Attributes:
        naming: Project whose names the file had.
        tensors: Tensors by our names.
        origins: Our name -> names in the file; more than one where tensors were joined.
        family: Family of the network, by its name in the settings.
    """

    naming: str
    tensors: Mapping[str, Tensor]
    origins: Mapping[str, tuple[str, ...]]
    family: str = ""


@dataclass(frozen=True)
class WeightNaming:
    """One project's tensor names of a network.

    Attributes:
        name: Name of the project.
        mark: Pattern of a tensor name that identifies its files.
        rules: (pattern, replacement), applied to every name in this order.
        finish: Joins or reshapes tensors after renaming.
        mark_ndim: Dimensions of that tensor, where 2D and 3D networks have the same names.
        condition: What else the tensors of its files must be, where networks share names.
    """

    name: str
    mark: str
    rules: Rules = ()
    finish: Callable[[Renamed], Renamed] | None = None
    mark_ndim: int | None = None
    condition: Callable[[Mapping[str, Tensor]], bool] = lambda tensors: True

    def fits(self, tensors: Mapping[str, Tensor]) -> bool:
        """Whether a file with these tensors is one of this project."""
        marked = (name for name in tensors if re.search(self.mark, name))
        is_marked = any(self.mark_ndim in (None, tensors[name].ndim) for name in marked)
        return is_marked and self.condition(tensors)


def rename(name: str, rules: Rules) -> str:
    r"""The name after all rules.

    >>> rename("layer1.0.bn.weight", [(r"layer([0-9])", r"stages.\1"), (r"[.]bn[.]", ".norm.")])
    'stages.1.0.norm.weight'
    """
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def rename_tensors(tensors: Mapping[str, Tensor], naming: WeightNaming) -> Renamed:
    """Tensors of a file under our names; names that no rule matches are kept."""
    origins = {rename(name, naming.rules): (name,) for name in tensors}
    renamed = {name: tensors[origin] for name, (origin,) in origins.items()}
    found = Renamed(naming.name, renamed, origins)
    return found if naming.finish is None else naming.finish(found)


def joined_attention(found: Renamed) -> Renamed:
    """The tensors with separate projections of queries, keys and values joined into one.

    Biases are joined where all three have one.
    """
    tensors, origins = dict(found.tensors), dict(found.origins)
    for name in found.tensors:
        match = re.fullmatch(r"(.*\.attn)\.query\.(weight|bias)", name)
        if match is None:
            continue
        parts = [f"{match[1]}.{part}.{match[2]}" for part in ("query", "key", "value")]
        if all(part in tensors for part in parts):
            joined = f"{match[1]}.qkv.{match[2]}"
            tensors[joined] = torch.cat([tensors.pop(part) for part in parts])
            origins[joined] = tuple(origin for part in parts for origin in origins.pop(part))
    return replace(found, tensors=tensors, origins=origins)


def without_prefix(
    tensors: Mapping[str, Tensor], prefixes: Sequence[str]
) -> dict[str, tuple[str, Tensor]]:
    """Name without the first of ``prefixes`` that any name starts with -> (name, tensor)."""
    prefix = next((p for p in prefixes if any(n.startswith(p) for n in tensors)), "")
    return {name.removeprefix(prefix): (name, value) for name, value in tensors.items()}
