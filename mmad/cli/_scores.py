"""Output of ``mmad eval`` on detections and on the predictions of a recogniser."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console

from mmad.cli._inputs import annotated_clips, run_of, subset_of, trial_of
from mmad.cli._labels import common_labels_of_clips, labels_of_clips
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
    evaluate_recognition,
    read_recognitions,
    recognition_json,
    with_suffix,
)
from mmad.evaluation.clips.summed_scores import (
    CoefficientSweep,
    read_summed_scores,
    sweep_coefficients,
    sweep_json,
)
from mmad.evaluation.detection import DetectionReport
from mmad.evaluation.ties import TieRange
from mmad.labels import LabelMap
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
from mmad.structures import ClipRecord


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


@dataclass(frozen=True)
class RecognitionOptions:
    """How predictions of clips are scored.

    Attributes:
        annotations: Lists of the clips; None for those of each file's run.
        subset: Their subset; None for that of each file.
        labels: Value of ``--labels``.
        f1: Rule of macro F1.
        only_predicted: Leave out clips without a prediction.
    """

    annotations: Sequence[Path] | None
    subset: str | None
    labels: str | None
    f1: str
    only_predicted: bool


def score_recognition(
    predictions: Path, options: RecognitionOptions, *, console: Console
) -> dict[str, object]:
    """Score and print the predictions of a recogniser against lists of clips; returns the JSON.

    Raises: PredictionError if no list is given or the two do not fit.
    """
    labels = labels_of_clips(predictions, options.labels)
    report, num_left_out = _report_of(predictions, options, labels=labels)
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
    found = [_report_of(path, options, labels=labels) for path in files]
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


def _report_of(
    predictions: Path, options: RecognitionOptions, *, labels: LabelMap
) -> tuple[RecognitionReport, int]:
    """The report of a file, and the number of clips left out without a prediction, which is
    printed.
    """
    guesses = read_recognitions(predictions, labels=labels)
    scored, num_left_out = _scored_clips(predictions, guesses.clip_ids, options, labels=labels)
    if num_left_out:
        typer.echo(
            f"warning: {num_left_out} of {len(scored) + num_left_out} annotated clips have no "
            "prediction and are left out (--only-predicted)"
        )
    return evaluate_recognition(guesses, scored, labels=labels, f1=options.f1), num_left_out


def _scored_clips(
    predictions: Path, clip_ids: Sequence[str], options: RecognitionOptions, *, labels: LabelMap
) -> tuple[list[ClipRecord], int]:
    """The clips that predictions of ``clip_ids`` are scored on, and how many are left out."""
    subset = options.subset or subset_of(predictions)
    clips = annotated_clips(predictions, options.annotations, subset=subset, labels=labels)
    if not options.only_predicted:
        return list(clips), 0
    scored = [clip for clip in clips if with_suffix(clip.clip_id) in set(clip_ids)]
    return scored, len(clips) - len(scored)


def sweep_of(
    files: Sequence[Path], options: RecognitionOptions, *, labels: LabelMap
) -> CoefficientSweep:
    """The figures of files at each weight of local features.

    Raises: PredictionError if the two parts of the scores are not beside a file of predictions, or
        the two do not fit.
    """
    members = [read_summed_scores(path.with_suffix(".npz"), labels=labels) for path in files]
    clips = [
        _scored_clips(path, member.clip_ids, options, labels=labels)[0]
        for path, member in zip(files, members, strict=True)
    ]
    return sweep_coefficients(members, clips, labels=labels, f1=options.f1)


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
