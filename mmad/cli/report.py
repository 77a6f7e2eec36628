"""``mmad report``: one HTML page to look at."""

from pathlib import Path
from typing import Annotated

import typer

from mmad.cli.inputs import data_of_run, newest_predictions, parse_levels, read_found, read_truth
from mmad.errors import PredictionError
from mmad.evaluation.detection import PROTOCOLS, evaluate_detections, parse_tiou
from mmad.evaluation.error_analysis import analyse_errors
from mmad.report.web_page import write_web_page
from mmad.video.find import find_videos

app = typer.Typer()


@app.command()
def report(
    source: Annotated[Path, typer.Argument(help="Run folder, or a file of predictions.")],
    annotations: Annotated[
        list[Path] | None, typer.Option(help="Annotation file; default: those of the run.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="HTML file; default: in the run, or beside the file.")
    ] = None,
    videos: Annotated[
        Path | None, typer.Option(help="Folder of the video files; default: that of the run.")
    ] = None,
    subset: Annotated[str, typer.Option(help="Subset of the annotations.")] = "val",
    protocol: Annotated[str, typer.Option(help=f"One of {', '.join(PROTOCOLS)}.")] = "mma52",
    tiou: Annotated[str, typer.Option(help="Of the error analysis.")] = "0.5",
    level: Annotated[str, typer.Option(help="action or both.")] = "both",
) -> None:
    """Write one HTML page: figures, a table of classes, and the timeline of every video.

    It opens by double click, needs no network, and plays the videos if they stay where they are.
    """
    thresholds, levels = parse_tiou(tiou), parse_levels(level)
    if "action" not in levels:
        raise PredictionError(f"--level {level}: a report shows actions; say action or both")
    if protocol not in PROTOCOLS:
        raise PredictionError(f"--protocol {protocol}: expected one of {', '.join(PROTOCOLS)}")
    predictions = newest_predictions(source, subset=subset) if source.is_dir() else source
    truth = read_truth(predictions, annotations, subset=subset)
    found = read_found(predictions, truth)
    folder = videos or data_of_run(predictions).get("videos")
    is_in_run = (predictions.parent.parent / "config.yaml").is_file()
    if out is None:
        name = f"report_{subset}.html" if is_in_run else f"{predictions.stem}_report.html"
        out = (predictions.parents[1] if is_in_run else predictions.parent) / name
    if videos is not None and not videos.is_dir():
        raise PredictionError(f"--videos {videos}: there is no such folder")
    files = find_videos(folder) if folder and Path(folder).is_dir() else {}
    write_web_page(
        out,
        title=f"{predictions.parents[1].name if is_in_run else predictions.name}, {subset}",
        records=truth.records,
        labels=truth.labels,
        scores=evaluate_detections(
            found,
            truth.records,
            labels=truth.labels,
            tiou=parse_tiou("0.1:0.9"),
            protocol=protocol,
            levels=levels,
        ),
        errors=analyse_errors(
            found, truth.records, labels=truth.labels, tiou=thresholds, levels=levels
        ),
        videos={
            record.video_id: files[record.video_id]
            for record in truth.records
            if record.video_id in files
        },
    )
    typer.echo(f"report: {out}")
