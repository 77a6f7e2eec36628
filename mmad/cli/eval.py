"""``mmad eval``: mAP of a file of detections."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from mmad.annotations.elan_reader import ElanChoice
from mmad.cli._inputs import (
    is_recognition,
    newest_predictions,
    read_judged,
    subset_of,
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
    ProtocolOption,
    RunSubsetOption,
    StrictOption,
    TierOption,
    TierTypeOption,
    TiouOption,
    levels_of,
)
from mmad.cli._scores import print_comparison, print_scores, score_recognition
from mmad.errors import PredictionError
from mmad.evaluation.detection import detection_json, evaluate_detections, parse_tiou
from mmad.evaluation.ties import tie_range, ties_json
from mmad.files import finite, write_text

app = typer.Typer(add_completion=False)

DEFAULT_RESAMPLES = 1000


@app.command(name="eval")
def evaluate(
    predictions: Annotated[
        Path | None,
        typer.Argument(help="CSV (also .gz, .zip) or JSON; default: of the newest run."),
    ] = None,
    annotations: AnnotationsOption = None,
    tiou: TiouOption = "0.1:0.9",
    level: LevelOption = "both",
    subset: RunSubsetOption = None,
    protocol: ProtocolOption = "mma52",
    runs: Annotated[Path, typer.Option(help="Where to look for the newest run.")] = Path("runs"),
    details: Annotated[
        bool, typer.Option("--details", help="Each class, recall at k, frequent and rare classes.")
    ] = False,
    bootstrap: Annotated[
        int, typer.Option(min=0, help="Resamples of the videos for intervals, such as 1000.")
    ] = 0,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(metavar="A B", help="Is B better than A? Paired bootstrap, class by class."),
    ] = None,
    f1: Annotated[
        Literal["per_class", "harmonic"],
        typer.Option(help="Macro F1 of recognition: mean of the classes' F1, or of mean P and R."),
    ] = "per_class",
    strict: StrictOption = False,
    only_predicted: OnlyPredictedOption = False,
    labels: LabelsOption = None,
    out_of_video: OutOfVideoOption = None,
    tier: TierOption = None,
    tier_type: TierTypeOption = None,
    language: LanguageOption = None,
    json_file: JsonOption = None,
) -> None:
    """Score detections (mAP) or the predictions of a recogniser (F1) as the official codes do."""
    thresholds, levels = parse_tiou(tiou), levels_of(level)
    console = Console(width=120)
    if compare is not None:
        if predictions is not None:
            raise PredictionError(f"--compare A B scores these two; leave out {predictions}")
        predictions = compare[0]
    if predictions is None:
        predictions = newest_predictions(runs, subset=subset)
        typer.echo(f"predictions: {predictions}")
    if is_recognition(predictions):
        if compare is not None or details or bootstrap:
            raise PredictionError(
                f"{predictions}: guesses of clips; --compare, --details and --bootstrap are for "
                "detections (mmad ensemble --search compares recognisers)"
            )
        score_recognition(
            predictions,
            annotations,
            subset=subset or subset_of(predictions),
            labels=labels,
            f1=f1,
            only_predicted=only_predicted,
            json_file=json_file,
            console=console,
        )
        return
    judged = read_judged(
        compare or [predictions],
        annotations,
        subset=subset,
        strict=strict,
        only_predicted=only_predicted,
        labels=label_choice(labels),
        out_of_video=out_of_video,
        elan=ElanChoice.of(tier, tier_type, language),
    )
    report, *others = [
        evaluate_detections(
            found,
            judged.truth.records,
            labels=judged.truth.labels,
            tiou=thresholds,
            protocol=protocol,
            levels=levels,
        )
        for found in judged.found
    ]
    ties = {name: tie_range(item) for name, item in report.levels.items()}
    content = detection_json(report) | {"ties": ties_json(ties), "counts": judged.counts}
    if compare is not None:
        content |= print_comparison(
            console, report, others[0], files=compare, num_resamples=bootstrap or DEFAULT_RESAMPLES
        )
    else:
        content |= print_scores(console, report, ties, num_resamples=bootstrap, details=details)
    for warning in judged.warnings:
        typer.echo(f"warning: {warning}")
    if json_file is not None:
        write_text(json_file, json.dumps(finite(content), indent=1) + "\n")
    flags = judging_flags(
        annotations,
        subset=subset,
        labels=labels,
        out_of_video=out_of_video,
        only_predicted=only_predicted,
    )
    if compare is None:
        tell_next("error-analysis", predictions, *flags)
