"""``mmad profile``: parameters, multiply-adds, time and memory of the network of a config."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from mmad.cli._options import DeviceOption, JsonOption, OverridesArgument
from mmad.config.reading import load_any_config
from mmad.engine.profile.inputs import InputSize
from mmad.engine.profile.measuring import profile_run
from mmad.files import check_output_file, write_json
from mmad.report.profile_tables import (
    cost_table,
    module_table,
    notes_text,
    profile_json,
    size_text,
)

app = typer.Typer(add_completion=False)


@app.command()
def profile(
    config: Annotated[Path, typer.Argument(help="YAML file, your own or a shipped one.")],
    overrides: OverridesArgument = None,
    batch: Annotated[int, typer.Option(min=1, help="Clips or videos of a pass.")] = 1,
    length: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Detection: frames of a video, or steps of its stored features; default: 128, "
            "but not more than a window, or a window of steps.",
        ),
    ] = None,
    classes: Annotated[
        int | None,
        typer.Option(min=2, help="Number of classes; default: those of the data, else 52."),
    ] = None,
    channels: Annotated[
        int | None,
        typer.Option(
            min=1, help="Channels of stored features; default: those of the data, else 768."
        ),
    ] = None,
    depth: Annotated[int, typer.Option(min=0, help="Levels of modules in the table.")] = 3,
    repeats: Annotated[int, typer.Option(min=1, help="How often each pass is timed.")] = 5,
    device: DeviceOption = "auto",
    json_file: JsonOption = None,
) -> None:
    """Measure a network with random weights and input: size, multiply-adds, time and memory."""
    if json_file is not None:
        check_output_file(json_file)
    settings = load_any_config(config, overrides=overrides or [])
    size = InputSize(batch=batch, length=length, classes=classes, channels=channels)
    found = profile_run(settings, size=size, device=device, repeats=repeats)
    console = Console()
    typer.echo(f"{config}: {found.input}; {found.hardware}")
    whole = found.whole
    typer.echo(
        f"parameters: {size_text(whole.parameters)} ({whole.parameters:,}), of which trained: "
        f"{size_text(whole.trained)} ({whole.trained:,})"
    )
    console.print(cost_table(found))
    console.print(module_table(found, depth=depth))
    if notes := notes_text(found):
        typer.echo(notes)
    if json_file is not None:
        write_json(json_file, profile_json(found, depth=depth))
