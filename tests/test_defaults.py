"""Settings hold the defaults, and what is built of them has none."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import ModuleType

import pytest

from mmad.config.base import Settings
from mmad.config.detectors.union import settings_of_detector
from mmad.config.emotion import EmotionLossSettings, EmotionSettings
from mmad.config.inference import InferenceSettings
from mmad.config.recognisers.auxiliary_heads import AuxiliaryHeadsSettings, LossSettings
from mmad.config.recognisers.manet import MANetSettings
from mmad.config.recognisers.mlfe import MLFESettings
from mmad.models import detectors, emotion, recognisers
from mmad.models.detectors.families import DETECTORS
from mmad.models.from_settings import from_settings


def names_of(*groups: type[Settings]) -> set[str]:
    return {name for group in groups for name in group.model_fields}


# A folder, and the settings that its modules must not have defaults of. What is not named after a
# family may be part of any.
FAMILIES = {
    f"{detectors.__name__}.{name}": names_of(
        settings_of_detector({"name": name}), InferenceSettings
    )
    for name in DETECTORS
}
OF_ALL = set().union(*FAMILIES.values())
RECOGNISERS = {
    f"{recognisers.__name__}.auxiliary_heads": names_of(AuxiliaryHeadsSettings, LossSettings),
    f"{recognisers.__name__}.manet": names_of(MANetSettings, LossSettings),
    f"{recognisers.__name__}.mlfe": names_of(MLFESettings, LossSettings),
}


OF_EMOTION = names_of(EmotionSettings, EmotionLossSettings)


def modules_of(package: ModuleType) -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        yield importlib.import_module(found.name)


def with_defaults(module: ModuleType, settings: Iterable[str]) -> list[str]:
    """Arguments of the public classes and functions of ``module`` with a default and the name of a
    setting.
    """
    found = []
    for name, made in vars(module).items():
        own = getattr(made, "__module__", None) == module.__name__
        if name.startswith("_") or not own or not callable(made):
            continue
        for argument in inspect.signature(made).parameters.values():
            if argument.name in settings and argument.default is not argument.empty:
                found.append(f"{module.__name__}.{name}: {argument}")
    return found


@pytest.mark.parametrize(
    "module", [*modules_of(detectors), *modules_of(recognisers)], ids=lambda module: module.__name__
)
def test_nothing_has_a_default_that_its_settings_have(module: ModuleType) -> None:
    package = ".".join(module.__name__.split(".")[:4])
    assert with_defaults(module, (FAMILIES | RECOGNISERS).get(package, OF_ALL)) == []


@pytest.mark.parametrize("module", list(modules_of(emotion)), ids=lambda module: module.__name__)
def test_nor_has_the_network_of_emotions(module: ModuleType) -> None:
    assert with_defaults(module, OF_EMOTION) == []


def test_every_recogniser_is_looked_at() -> None:
    folders = {found.name for found in pkgutil.iter_modules(recognisers.__path__) if found.ispkg}
    assert folders == {name.rpartition(".")[2] for name in RECOGNISERS}


def test_a_default_is_found() -> None:
    module = ModuleType("toy")

    def build(*, dropout: float = 0.1, stride: int = 1) -> None: ...

    build.__module__ = "toy"
    module.build = build
    assert with_defaults(module, ["dropout"]) == ["toy.build: dropout: float = 0.1"]


# ---- what is made of settings ----


class Sizes(Settings):
    width: int = 3
    height: int = 4
    name: str = "sizes"


class Rates(Settings):
    rate: float = 0.5
    name: str = "rates"


@dataclass(frozen=True, kw_only=True)
class Made:
    width: int
    rate: float
    bias: bool
    steps: int = 9


def test_settings_are_taken_by_name() -> None:
    made = from_settings(Made, Sizes(width=5), Rates(), bias=True)
    assert made == Made(width=5, rate=0.5, bias=True, steps=9)
    assert from_settings(Made, Sizes(), Rates(), bias=True, width=7).width == 7


@pytest.mark.parametrize(
    ("make", "groups", "error", "message"),
    [
        (
            Made,
            [Sizes()],
            TypeError,
            "missing 2 required keyword-only arguments: 'rate' and 'bias'",
        ),
        (lambda name: name, [Sizes(), Rates()], AssertionError, "name is a setting of two groups"),
    ],
)
def test_what_is_missing_or_doubtful(
    make: Callable, groups: list[Settings], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        from_settings(make, *groups)
