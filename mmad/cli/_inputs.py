"""No command writes to a file that it reads: work of a person would be lost."""

import functools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import typer

from mmad.errors import OutputError

# Parameters of commands that name a file to write; all others may name files to read.
_OUTPUTS = ("out", "json_file", "csv", "table", "consensus_file")


def protect_inputs(app: typer.Typer) -> typer.Typer:
    """Let all commands of ``app`` refuse to write to one of their inputs."""
    for command in app.registered_commands:
        callback = command.callback
        if callback is not None and not hasattr(callback, "refuses_inputs"):
            command.callback = _checked(callback)
    for group in app.registered_groups:
        if group.typer_instance is not None:
            protect_inputs(group.typer_instance)
    return app


def _checked(callback: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(callback)
    def checked(**values: Any) -> Any:
        written = [path for name in _OUTPUTS for path in _paths(values.get(name))]
        read = [
            path for name, value in values.items() if name not in _OUTPUTS for path in _paths(value)
        ]
        refuse_inputs(written, read)
        return callback(**values)

    checked.refuses_inputs = True  # type: ignore[attr-defined]
    return checked


def refuse_inputs(written: Iterable[Path], read: Iterable[Path]) -> None:
    """Raise OutputError if a file to write is one of those that are read."""
    existing = [path for path in written if path.is_file()]
    inputs = {path.resolve() for path in read} if existing else set()
    for path in existing:
        if path.resolve() in inputs:
            raise OutputError(
                f"{path}: is an input, which is never overwritten; name another file to write"
            )


def _paths(value: object) -> Iterator[Path]:
    """Paths, those of lists, and those behind the names of ``NAME=FILE``."""
    if isinstance(value, Path):
        yield value
    elif isinstance(value, str):
        _, equals, path = value.partition("=")
        if equals:
            yield Path(path)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _paths(one)
