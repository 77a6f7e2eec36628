"""``mmad eval``: mAP of a file of detections."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from mmad.annotations.elan_reader import ElanChoice
from mmad.cli._inputs import (
    annotated_clips,
    newest_predictions,
    read_judged,
    subset_of,
)
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
from mmad.errors import PredictionError
from mmad.evaluation.breakdown import Comparison, draw_videos, interval, resample
from mmad.evaluation.breakdown import compare as compare_reports
from mmad.evaluation.detection import DetectionReport, evaluate_detections, parse_tiou
from mmad.evaluation.recognition import (
    evaluate_recognition,
    read_recognitions,
    recognition_json,
    with_suffix,
)
from mmad.evaluation.submission import guess_task
from mmad.evaluation.ties import tie_range, ties_json
from mmad.files import finite, write_text
from mmad.labels import MA52
from mmad.report.recognition_tables import (
    confusion_table,
    recognition_counts_text,
    recognition_table,
)
from mmad.report.tables import (
    bootstrap_table,
    class_table,
    comparison_table,
    counts_text,
    frequency_table,
    paper_table,
    recall_table,
    threshold_table,
    ties_text,
)

app = typer.Typer(add_completion=False)

DEFAULT_RESAMPLES = 1000


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
        labels=labels,
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
    content = to_json(report) | {"ties": ties_json(ties), "counts": judged.counts}
    if compare is not None:
        copies = draw_videos(report.num_videos, num_resamples=bootstrap or DEFAULT_RESAMPLES)
        for name, found in compare_reports(report, others[0], copies=copies).items():
            shown = report.levels[name].labels
            first, second = map(str, compare)
            console.print(comparison_table(name, found, shown, first=first, second=second))
            content[f"compare_{name}"] = comparison_json(found)
    else:
        console.print(threshold_table(report))
        console.print(paper_table(report))
        resamples = {}
        if bootstrap:
            copies = draw_videos(report.num_videos, num_resamples=bootstrap)
            resamples = {name: resample(item, copies) for name, item in report.levels.items()}
            console.print(bootstrap_table(report, resamples))
            for name, item in report.levels.items():
                limits = interval(resamples[name].average, item.average)
                content[f"interval_{name}"] = list(limits)
        if details:
            console.print(recall_table(report))
            console.print(frequency_table(report))
            for name, item in report.levels.items():
                console.print(class_table(name, item, resamples.get(name)))
        console.print(counts_text(report), highlight=False)
        if told := ties_text(report, ties):
            console.print(told, highlight=False)
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


def is_recognition(predictions: Path) -> bool:
    """Whether a file holds guesses of clips; what is wrong with another, its reader says."""
    try:
        return guess_task(predictions) == "recognition"
    except PredictionError:
        return False


def comparison_json(comparison: Comparison) -> dict[str, object]:
    """The numbers of a comparison: fractions, classes by index."""
    return {
        "difference": comparison.difference,
        "interval": list(comparison.interval),
        "share_not_better": comparison.share_not_better,
        "per_class": {
            str(label): {"difference": value, "interval": limits}
            for label, (value, limits) in enumerate(
                zip(
                    comparison.per_class.tolist(),
                    comparison.per_class_intervals.tolist(),
                    strict=True,
                )
            )
            if not math.isnan(value)
        },
    }


def score_recognition(
    predictions: Path,
    annotations: Sequence[Path] | None,
    *,
    subset: str,
    f1: str,
    only_predicted: bool,
    json_file: Path | None,
    console: Console,
) -> None:
    """Score the guesses of a recogniser against lists of clips.

    Raises: PredictionError if no list is given or the two do not fit.
    """
    clips = annotated_clips(predictions, annotations, subset=subset)
    guesses = read_recognitions(predictions, labels=MA52)
    scored = clips
    if only_predicted:
        predicted = set(guesses.clip_ids)
        scored = [clip for clip in clips if with_suffix(clip.clip_id) in predicted]
    report = evaluate_recognition(guesses, scored, labels=MA52, f1=f1)
    console.print(recognition_table(report))
    console.print(confusion_table(report, MA52))
    console.print(recognition_counts_text(report), highlight=False)
    num_left_out = len(clips) - len(scored)
    if num_left_out:
        typer.echo(
            f"warning: {num_left_out} of {len(clips)} annotated clips have no prediction and are "
            "left out (--only-predicted)"
        )
    if json_file is not None:
        content = recognition_json(report, MA52) | {"clips_left_out": num_left_out}
        write_text(json_file, json.dumps(content, indent=1) + "\n")
