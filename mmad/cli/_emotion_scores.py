"""Output of ``mmad eval`` on predictions of emotions."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import typer
from rich.console import Console

from mmad.evaluation.emotions.metrics import (
    EmotionReport,
    emotion_json,
    evaluate_emotions,
    videos_json,
)
from mmad.evaluation.emotions.models import EmotionModels, EmotionOptions, read_emotion_models
from mmad.labels import LabelMap
from mmad.report.emotion_tables import (
    action_precision_table,
    emotion_confusion_table,
    emotion_counts_text,
    method_table,
    per_emotion_table,
)


def score_emotions(
    files: Sequence[Path], options: EmotionOptions, *, console: Console
) -> dict[str, object]:
    """Score and print predictions of emotions, a row for each file; returns the JSON.

    Raises: PredictionError if a file occurs twice or does not fit the annotations, and
    AnnotationError if these cannot be read.
    """
    read = read_emotion_models(files, options)
    labels, num_left_out = read.labels, read.num_left_out
    tell_left_out(read)
    reports = read.each(partial(evaluate_emotions, labels=labels))
    _print(console, reports, labels=labels, details=options.details)
    content: dict[str, object] = {
        "files": {name: emotion_json(one, labels=labels) for name, one in reports.items()},
        "videos_left_out": num_left_out,
    }
    if options.details:
        content["videos"] = read.each(partial(videos_json, labels=labels))
    return content


def tell_left_out(models: EmotionModels) -> None:
    """Print how many videos are not scored, if any."""
    if models.num_left_out:
        typer.echo(f"warning: {models.left_out_text()}")


def _print(
    console: Console, reports: dict[str, EmotionReport], *, labels: LabelMap, details: bool
) -> None:
    console.print(method_table(reports))
    console.print(per_emotion_table(reports))
    if details:
        for name, report in reports.items():
            console.print(emotion_confusion_table(name, report))
        if any(len(report.action_labels) for report in reports.values()):
            console.print(action_precision_table(reports, labels=labels))
    for name, report in reports.items():
        text = emotion_counts_text(report, labels=labels)
        console.print(f"{name}: {text}", highlight=False, markup=False)
