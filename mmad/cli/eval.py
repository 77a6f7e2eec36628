"""``mmad eval``: mAP of a file of detections."""

import json
from pathlib import Path
from typing import Annotated

import typer
import yaml
from rich.console import Console

from mmad.annotations.files import write_text
from mmad.annotations.formats import read_annotations
from mmad.errors import PredictionError
from mmad.evaluation.detection import PROTOCOLS, DetectionReport, evaluate_detections, parse_tiou
from mmad.evaluation.predictions import read_predictions
from mmad.report.tables import counts_text, paper_table, threshold_table

app = typer.Typer()


def newest_predictions(runs: Path, *, subset: str) -> Path:
    """The newest predictions of a subset in the run folders below ``runs``, or in the run ``runs``.

    Raises: PredictionError if there is none.
    """
    found = [*runs.glob(f"predictions/{subset}.csv"), *runs.glob(f"*/predictions/{subset}.csv")]
    if not found:
        raise PredictionError(
            f"{runs}: no run in it has predictions/{subset}.csv; name a file, or train or "
            "predict first"
        )
    return max(found, key=lambda path: path.stat().st_mtime)


def annotations_of_run(predictions: Path) -> list[str]:
    """Where the run that ``predictions`` lie in has its annotations.

    Raises: PredictionError if they do not lie in a run folder, or its config does not say.
    """
    config = predictions.parent.parent / "config.yaml"
    if not config.is_file():
        raise PredictionError(f"{predictions}: not in a run folder; say --annotations FILE")
    try:
        paths = yaml.safe_load(config.read_text(encoding="utf-8"))["data"]["annotations"]
    except (yaml.YAMLError, KeyError, TypeError):
        paths = None
    if not paths:
        raise PredictionError(f"{config}: has no data.annotations; say --annotations FILE")
    return [paths] if isinstance(paths, str) else [str(path) for path in paths]


def to_json(report: DetectionReport) -> dict[str, object]:
    """The numbers of a report: fractions, classes by index."""
    content: dict[str, object] = {"protocol": report.protocol}
    for name, level in report.levels.items():
        content["tiou"] = level.tiou.tolist()
        content[name] = {
            "map": level.map.tolist(),
            "average": level.average,
            "per_class": {
                str(label): level.per_class[:, label].tolist()
                for label in range(len(level.labels))
                if label not in level.left_out
            },
        }
    content["avg"] = report.avg
    return content


@app.command(name="eval")
def evaluate(
    predictions: Annotated[
        Path | None,
        typer.Argument(help="CSV (also .gz, .zip) or JSON; default: of the newest run."),
    ] = None,
    annotations: Annotated[
        list[Path] | None, typer.Option(help="Annotation file; default: those of the run.")
    ] = None,
    tiou: Annotated[str, typer.Option(help="Range, number or numbers with commas.")] = "0.1:0.9",
    level: Annotated[str, typer.Option(help="action, body or both.")] = "both",
    subset: Annotated[str, typer.Option(help="Subset of the annotations.")] = "val",
    protocol: Annotated[str, typer.Option(help=f"One of {', '.join(PROTOCOLS)}.")] = "mma52",
    runs: Annotated[Path, typer.Option(help="Where to look for the newest run.")] = Path("runs"),
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the numbers.")] = None,
) -> None:
    """Score detections as the official evaluators do."""
    thresholds = parse_tiou(tiou)
    if protocol not in PROTOCOLS:
        raise PredictionError(f"--protocol {protocol}: expected one of {', '.join(PROTOCOLS)}")
    if level not in ("action", "body", "both"):
        raise PredictionError(f"--level {level}: expected action, body or both")
    if predictions is None:
        predictions = newest_predictions(runs, subset=subset)
        typer.echo(f"predictions: {predictions}")
    if not predictions.is_file():
        raise PredictionError(f"{predictions}: there is no such file of predictions")
    sources = [str(p) for p in annotations] if annotations else annotations_of_run(predictions)
    truth = read_annotations(sources if len(sources) > 1 else sources[0], subsets=[subset])
    labels = truth.labels
    report = evaluate_detections(
        read_predictions(predictions, labels=labels),
        truth.records,
        labels=labels,
        tiou=thresholds,
        protocol=protocol,
        levels=("action", "body") if level == "both" else (level,),
    )
    console = Console(width=120)
    console.print(threshold_table(report))
    console.print(paper_table(report))
    console.print(counts_text(report), highlight=False)
    if json_file is not None:
        write_text(json_file, json.dumps(to_json(report), indent=1) + "\n")
