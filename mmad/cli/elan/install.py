"""``mmad elan install``: add mmad to ELAN's tab of recognisers."""

from pathlib import Path
from typing import Annotated

import typer

from mmad.annotations.elan.recogniser.extension import Installation, find_extensions, install
from mmad.cli._options import DeviceOption
from mmad.errors import OutputError


def install_recogniser(
    checkpoint: Annotated[Path, typer.Option(help="Run folder or hub id of a trained model.")],
    to: Annotated[
        Path | None, typer.Option(help="ELAN's folder of extensions; by default looked for.")
    ] = None,
    min_score: Annotated[
        float, typer.Option(min=0, max=1, help="Lowest score, unless changed in ELAN.")
    ] = 0.3,
    device: DeviceOption = "auto",
) -> None:
    """Add mmad to the Recognizers tab of ELAN."""
    from mmad.engine.trained.opening import open_trained, require_detector

    require_detector(open_trained(checkpoint, device=device))
    folder = find_extensions() if to is None else to
    if to is not None and not to.is_dir():
        raise OutputError(f"--to {to}: there is no such folder; expected ELAN's `extensions`")
    model = str(checkpoint.resolve()) if checkpoint.exists() else checkpoint.as_posix()
    target = install(folder, Installation(model, min_score, device))
    typer.echo(f"written to {target}")
    typer.echo(
        "start ELAN again, open a file with a video, and choose the tab Recognizers, then "
        "'Micro-actions (mmad)'"
    )
