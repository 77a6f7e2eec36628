"""Commands of mmad in the process of the tests: starting another one takes seconds."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import typer
from typer.testing import CliRunner

from mmad.cli.main import app
from mmad.errors import MmadError


@dataclass(frozen=True)
class Said:
    """What a command has written."""

    stdout: str
    stderr: str


def run_mmad(arguments: Sequence[object], *, folder: Path | None = None, code: int = 0) -> Said:
    """What a command says, once it has ended with the exit code expected.

    Args:
        arguments: Words after ``mmad``.
        folder: Working directory; None leaves that of the tests.
        code: Exit code that is expected.
    """
    threads = torch.get_num_threads()
    with contextlib.chdir(folder or "."):
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    torch.set_num_threads(threads)
    stderr, found, error = result.stderr, result.exit_code, result.exception
    if isinstance(error, MmadError):  # as `mmad.cli.main.run` ends
        stderr, found = f"{stderr}mmad: {error}\n", 2
    elif error is not None and not isinstance(error, SystemExit):
        raise AssertionError(f"mmad {arguments}\n{result.output}") from error
    assert found == code, f"mmad {arguments}\n{result.stdout}\n{stderr}"
    return Said(result.stdout, stderr)


def invoke(command: typer.Typer, *words: object) -> str:
    """What a command prints; its exception is raised."""
    result = CliRunner().invoke(command, [str(word) for word in words])
    if result.exception is not None:
        raise result.exception
    return result.output
