"""The ``mmad`` command: finds the sub-command, and turns a user's error into one message and exit
code 2.

A sub-command is a file in this folder with a Typer ``app``; it is imported only when called, so
that ``mmad eval`` does not wait for torch.
"""

import difflib
import importlib
import io
import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import CompletionItem, TyperGroup

from mmad import __version__
from mmad.cli._inputs import protect_inputs
from mmad.errors import MmadError
from mmad.files import cannot_write, is_disk_error

COMMANDS = {
    "synthesize": "Generate a data set of micro-action videos, with annotations.",
    "data": "Describe and check annotations and videos; crop videos, compute optical flow.",
    "prepare": "Write small copies of videos, for fast training.",
    "train": "Train a model from a config.",
    "pretrain": "Pre-train a backbone on videos without labels.",
    "predict": "Write the predictions of a trained model for a subset.",
    "recognize": "Name the micro-action of short clips.",
    "detect": "Find micro-actions in video files.",
    "profile": "Measure the network of a config: parameters, multiply-adds, time, memory.",
    "extract-features": "Write the features of videos, to train detectors on.",
    "features": "Describe stored features; convert them from and to folders of arrays.",
    "weights": "Describe, convert, fetch and export weights.",
    "export": "Write a trained network as one file: ONNX, TorchScript or pt2.",
    "push": "Put a trained model on the Hugging Face Hub, with a model card.",
    "eval": "Score predictions: mAP of detections, F1 of recognition.",
    "error-analysis": "Analyse the errors of a detector, in tables and figures.",
    "report": "Write an HTML report: figures, classes and the timeline of every video.",
    "figures": "Draw a figure for a paper, of data or of predictions.",
    "submit": "Write or check a submission to the challenge.",
    "ensemble": "Combine the predictions of several models.",
    "agreement": "Compare annotators, or a model with annotators.",
    "project": "Make the project of a study: videos, detections, decisions.",
    "review": "Accept, correct and draw detections on a page in the browser.",
    "teach": "Learn from what people decided in a project, and detect in its videos again.",
    "budget": "Count behaviours: rates, durations, shares of time, what follows what.",
    "elan": "Detect from within ELAN: install mmad in its Recognizers tab.",
}


class _Terminated(KeyboardInterrupt):
    """SIGTERM, which a system sends before it kills a process."""


def _terminate(number: int, frame: object) -> None:
    raise _Terminated


class _LazyGroup(TyperGroup):
    """A group whose commands are imported on demand."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"mmad.cli.{cmd_name.replace('-', '_')}")
        command = typer.main.get_command(protect_inputs(module.app))
        command.name = cmd_name
        return command

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        # Not during shell completion, whose command line may be incomplete.
        if args and args[0] not in COMMANDS and not ctx.resilient_parsing:
            near = difflib.get_close_matches(args[0], COMMANDS, n=1, cutoff=0.5)
            hint = f"did you mean 'mmad {near[0]}'?" if near else "mmad --help lists the commands"
            raise MmadError(f"there is no command '{args[0]}'; {hint}")
        return super().resolve_command(ctx, args)

    # Both use the table, since asking each command for its help would import all.

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        return [
            CompletionItem(name, help=text)
            for name, text in COMMANDS.items()
            if name.startswith(incomplete)
        ]

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            code, word = (143, "stopped") if isinstance(stop, _Terminated) else (130, "interrupted")
            hints = getattr(stop, "__notes__", ["nothing was kept; run the same command again"])
            if os.environ.get("RANK", "0") == "0":
                sys.stderr.write(f"\nmmad: {word}; {'; '.join(hints)}\n")
            raise SystemExit(code) from None

    def format_help(self, ctx: Any, formatter: Any) -> None:
        formatter.write_usage("mmad", "COMMAND [ARGS]...")
        formatter.write_paragraph()
        formatter.write_text("Find and name micro-actions in videos.")
        with formatter.section("Commands (details: mmad COMMAND --help)"):
            formatter.write_dl(list(COMMANDS.items()))
        with formatter.section("Options"):
            formatter.write_dl(
                [
                    ("--version", "Print the version."),
                    ("--install-completion", "Complete commands and options in this shell."),
                    ("--show-completion", "Print the completion script."),
                ]
            )


app = typer.Typer(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mmad {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def main(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Find and name micro-actions in videos."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


_LESS_MEMORY = (
    "compute less at a time: for training, lower training.batch_videos or set "
    "backbone.activation_checkpointing=true; for inference, lower inference.batch_windows; "
    "docs/faq.md has more"
)


def _lacks_memory(error: MemoryError | RuntimeError) -> bool:
    # By their texts, since not all have a type of their own, and torch may not have been imported.
    lacking = ("out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")
    return isinstance(error, MemoryError) or any(words in str(error) for words in lacking)


def run() -> None:
    """Run ``mmad``; a user's error is printed as one message, and the process exits with code 2."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # File names need not be valid text.
        sys.stdout.reconfigure(errors="backslashreplace")
    # A process of torchrun must end even while it waits for the others.
    if "WORLD_SIZE" not in os.environ:
        signal.signal(signal.SIGTERM, _terminate)
    try:
        app(prog_name="mmad")
    except MmadError as error:
        sys.stderr.write(f"mmad: {error}\n")
        raise SystemExit(2) from None
    except (MemoryError, RuntimeError) as error:
        if not _lacks_memory(error):
            raise
        first = str(error).partition(". GPU ")[0].strip().split("\n")[0] or "MemoryError"
        sys.stderr.write(f"mmad: {first}; {_LESS_MEMORY}\n")
        raise SystemExit(2) from None
    except OSError as error:
        # For example standard output into a file on a full disk.
        if not is_disk_error(error):
            raise
        place = Path(error.filename or "standard output or a temporary file")
        sys.stderr.write(f"mmad: {cannot_write(place, error)}\n")
        raise SystemExit(2) from None
