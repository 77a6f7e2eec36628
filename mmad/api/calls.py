"""What all calls from Python share: arguments, messages in the words of Python, warnings, paths."""

import difflib
import functools
import inspect
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import ParamSpec, TypeVar

from mmad.errors import MmadError, MmadWarning

Place = str | os.PathLike[str]
Given = ParamSpec("Given")
Result = TypeVar("Result")

_FLAGS = ("details", "only-predicted", "overwrite", "random-weights", "resume", "strict")
# A command in full is left as it is.
_OPTION = re.compile(
    r"mmad [a-z][^;,()]*|--(?P<name>[a-z][a-z-]*)(?P<value> [A-Z]+\b| [^\s:]+(?=:))?"
)


class ArgumentError(MmadError, TypeError):
    """A function has no argument of this name."""


def in_python(message: str) -> str:
    """A message with options of the command line as arguments.

    >>> in_python("pass --annotations FILE, or --only-predicted (see mmad eval --help)")
    'pass annotations=FILE, or only_predicted=True (see mmad eval --help)'
    """

    def argument(found: re.Match[str]) -> str:
        option, value = found["name"], found["value"]
        if option is None:
            return found.group()
        name = option.replace("-", "_")
        if value:
            return f"{name}={value.strip()}"
        return f"{name}=True" if option in _FLAGS else name

    return _OPTION.sub(argument, message)


def public(function: Callable[Given, Result]) -> Callable[Given, Result]:
    """A function of the Python interface: unknown arguments name the nearest one, and messages
    speak of arguments instead of options.

    Raises: ArgumentError if there is no such argument.
    """
    known = inspect.signature(function).parameters
    takes_any = any(one.kind is one.VAR_KEYWORD for one in known.values())

    @functools.wraps(function)
    def called(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        for name in kwargs:
            if name not in known and not takes_any:
                raise ArgumentError(_no_such_argument(function.__name__, name, [*known]))
        try:
            return function(*args, **kwargs)
        except MmadError as error:
            error.args = (in_python(str(error)), *error.args[1:])
            raise

    return called


def _no_such_argument(function: str, name: str, known: Sequence[str]) -> str:
    names = [one for one in known if one != "self"]
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(names)}"
    return f"{function}() has no argument '{name}'; {hint}"


def warn(notices: Iterable[str]) -> None:
    """Issue each notice as a warning at the line that called mmad."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and _is_ours(frame.f_globals.get("__name__", "")):
        level, frame = level + 1, frame.f_back
    for notice in notices:
        warnings.warn(in_python(notice), MmadWarning, stacklevel=level)


def _is_ours(module: str) -> bool:
    return module.split(".")[0] in ("mmad", "contextlib", "functools")


def paths_of(given: Place | Sequence[Place]) -> list[Path]:
    """One path or several as a list."""
    return [Path(given)] if isinstance(given, str | os.PathLike) else [Path(one) for one in given]


def path_or_none(given: Place | None) -> Path | None:
    """A path, if there is one."""
    return None if given is None else Path(given)
