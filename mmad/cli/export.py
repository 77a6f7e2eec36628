"""``mmad export``: a trained network as one file for other runtimes."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from mmad.cli._next_command import tell_next
from mmad.cli._notices import tell_notices
from mmad.errors import ExportError
from mmad.export.int8 import LARGEST_LOSS, Judged, write_int8
from mmad.export.runs import network_of_run
from mmad.export.writing import SUFFIXES, TOLERANCE, write_network
from mmad.files import check_output_file

app = typer.Typer(add_completion=False)


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="Run folder of a trained model.")],
    out: Annotated[
        Path | None, typer.Option(help="New file; default: RUN with the suffix of the format.")
    ] = None,
    format: Annotated[
        Literal["onnx", "torchscript", "pt2"],
        typer.Option(help="onnx: for onnxruntime; the others: for PyTorch."),
    ] = "onnx",
    backbone: Annotated[
        str | None,
        typer.Option(
            help="For a run on features: place of their backbone, to export both; default: the "
            "detector on features alone."
        ),
    ] = None,
    int8: Annotated[
        bool,
        typer.Option(
            "--int8",
            help="For an ONNX file of a detector: 8-bit weights; the mAP on the validation videos "
            f"may fall by {100 * LARGEST_LOSS:g} points.",
        ),
    ] = False,
    videos: Annotated[
        Path | None,
        typer.Option(help="For --int8: folder of the validation videos; default: that of the run."),
    ] = None,
) -> None:
    """Write a trained network as one file that runs without mmad and its run folder.

    The file is compared with PyTorch before it is kept. For weights alone, under the names of
    transformers: mmad weights export.
    """
    beside = run if run.name not in ("", "..") else run.resolve()
    target = out or beside.with_name(f"{run.resolve().name}{SUFFIXES[format]}")
    if target.suffix != SUFFIXES[format]:
        raise ExportError(f"--out {target}: expected a name that ends in {SUFFIXES[format]}")
    check_output_file(target)
    if int8 and format != "onnx":
        raise ExportError(f"--int8 is for --format onnx, not {format}")
    network, description = network_of_run(run, backbone=backbone)
    if int8:
        found, judged = write_int8(network, description, target, videos=videos)
        if isinstance(judged, Judged):
            typer.echo(f"{target}: {judged}")
        else:
            tell_notices([f"what int8 loses was not measured ({judged}); pass --videos"])
    else:
        found = write_network(network, description, target, format=format)
    calls = ", ".join(f"{number} x {length}" for number, length in found.sizes)
    typer.echo(
        f"{target}: {target.stat().st_size / 1e6:.1f} MB; largest difference from PyTorch "
        f"{found.largest:.1g}{', before int8' if int8 else ''} (at most {TOLERANCE:g} allowed; "
        f"{calls})"
    )
    for line in description.lines():
        typer.echo(f"  {line}")
    if format == "onnx" and description.reads != "features":
        command = "detect" if description.reads == "videos" else "recognize"
        tell_next(command, "VIDEOS", "--checkpoint", target)
