"""The command that pre-trains a backbone."""

from pathlib import Path
from typing import Annotated

import typer

from mmad.cli._next_command import hint_to_resume, tell_next
from mmad.cli._options import DeviceOption, OverridesArgument
from mmad.config.pretraining import PretrainingConfig
from mmad.config.reading import dump_config, load_any_config, run_folder_of
from mmad.engine.smoke import smoke_config
from mmad.engine.training import train_run
from mmad.errors import ConfigError


def pretrain(
    config: Annotated[Path, typer.Argument(help="YAML file, your own or a shipped one.")],
    overrides: OverridesArgument = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; default runs/CONFIG.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume from the last checkpoint of --out.")
    ] = False,
    smoke: Annotated[
        bool,
        typer.Option("--smoke", help="Quick check: tiny videos, two blocks, one step."),
    ] = False,
    show_config: Annotated[
        bool, typer.Option("--show-config", help="Print all settings and exit.")
    ] = False,
    device: DeviceOption = "auto",
) -> None:
    """Pre-train a backbone by hiding most of each clip and painting it from the rest.

    Needs folders of videos (data.videos) and no annotations. Any training starts from the result
    with backbone.pretrained=RUN.
    """
    settings = load_any_config(config, overrides=overrides or [])
    if not isinstance(settings, PretrainingConfig):
        raise ConfigError(
            f"{config}: is a config of {settings.task}; expected one of pretraining, such as "
            "configs/pretraining/videomae_s.yaml"
        )
    folder = out or run_folder_of(config, settings)
    if smoke:
        found = smoke_config(settings, data=folder.parent / "smoke_data")
        assert isinstance(found, PretrainingConfig)
        settings = found
    if show_config:
        typer.echo(dump_config(settings), nl=False)
        return
    with hint_to_resume("pretrain", folder, device=device):
        run = train_run(settings, out=folder, resume=resume, device=device)
    shown = f"; reconstructions in {run.reconstructions}" if run.reconstructions.is_file() else ""
    typer.echo(f"{run.path}: pre-trained{shown}")
    tell_next("weights", "export", run.path, f"{run.path}_weights")
