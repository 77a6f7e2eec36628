"""Parameter groups of the optimiser: learning rates and weight decay."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from mmad.config.training import TrainingSettings
from mmad.models.backbones.contract import Backbone, ParameterRole


def parameter_groups(model: nn.Module, settings: TrainingSettings) -> list[dict[str, Any]]:
    """Groups of the optimiser: name, learning rate, weight decay and parameters of each.

    As in the reference implementations of end-to-end detectors, all tensors of the adapters decay;
    of detector, heads and trained backbones, only the weights of linear layers and convolutions do.
    """
    decaying = {
        id(module.weight)
        for module in model.modules()
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv3d | nn.Conv2d)
        or getattr(module, "weight_decays", False)
    }
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
        if role is not None and role.role == "adapter":
            group = rows["adapters"]
        elif role is None:
            group = rows["detector_decay" if decays else "detector"]
        elif settings.layer_decay == 1:
            group = rows["backbone_decay" if decays else "backbone"]
        else:
            share = settings.layer_decay ** (deepest - role.depth)
            suffix = "_decay" if decays else ""
            group = row(
                f"backbone_{role.depth}{suffix}",
                share * settings.backbone_learning_rate,
                decays=decays,
            )
        group["params"].append(parameter)
        group["names"].append(name)
    return [group for group in rows.values() if group["params"]]


def roles_in_backbones(model: nn.Module) -> Mapping[str, ParameterRole]:
    """Role and depth of the parameters of all backbones in a model, by their names in the model."""
    return {
        f"{path}.{name}" if path else name: role
        for path, module in model.named_modules()
        if isinstance(module, Backbone)
        for name, role in module.roles().items()
    }
