"""``mmad elan``: mmad as a recogniser of ELAN."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from mmad.annotations.elan.recogniser.extension import Installation, find_extensions, install
from mmad.annotations.elan.recogniser.parent import end_with_parent
from mmad.annotations.elan.recogniser.protocol import Report, read_request, tier_file
from mmad.cli._options import DeviceOption
from mmad.errors import MmadError, OutputError, VideoError
from mmad.files import write_text

app = typer.Typer(
    help="Detect from within ELAN: install the recogniser, and be it.",
    no_args_is_help=True,
    add_completion=False,
)


@app.command(name="install")
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


@app.command(name="recogniser", hidden=True)
def recogniser() -> None:
    """Be the recogniser: what ELAN starts."""
    report = Report(lambda line: print(line, flush=True))
    end_with_parent()
    try:
        _recognise(report)
    except MmadError as error:
        report.failed(str(error))
        raise typer.Exit(2) from None
    except Exception as error:  # ELAN waits until it is told
        report.failed(f"{type(error).__name__}: {error}")
        raise typer.Exit(1) from None
    report.done()


def _recognise(report: Report) -> None:
    request = read_request(sys.stdin.buffer.read())
    if request.model is None:
        raise MmadError("parameter 'model' is empty; name a run folder or a hub id")
    report.progress(0.01, "reading the model")
    from mmad.engine.trained.opening import open_trained, require_detector
    from mmad.video.records import records_of_files

    detector = require_detector(open_trained(request.model, device=request.device or "auto"))
    records, problems = records_of_files([request.video])
    if problems:
        raise VideoError(problems[0])
    found = detector.detect(
        records, progress=lambda done: report.progress(0.05 + 0.9 * done, "detecting")
    )
    for notice in found.notices():
        report.info(notice)
    if found.failures:
        raise VideoError(found.failures[0].message)
    detections = found.detections[records[0].video_id]
    least = request.min_score or 0.0
    chosen = detections[detections.scores >= least]
    report.info(f"{len(chosen)} of {len(detections)} detections have a score of {least:g} or more")
    text = tier_file(chosen, labels=detector.labels, with_scores=request.with_scores)
    write_text(request.tiers, text)
