"""Output of ``mmad eval`` on detections and on the predictions of a recogniser."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import typer
from rich.console import Console

from mmad.errors import PredictionError
from mmad.evaluation.breakdown import (
    Resamples,
    compare,
    comparison_json,
    draw_videos,
    interval,
    resample,
)
from mmad.evaluation.clips.cross_validation import folds_json, summarise_folds
from mmad.evaluation.clips.recognition import (
    RecognitionReport,
    recognition_json,
)
from mmad.evaluation.clips.scoring import (
    RecognitionOptions,
    left_out_text,
    report_of,
    sweep_of,
)
from mmad.evaluation.clips.summed_scores import (
    sweep_json,
)
from mmad.evaluation.detection import DetectionReport
from mmad.evaluation.file_labels import common_labels_of_clips, labels_of_clips
from mmad.evaluation.run_files import run_of, trial_of
from mmad.evaluation.ties import TieRange
from mmad.report.recognition_tables import (
    confusion_table,
    folds_table,
    recognition_counts_text,
    recognition_table,
    sweep_table,
    sweep_text,
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
    """Print the figures of detections; returns the JSON of any resamples."""
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
    """Print the gain of the second set; returns its JSON."""
    content: dict[str, object] = {}
    copies = draw_videos(first.num_videos, num_resamples=num_resamples)
    for name, found in compare(first, second, copies=copies).items():
        shown = first.levels[name].labels
        a, b = map(str, files)
        console.print(comparison_table(name, found, shown, first=a, second=b))
        content[f"compare_{name}"] = comparison_json(found)
    return content


def score_recognition(
    predictions: Path, options: RecognitionOptions, *, console: Console
) -> dict[str, object]:
    """Score and print the predictions of a recogniser against lists of clips; returns the JSON.

    Raises: PredictionError if no list is given or the two do not fit.
    """
    labels = labels_of_clips(predictions, options.labels)
    report, num_left_out = report_of(predictions, options, labels=labels)
    _tell_left_out(report, num_left_out)
    trial = trial_of(predictions)
    console.print(recognition_table(report, trial=trial))
    console.print(confusion_table(report, labels))
    console.print(recognition_counts_text(report), highlight=False)
    content = recognition_json(report, labels) | {"clips_left_out": num_left_out}
    return content if trial is None else content | {"trial": trial}


def score_folds(
    files: Sequence[Path], options: RecognitionOptions, *, console: Console
) -> dict[str, object]:
    """Score and print each of several files of predictions, and their mean; returns the JSON.

    Raises: PredictionError if a file occurs twice, or classes differ, and as `score_recognition`.
    """
    if repeated := sorted({str(path) for path in files if files.count(path) > 1}):
        raise PredictionError(f"{', '.join(repeated)}: passed twice; expected a file for each fold")
    labels = common_labels_of_clips(files, options.labels)
    runs = [run_of(path) for path in files]
    names = [str(path) if run is None else run.name for path, run in zip(files, runs, strict=True)]
    if len(set(names)) < len(names):
        names = list(map(str, files))
    found = [report_of(path, options, labels=labels) for path in files]
    for one in found:
        _tell_left_out(*one)
    reports = {name: report for name, (report, _) in zip(names, found, strict=True)}
    summary = summarise_folds(reports)
    trials = {
        name: trial
        for name, path in zip(names, files, strict=True)
        if (trial := trial_of(path)) is not None
    }
    for level in summary.levels:
        console.print(folds_table(summary, level=level, trials=trials))
    left_out = {name: number for name, (_, number) in zip(names, found, strict=True)}
    content = folds_json(summary, labels) | {"clips_left_out": left_out}
    return content | {"trials": trials} if trials else content


def score_coefficients(
    files: Sequence[Path], options: RecognitionOptions, *, console: Console
) -> dict[str, object]:
    """Print the figures at each weight of local features; returns their JSON.

    Raises: PredictionError as `sweep_of`.
    """
    sweep = sweep_of(files, options, labels=common_labels_of_clips(files, options.labels))
    console.print(sweep_table(sweep))
    console.print(sweep_text(sweep), highlight=False)
    return {"coefficients": sweep_json(sweep)}


def _tell_left_out(report: RecognitionReport, num_left_out: int) -> None:
    """Print how many clips are not scored, if any."""
    if notice := left_out_text(report, num_left_out):
        typer.echo(f"warning: {notice}")
