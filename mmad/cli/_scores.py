"""What ``mmad eval`` prints of detections and of the guesses of a recogniser."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import typer
from rich.console import Console

from mmad.cli._inputs import annotated_clips
from mmad.cli._labels import labels_of_clips
from mmad.evaluation.breakdown import (
    Resamples,
    compare,
    comparison_json,
    draw_videos,
    interval,
    resample,
)
from mmad.evaluation.clips.recognition import (
    evaluate_recognition,
    read_recognitions,
    recognition_json,
    with_suffix,
)
from mmad.evaluation.detection import DetectionReport
from mmad.evaluation.ties import TieRange
from mmad.files import write_text
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


def print_scores(
    console: Console,
    report: DetectionReport,
    ties: Mapping[str, TieRange],
    *,
    num_resamples: int,
    details: bool,
) -> dict[str, object]:
    """Print the figures of detections; what the JSON has of the resamples, if there are any."""
    console.print(threshold_table(report))
    console.print(paper_table(report))
    resamples: dict[str, Resamples] = {}
    content: dict[str, object] = {}
    if num_resamples:
        copies = draw_videos(report.num_videos, num_resamples=num_resamples)
        resamples = {name: resample(item, copies) for name, item in report.levels.items()}
        console.print(bootstrap_table(report, resamples))
        for name, item in report.levels.items():
            content[f"interval_{name}"] = list(interval(resamples[name].average, item.average))
    if details:
        console.print(recall_table(report))
        console.print(frequency_table(report))
        for name, item in report.levels.items():
            console.print(class_table(name, item, resamples.get(name)))
    console.print(counts_text(report), highlight=False)
    if told := ties_text(report, ties):
        console.print(told, highlight=False)
    return content


def print_comparison(
    console: Console,
    first: DetectionReport,
    second: DetectionReport,
    *,
    files: tuple[Path, Path],
    num_resamples: int,
) -> dict[str, object]:
    """Print how much better the second is; what the JSON has of it."""
    content: dict[str, object] = {}
    copies = draw_videos(first.num_videos, num_resamples=num_resamples)
    for name, found in compare(first, second, copies=copies).items():
        shown = first.levels[name].labels
        a, b = map(str, files)
        console.print(comparison_table(name, found, shown, first=a, second=b))
        content[f"compare_{name}"] = comparison_json(found)
    return content


def score_recognition(
    predictions: Path,
    annotations: Sequence[Path] | None,
    *,
    subset: str,
    labels: str | None,
    f1: str,
    only_predicted: bool,
    json_file: Path | None,
    console: Console,
) -> None:
    """Score the guesses of a recogniser against lists of clips.

    Raises: PredictionError if no list is given or the two do not fit.
    """
    classes = labels_of_clips(predictions, labels)
    clips = annotated_clips(predictions, annotations, subset=subset, labels=classes)
    guesses = read_recognitions(predictions, labels=classes)
    scored = clips
    if only_predicted:
        predicted = set(guesses.clip_ids)
        scored = [clip for clip in clips if with_suffix(clip.clip_id) in predicted]
    report = evaluate_recognition(guesses, scored, labels=classes, f1=f1)
    console.print(recognition_table(report))
    console.print(confusion_table(report, classes))
    console.print(recognition_counts_text(report), highlight=False)
    num_left_out = len(clips) - len(scored)
    if num_left_out:
        typer.echo(
            f"warning: {num_left_out} of {len(clips)} annotated clips have no prediction and are "
            "left out (--only-predicted)"
        )
    if json_file is not None:
        content = recognition_json(report, classes) | {"clips_left_out": num_left_out}
        write_text(json_file, json.dumps(content, indent=1) + "\n")
