"""``mmad submit``: build and check the zip that the micro-action challenge accepts."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from mmad.cli._next_command import tell_next
from mmad.cli._options import SubsetOption
from mmad.errors import PredictionError
from mmad.evaluation.file_labels import known_labels
from mmad.evaluation.submission import (
    SubmissionReport,
    build_submission,
    check_submission,
    expected_durations,
    guess_task,
    require_subset,
)
from mmad.labels import MA52
from mmad.wording import count

app = typer.Typer(add_completion=False)


def report_text(path: Path, report: SubmissionReport, *, verb: str) -> str:
    """Text on the content of a submission, its oddities, and what was not checked."""
    whose = "video" if report.task == "detection" else "clip"
    rows = count(report.num_rows, "clip")
    if report.task == "detection":
        rows = f"{count(report.num_rows, 'detection')} of {count(report.num_videos, 'video')}"
    lines = [f"repaired: {repair}" for repair in report.repairs]
    lines += [f"warning: {warning}" for warning in report.warnings]
    lines.append(f"{path}: {verb}, {report.task}, {rows}")
    if report.num_expected is None:
        lines.append(
            f"not checked: whether the ids are known and all {whose}s present; pass --annotations"
        )
    else:
        expected = count(report.num_expected, whose)
        lines.append(f"present: {report.num_expected} of {expected}")
    return "\n".join(lines)


def require_challenge_labels(predictions: Path) -> None:
    """Raise `PredictionError` if predictions are known to have other classes than the challenge."""
    labels = known_labels(predictions)
    if labels is not None and labels != MA52:
        raise PredictionError(
            f"{predictions}: has {count(len(labels), 'class')} of its own; the challenge takes the "
            "52 micro-actions of MA-52 only"
        )


@app.command()
def submit(
    predictions: Annotated[
        Path | None, typer.Argument(help="CSV (also .gz, .zip), or JSON of detections.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Zip to write.")] = None,
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
            "--repair", help="Leave out or change what the challenge would refuse, and report it."
        ),
    ] = False,
) -> None:
    """Build the challenge's zip from predictions, or check one before it is uploaded."""
    if check is not None and (predictions is not None or out is not None):
        raise PredictionError("--check FILE.zip excludes PREDICTIONS and --out")
    if check is not None and repair:
        raise PredictionError(f"--repair writes a zip: mmad submit {check} --out NEW.zip --repair")
    source = check or predictions
    if source is None or (check is None and out is None):
        raise PredictionError("expected PREDICTIONS --out FILE.zip, or --check FILE.zip")
    task_name = task or guess_task(source)
    if check is None:
        require_challenge_labels(source)
    expected = None
    if annotations is not None:
        if task_name == "detection":
            require_subset(source, annotations, subset=subset)
        expected = expected_durations(annotations, task=task_name, subset=subset)
    if out is not None:
        report = build_submission(source, out, task=task_name, expected=expected, repair=repair)
        typer.echo(report_text(out, report, verb="written"))
        tell_next("submit", "--check", out)
    else:
        report = check_submission(source, task=task_name, expected=expected)
        typer.echo(report_text(source, report, verb="in order"))
