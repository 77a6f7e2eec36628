"""What is made of settings by the names of its arguments."""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from mmad.config.base import Settings

_Made = TypeVar("_Made")


def from_settings(make: Callable[..., _Made], *groups: Settings, **others: Any) -> _Made:
    """What ``make`` returns for ``others`` and for every setting that an argument of it is named
    after.

    A setting is then written down where it is declared and where it is used, and nowhere between.
    As in any call, Python raises a TypeError for an argument that neither is given nor has a
    default.

    Args:
        make: Class or function; all of its arguments can be given by name.
        groups: Settings; of those that ``make`` has no argument for, nothing is used.
        others: Arguments that are no settings, and those that differ from the setting of that name.
    """
    settings: dict[str, Any] = {}
    for group in groups:
        for name in inspect.signature(make).parameters.keys() & type(group).model_fields.keys():
            assert name not in settings, f"{name} is a setting of two groups"
            settings[name] = getattr(group, name)
    return make(**(settings | others))
