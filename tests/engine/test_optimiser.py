"""Learning rates and weight decay of each parameter, and the optimisers' steps."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import nn

from mmad.config.backbones.timesformer import TimeSformerSettings
from mmad.config.backbones.video_swin import VideoSwinSettings
from mmad.config.reading import parse_any_config
from mmad.config.recognition import ClipTrainingSettings, RecognitionConfig
from mmad.config.training import TrainingSettings
from mmad.engine.optimiser import build_optimizer, parameter_groups
from mmad.engine.recognition import last_layer_factors
from mmad.labels import MA52
from mmad.models.backbones.timesformer.build import FAMILY as TIMESFORMER
from mmad.models.backbones.video_swin.build import FAMILY as VIDEO_SWIN
from mmad.models.build import build_recogniser

TSM_RULES = {"bias_rate": 2.0, "last_layer_rate": 5.0}
RATES = {"learning_rate": 0.01, "backbone_learning_rate": 0.01, "weight_decay": 1e-4}


def recogniser_config(*, heads: dict, compat: str | None = None, **training: Any) -> Any:
    content = {
        "task": "recognition",
        "compat": compat,
        "data": {"train": ["x"], "clips": "y"},
        "backbone": {
            "name": "resnet2d",
            "depth": 18,
            "base_channels": 8,
            "temporal": "shift",
            "freeze": False,
        },
        "heads": heads,
        "losses": {"f1": False},
        "training": {"epochs": 1, **RATES, **training},
    }
    config = parse_any_config(content, source="test")
    assert isinstance(config, RecognitionConfig)
    return config


def of_each(model: nn.Module, settings: TrainingSettings, **kwargs: Any) -> Mapping[str, Any]:
    """(rate, decay) of each parameter by name, rates rounded to twelve digits."""
    groups = parameter_groups(model, settings, **kwargs)
    rows = {name: (g["lr"], g["weight_decay"]) for g in groups for name in g["names"]}
    return {name: (round(rate, 12), decay) for name, (rate, decay) in rows.items()}


PLAIN = {"classifier": "linear", "frame": False, "coarse": False, "frame_coarse": False}


def test_rules_of_tsm() -> None:
    config = recogniser_config(heads=PLAIN, **TSM_RULES)
    model = build_recogniser(config, labels=MA52)
    found = of_each(model, config.training, factors=last_layer_factors(model, config.training))
    expected = {}
    for path, module in model.named_modules():
        for name, _ in module.named_parameters(recurse=False):
            if isinstance(module, nn.Linear):  # the classifier: 5 and 2 * 5 times
                row = (0.01 * 5, 1e-4) if name == "weight" else (0.01 * 2 * 5, 0.0)
            elif isinstance(module, nn.Conv2d):  # without biases, the first one, too
                row = (0.01, 1e-4)
            else:
                row = (0.01, 0.0)
            expected[f"{path}.{name}"] = row
    assert found == expected
    assert len(found) == 20 * 3 + 2  # 17 + 3 convolutions with norms of two parameters


@pytest.mark.parametrize(("compat", "fast"), [(None, "fine"), ("released", "mapping.2")])
def test_the_last_layer_of_manet(compat: str | None, fast: str) -> None:
    heads = {"name": "manet", "embedding": "letters", "embedding_width": 6}
    config = recogniser_config(heads=heads, compat=compat, **TSM_RULES)
    model = build_recogniser(config, labels=MA52)
    found = of_each(model, config.training, factors=last_layer_factors(model, config.training))
    for layer in ("fine", "mapping.0", "mapping.2"):
        factor = 5 if layer == fast else 1
        assert found[f"heads.{layer}.weight"] == (factor * 0.01, 1e-4)
        assert found[f"heads.{layer}.bias"] == (2 * factor * 0.01, 0.0)


def test_the_rules_belong_to_the_released_code_of_manet() -> None:
    heads = {"name": "manet", "embedding": "letters"}
    found = {
        compat: recogniser_config(heads=heads, compat=compat).training.model_dump()
        for compat in (None, "released")
    }
    rules = {"last_layer": "last", **TSM_RULES}
    assert {
        key: value for key, value in found["released"].items() if found[None][key] != value
    } == rules


def test_nothing_is_faster_unless_asked() -> None:
    config = recogniser_config(heads=PLAIN)
    model = build_recogniser(config, labels=MA52)
    assert last_layer_factors(model, config.training) == {}
    assert {rate for rate, _ in of_each(model, config.training).values()} == {0.01}


def decaying(model: nn.Module, which: str) -> set[str]:
    settings = ClipTrainingSettings(epochs=1, weight_decay_on=which)
    return {name for name, (_, decay) in of_each(model, settings).items() if decay}


def test_what_decays() -> None:
    timesformer = TIMESFORMER.build(TimeSformerSettings(freeze=False).tiny()[0])
    names = {name for name, _ in timesformer.named_parameters()}
    assert decaying(timesformer, "all") == names
    tables = {"class_token", "position_table", "time_table"}
    assert decaying(timesformer, "all_but_tables") == names - tables
    norms = {name for name in names if "norm" in name}
    assert decaying(timesformer, "all_but_norms") == names - tables - norms
    assert decaying(timesformer, "weights") == {
        name for name in names - norms if name.endswith("weight")
    }
    swin = VIDEO_SWIN.build(VideoSwinSettings(freeze=False).tiny()[0])
    left = {name for name, _ in swin.named_parameters()} - decaying(swin, "all_but_tables")
    assert left
    assert all(name.endswith("bias_table") for name in left)


@pytest.mark.parametrize("nesterov", [False, True])
def test_two_steps_of_sgd(nesterov: bool) -> None:
    settings = TrainingSettings(epochs=1, optimizer="sgd", momentum=0.5, nesterov=nesterov, **RATES)
    layer = nn.Linear(1, 1, bias=False)
    layer.weight.data.fill_(2.0)
    optimizer = build_optimizer(parameter_groups(layer, settings), settings)
    weight, velocity = 2.0, 0.0
    for gradient in (3.0, -1.0):
        layer.weight.grad = torch.full((1, 1), gradient)
        optimizer.step()
        decayed = gradient + 1e-4 * weight
        velocity = 0.5 * velocity + decayed
        weight -= 0.01 * (decayed + 0.5 * velocity if nesterov else velocity)
        assert layer.weight.item() == pytest.approx(weight, rel=1e-6)


def test_momentum_is_that_of_the_reference_implementations() -> None:
    settings = TrainingSettings(epochs=1, optimizer="sgd")
    groups = parameter_groups(nn.Linear(1, 1), settings)
    assert build_optimizer(groups, settings).param_groups[0]["momentum"] == 0.9
