"""``mmad error-analysis``: error analysis of detections."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from mmad.annotations.elan.choice import ElanChoice
from mmad.cli._next_command import judging_flags, tell_next
from mmad.cli._options import (
    AnnotationsOption,
    JsonOption,
    LabelsOption,
    LanguageOption,
    LevelOption,
    OnlyPredictedOption,
    OutOfVideoOption,
    RunSubsetOption,
    StrictOption,
    TierOption,
    TierTypeOption,
    TiouOption,
)
from mmad.evaluation.detection import levels_of, parse_tiou
from mmad.evaluation.error_analysis import analyse_errors
from mmad.evaluation.file_labels import label_choice
from mmad.evaluation.run_files import (
    newest_predictions,
    read_judged,
)
from mmad.files import write_text
from mmad.report.error_tables import error_json, error_tables

app = typer.Typer(add_completion=False)


@app.command()
def error_analysis(
    predictions: Annotated[
        Path | None,
        typer.Argument(help="CSV (also .gz, .zip) or JSON; default: of the newest run."),
    ] = None,
    annotations: AnnotationsOption = None,
    tiou: TiouOption = "0.5",
    level: LevelOption = "both",
    subset: RunSubsetOption = None,
    runs: Annotated[Path, typer.Option(help="Where to look for the newest run.")] = Path("runs"),
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for all tables (CSV, JSON) and figures (PNG, SVG, PDF)."),
    ] = None,
    strict: StrictOption = False,
    only_predicted: OnlyPredictedOption = False,
    labels: LabelsOption = None,
    out_of_video: OutOfVideoOption = None,
    tier: TierOption = None,
    tier_type: TierTypeOption = None,
    language: LanguageOption = None,
    json_file: JsonOption = None,
) -> None:
    """Analyse the errors of a detector: types of false positives, misses, and their cost."""
    thresholds, levels = parse_tiou(tiou), levels_of(level)
    if predictions is None:
        predictions = newest_predictions(runs, subset=subset)
        typer.echo(f"predictions: {predictions}")
    judged = read_judged(
        [predictions],
        annotations,
        subset=subset,
        strict=strict,
        only_predicted=only_predicted,
        labels=label_choice(labels),
        out_of_video=out_of_video,
        elan=ElanChoice.of(tier, tier_type, language),
    )
    annotated, detections = judged.annotations, judged.predictions[0]
    report = analyse_errors(
        detections,
        annotated.records,
        labels=annotated.labels,
        tiou=thresholds,
        levels=levels,
    )
    console = Console(width=120)
    tables = error_tables(report)
    for table in tables:
        console.print(table.for_terminal())
    for warning in judged.warnings:
        typer.echo(f"warning: {warning}")
    content = json.dumps(error_json(report) | {"counts": judged.counts}, indent=1) + "\n"
    if json_file is not None:
        write_text(json_file, content)
    if out is not None:
        # Not at the top: matplotlib is slow to import, and only figures need it.
        from mmad.report.detector_figures.error_files import write_error_files

        write_error_files(out, report, annotated, detections, content=content)
        typer.echo(f"tables and figures: {out}")
    flags = judging_flags(
        annotations,
        subset=subset,
        labels=labels,
        out_of_video=out_of_video,
        only_predicted=only_predicted,
    )
    tell_next("report", predictions, *flags)
