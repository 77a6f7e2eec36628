"""The ``mmad`` command: finds the sub-command, and turns a user's error into one message and exit
code 2.

A sub-command is a file in this folder with a Typer ``app``; it is imported only when it is called,
so that ``mmad eval`` does not wait for torch.
"""

import importlib
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from mmad import __version__
from mmad.errors import MmadError

COMMANDS = {
    "synthesize": "Make a data set of micro-action videos, with annotations.",
    "data": "Look at annotations, check them and their videos; crop videos, compute optical flow.",
    "prepare": "Write small copies of videos, for fast training.",
    "train": "Train a model from a config.",
    "predict": "Write the detections of a trained model for a subset.",
    "recognize": "Name the micro-action of short clips.",
    "detect": "Find micro-actions in video files.",
    "extract-features": "Write the features of videos, for detectors that learn from stored ones.",
    "features": "Look into stored features, convert them from and to folders of arrays.",
    "weights": "Look into, convert, fetch and export weights of any of the known projects.",
    "eval": "Score detections (mAP) or guesses of a recogniser (F1), at action and body level.",
    "error-analysis": "Say where a detector errs, in tables and figures.",
    "report": "Write one HTML page to look at: figures, classes, and the timeline of every video.",
    "submit": "Write or check a submission to the challenge.",
    "ensemble": "Join the predictions of several models.",
    "agreement": "Compare annotators, or a model and a person.",
}


class _LazyGroup(TyperGroup):
    """A group whose commands are imported when they are needed."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"mmad.cli.{cmd_name.replace('-', '_')}")
        command = typer.main.get_command(module.app)
        command.name = cmd_name
        return command

    def format_help(self, ctx: Any, formatter: Any) -> None:
        # Written from the table: asking each command for its help would import them all.
        formatter.write_usage("mmad", "COMMAND [ARGS]...")
        formatter.write_paragraph()
        formatter.write_text("Find and name micro-actions in videos.")
        with formatter.section("Commands (mmad COMMAND --help tells more)"):
            formatter.write_dl(list(COMMANDS.items()))


app = typer.Typer(
    cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]}, add_completion=False
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mmad {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Find and name micro-actions in videos."""


def run() -> None:
    """Run ``mmad``; a user's error is printed as one message, and the process exits with code 2."""
    try:
        app(prog_name="mmad")
    except MmadError as error:
        sys.stderr.write(f"mmad: {error}\n")
        raise SystemExit(2) from None
