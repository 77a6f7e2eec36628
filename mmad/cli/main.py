"""The ``mmad`` command: finds the sub-command, and turns a user's error into one message and exit code 2.

A sub-command is a file in this folder with a Typer ``app``; it is imported only when it is called, so that
``mmad eval`` does not wait for torch.
"""

import importlib
import sys
from typing import Any

import click
import typer

from mmad import __version__
from mmad.errors import MmadError

COMMANDS = {
    "synthesize": "Make a data set of micro-action videos, with annotations.",
    "data": "Print statistics of annotations, or check them and their videos.",
    "prepare": "Write small copies of videos, for fast training.",
    "train": "Train a model from a config.",
    "predict": "Write the detections of a trained model for a subset.",
    "detect": "Find micro-actions in video files.",
    "eval": "Score detections: mAP per tIoU threshold, at action and body level.",
}


class _LazyGroup(click.Group):
    """A group whose commands are imported when they are needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"mmad.cli.{cmd_name.replace('-', '_')}")
        command = typer.main.get_command(module.app)
        command.name = cmd_name
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Find and name micro-actions in videos.",
)
@click.version_option(__version__, prog_name="mmad")
def main(**_: Any) -> None:
    """The group that all commands hang on."""


def run() -> None:
    """Run ``mmad``; a user's error is printed as one message, and the process exits with code 2."""
    try:
        main(prog_name="mmad")
    except MmadError as error:
        sys.stderr.write(f"mmad: {error}\n")
        raise SystemExit(2) from None
