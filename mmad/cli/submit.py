"""``mmad submit``: builds and checks the zip that the micro-action challenge takes."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from mmad.cli.options import SubsetOption
from mmad.errors import PredictionError
from mmad.evaluation.submission import (
    SubmissionReport,
    build_submission,
    check_submission,
    expected_durations,
    guess_task,
)

app = typer.Typer(add_completion=False)


def report_text(path: Path, report: SubmissionReport, *, verb: str) -> str:
    """What a submission holds, what is odd about it, and what was not checked."""
    rows = "detections" if report.task == "detection" else "clips"
    of_videos = f" of {report.num_videos} videos" if report.task == "detection" else ""
    lines = [f"repaired: {repair}" for repair in report.repairs]
    lines += [f"warning: {warning}" for warning in report.warnings]
    lines.append(f"{path}: {verb}, {report.task}, {report.num_rows} {rows}{of_videos}")
    whose = "videos" if report.task == "detection" else "clips"
    if report.num_expected is None:
        lines.append(
            f"not checked: whether the ids are known and all {whose} present; pass --annotations"
        )
    else:
        lines.append(f"all {report.num_expected} {whose} are present")
    return "\n".join(lines)


@app.command()
def submit(
    predictions: Annotated[
        Path | None, typer.Argument(help="CSV (also .gz, .zip), or JSON of detections.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The zip to write.")] = None,
    check: Annotated[
        Path | None, typer.Option(metavar="FILE.zip", help="Check this zip, and write nothing.")
    ] = None,
    task: Annotated[
        Literal["detection", "recognition"] | None, typer.Option(help="Default: by the header.")
    ] = None,
    annotations: Annotated[
        Path | None, typer.Option(help="Videos, or list of clips, that must be present.")
    ] = None,
    subset: SubsetOption = "test",
    repair: Annotated[
        bool,
        typer.Option(
            "--repair", help="Leave out or change what the challenge would refuse, and say what."
        ),
    ] = False,
) -> None:
    """Build the challenge's zip from predictions, or check one before it is uploaded."""
    if check is not None and (predictions is not None or out is not None):
        raise PredictionError("--check FILE.zip goes without PREDICTIONS and --out")
    if check is not None and repair:
        raise PredictionError(f"--repair writes a zip: mmad submit {check} --out NEW.zip --repair")
    source = check or predictions
    if source is None or (check is None and out is None):
        raise PredictionError("expected PREDICTIONS --out FILE.zip, or --check FILE.zip")
    task_name = task or guess_task(source)
    expected = None
    if annotations is not None:
        expected = expected_durations(annotations, task=task_name, subset=subset)
    if out is not None:
        report = build_submission(source, out, task=task_name, expected=expected, repair=repair)
        typer.echo(report_text(out, report, verb="written"))
    else:
        report = check_submission(source, task=task_name, expected=expected)
        typer.echo(report_text(source, report, verb="in order"))
