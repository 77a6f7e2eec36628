"""Calls with settings as arguments, matched by name."""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from mmad.config.base import Settings

_Made = TypeVar("_Made")


def from_settings(make: Callable[..., _Made], *groups: Settings, **others: Any) -> _Made:
    """What ``make`` returns for ``others`` and for every setting that has the name of an argument.

    A setting is then named where it is declared and where it is used, and nowhere in between. As in
    any call, Python raises a TypeError for a missing argument without a default.

    Args:
        make: Class or function whose arguments can all be passed by name.
        groups: Settings; those that ``make`` has no argument for are ignored.
        others: Arguments that are not settings, or differ from the setting of that name.
    """
    settings: dict[str, Any] = {}
    for group in groups:
        for name in inspect.signature(make).parameters.keys() & type(group).model_fields.keys():
            assert name not in settings, f"{name} is a setting of two groups"
            settings[name] = getattr(group, name)
    return make(**(settings | others))
