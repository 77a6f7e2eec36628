"""``mmad error-analysis``: where a detector errs."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from mmad.annotations.files import write_csv, write_text
from mmad.cli.inputs import newest_predictions, parse_levels, read_truth
from mmad.evaluation.detection import parse_tiou
from mmad.evaluation.error_analysis import analyse_errors
from mmad.evaluation.predictions import read_predictions
from mmad.report.error_tables import error_json, error_tables

app = typer.Typer()


@app.command()
def error_analysis(
    predictions: Annotated[
        Path | None,
        typer.Argument(help="CSV (also .gz, .zip) or JSON; default: of the newest run."),
    ] = None,
    annotations: Annotated[
        list[Path] | None, typer.Option(help="Annotation file; default: those of the run.")
    ] = None,
    tiou: Annotated[
        str, typer.Option(help="A number, or several, over which figures are averaged.")
    ] = "0.5",
    level: Annotated[str, typer.Option(help="action, body or both.")] = "both",
    subset: Annotated[str, typer.Option(help="Subset of the annotations.")] = "val",
    runs: Annotated[Path, typer.Option(help="Where to look for the newest run.")] = Path("runs"),
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for all tables (CSV, JSON) and figures (PNG, SVG, PDF)."),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the numbers.")] = None,
) -> None:
    """Say where a detector errs: types of false positives, what is missed, and what it costs."""
    thresholds, levels = parse_tiou(tiou), parse_levels(level)
    if predictions is None:
        predictions = newest_predictions(runs, subset=subset)
        typer.echo(f"predictions: {predictions}")
    truth = read_truth(predictions, annotations, subset=subset)
    report = analyse_errors(
        read_predictions(predictions, labels=truth.labels),
        truth.records,
        labels=truth.labels,
        tiou=thresholds,
        levels=levels,
    )
    console = Console(width=120)
    tables = error_tables(report)
    for table in tables:
        console.print(table.for_terminal())
    content = json.dumps(error_json(report), indent=1) + "\n"
    if json_file is not None:
        write_text(json_file, content)
    if out is not None:
        from mmad.report.error_figures import write_error_figures

        for table in tables:
            write_csv(out / f"{table.name}.csv", header=table.header, rows=table.rows)
        write_text(out / "errors.json", content)
        for name, errors in report.levels.items():
            write_error_figures(out, name, errors)
        typer.echo(f"tables and figures: {out}")
