"""The optimiser and its groups of parameters: learning rates and weight decay."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmad.config.training import TrainingSettings
from mmad.models.backbones.contract import Backbone, ParameterRole
from mmad.sharded import rows_for

_MOMENTUM = 0.9


def build_optimizer(
    groups: Sequence[Mapping[str, Any]], settings: TrainingSettings
) -> torch.optim.Optimizer:
    """The optimiser of the groups that `parameter_groups` returns."""
    plain = [{k: v for k, v in group.items() if k != "names"} for group in groups]
    if settings.optimizer == "adamw":
        # Fused: one pass over each parameter instead of ten, in a fifth of the time.
        return torch.optim.AdamW(plain, betas=(_MOMENTUM, settings.second_moment_decay), fused=True)
    return torch.optim.SGD(plain, momentum=settings.sgd_momentum, nesterov=settings.nesterov)


def shared_state(state: Mapping[str, Any], optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """A saved state of the optimiser with this process's rows of what belongs to its parameters."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    rows = {
        number: {
            name: rows_for(value, parameters[number])
            if isinstance(value, Tensor) and value.shape == parameters[number].shape
            else value
            for name, value in entries.items()
        }
        for number, entries in state["state"].items()
    }
    return {**state, "state": rows}


def parameter_groups(
    model: nn.Module, settings: TrainingSettings, *, factors: Mapping[str, float] | None = None
) -> list[dict[str, Any]]:
    """Groups of the optimiser: name, learning rate, weight decay and parameters of each.

    As in the reference implementations of end-to-end detectors, all tensors of the adapters decay;
    of detector, heads and trained backbones, those of ``weight_decay_on``.

    Args:
        model: Whole network; only parameters that require a gradient are in the groups.
        settings: Training settings.
        factors: Factors of learning rates, by name of the parameter; 1 for the others.
    """
    decaying, biases = _decaying(model, settings.weight_decay_on), _biases(model)
    roles = roles_in_backbones(model)
    deepest = max((role.depth for role in roles.values()), default=0)
    rows: dict[str, dict[str, Any]] = {}

    def row(name: str, rate: float, *, decays: bool) -> dict[str, Any]:
        decay = settings.weight_decay if decays else 0.0
        new = {"name": name, "lr": rate, "weight_decay": decay, "params": [], "names": []}
        return rows.setdefault(name, new)

    row("adapters", settings.adapter_learning_rate, decays=True)
    for part, rate in (
        ("backbone", settings.backbone_learning_rate),
        ("detector", settings.learning_rate),
    ):
        row(f"{part}_decay", rate, decays=True)
        row(part, rate, decays=False)
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        role = roles.get(name)
        decays = id(parameter) in decaying
        suffix = "_decay" if decays else ""
        if role is not None and role.role == "adapter":
            group = rows["adapters"]
        elif role is None:
            group = rows[f"detector{suffix}"]
        elif settings.layer_decay == 1:
            group = rows[f"backbone{suffix}"]
        else:
            share = settings.layer_decay ** (deepest - role.depth)
            group = row(
                f"backbone_{role.depth}{suffix}",
                share * settings.backbone_learning_rate,
                decays=decays,
            )
        factor = (factors or {}).get(name, 1.0)
        factor *= settings.bias_rate if id(parameter) in biases else 1.0
        if factor != 1:
            decays = group["weight_decay"] > 0
            group = row(f"{group['name']}_x{factor:g}", factor * group["lr"], decays=decays)
        group["params"].append(parameter)
        group["names"].append(name)
    return [group for group in rows.values() if group["params"]]


_LAYERS = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d


def _decaying(model: nn.Module, which: str) -> set[int]:
    """The ids of the parameters that decay, by ``weight_decay_on``."""
    if which == "weights":
        return {
            id(module.weight)
            for module in model.modules()
            if isinstance(module, _LAYERS) or getattr(module, "weight_decays", False)
        }
    kept: set[int] = set()
    for module in model.modules():
        if which != "all":
            kept |= {id(getattr(module, name, None)) for name in getattr(module, "tables", ())}
        if which == "all_but_norms" and "Norm" in type(module).__name__:
            kept |= {id(parameter) for parameter in module.parameters(recurse=False)}
    return {id(parameter) for parameter in model.parameters()} - kept


def _biases(model: nn.Module) -> set[int]:
    """The ids of the biases of linear layers and convolutions."""
    return {
        id(module.bias)
        for module in model.modules()
        if isinstance(module, _LAYERS) and module.bias is not None
    }


def roles_in_backbones(model: nn.Module) -> Mapping[str, ParameterRole]:
    """Role and depth of the parameters of all backbones in a model, by their names in the model."""
    return {
        f"{path}.{name}" if path else name: role
        for path, module in model.named_modules()
        if isinstance(module, Backbone)
        for name, role in module.roles().items()
    }
