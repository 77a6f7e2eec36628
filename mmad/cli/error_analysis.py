"""``mmad error-analysis``: error analysis of detections."""

import json
import re
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from mmad.annotations.elan_reader import ElanChoice
from mmad.cli._inputs import (
    newest_predictions,
    read_judged,
)
from mmad.cli._labels import label_choice
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
    levels_of,
)
from mmad.evaluation.beyond_detad import errors_by_video
from mmad.evaluation.detection import parse_tiou
from mmad.evaluation.error_analysis import analyse_errors
from mmad.files import write_csv, write_text
from mmad.progress import tracked
from mmad.report.error_tables import error_json, error_tables
from mmad.structures import Detections

app = typer.Typer(add_completion=False)

# Timelines of the videos with the most errors.
NUM_TIMELINES = 3


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
        from mmad.report.detector_figures.error_figures import write_error_figures
        from mmad.report.figures import SUFFIXES
        from mmad.report.timeline import draw_timeline

        for table in tables:
            write_csv(out / f"{table.name}.csv", header=table.header, rows=table.rows)
        write_text(out / "errors.json", content)
        for name in tracked(levels, "figures", total=len(levels), unit="levels"):
            write_error_figures(out, name, report.levels[name])
        records = {record.video_id: record for record in annotated.records}
        worst = errors_by_video(report, level=levels[0])[:NUM_TIMELINES]
        drawn = tracked(worst, "timelines", total=len(worst), unit="videos")
        for place, row in enumerate(drawn, start=1):
            record = records[row.video_id]
            for suffix in SUFFIXES:
                draw_timeline(
                    out / f"timeline_{place}_{safe_name(row.video_id)}{suffix}",
                    video_id=row.video_id,
                    duration_seconds=record.duration_seconds,
                    detections=detections.get(row.video_id, Detections()),
                    labels=annotated.labels,
                    annotations=record.annotations,
                )
        typer.echo(f"tables and figures: {out}")
    flags = judging_flags(
        annotations,
        subset=subset,
        labels=labels,
        out_of_video=out_of_video,
        only_predicted=only_predicted,
    )
    tell_next("report", predictions, *flags)


def safe_name(video_id: str) -> str:
    """``video_id`` as a safe file name.

    >>> safe_name("../a b")
    '.._a_b'
    """
    return re.sub(r"[^\w.-]", "_", video_id)
