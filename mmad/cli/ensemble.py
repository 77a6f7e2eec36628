"""``mmad ensemble``: combine several files of predictions."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from mmad.annotations.attach import read_subjects
from mmad.cli._inputs import refuse_inputs
from mmad.cli._options import LabelsOption
from mmad.config.ensemble import read_ensemble
from mmad.errors import PredictionError
from mmad.evaluation.clips.ensemble import (
    Average,
    EnsembleGain,
    common_rule,
    fuse_scores,
    nested_gain,
)
from mmad.evaluation.clips.recognition import write_recognitions
from mmad.evaluation.clips.scores import (
    RecognitionScores,
    read_scores,
    to_recognitions,
    write_scores,
)
from mmad.evaluation.detection_fusion import fuse_detections
from mmad.evaluation.ensemble_files import hold_scores, labelled_clips
from mmad.evaluation.file_labels import common_labels_of_clips
from mmad.evaluation.predictions import (
    read_predictions,
    write_predictions_csv,
    write_predictions_json,
)
from mmad.labels import LabelMap
from mmad.report.ensemble_tables import gain_table, gain_text
from mmad.wording import count

app = typer.Typer(add_completion=False)

# What is said of the body parts of an ensemble.
_RULES = {
    "mapping": "body parts are those of the fused actions, as in the files",
    "summed": "body parts are sums of the fused actions, as in the files",
    "own": "body parts are fused by their own scores",
}


@app.command()
def ensemble(
    out: Annotated[
        Path, typer.Option(help="What to write: .npz (or .csv) of scores, .csv of detections.")
    ],
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Scores of recognisers (.npz or CSV), or detections (CSV or JSON)."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="YAML with files or runs, their weights, and the average.")
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="One for each file, such as 0.6,0.4; default: equal.")
    ] = None,
    average: Annotated[
        Average | None,
        typer.Option(
            help="Mean of probabilities, the default, or of scores before their softmax (TSN)."
        ),
    ] = None,
    search: Annotated[
        bool, typer.Option("--search", help="Search weights; cross-validate their gain.")
    ] = False,
    annotations: Annotated[
        list[Path] | None, typer.Option(help="For --search: list of clips, 'name.mp4 label'.")
    ] = None,
    subjects: Annotated[
        Path | None,
        typer.Option(help="For --search: CSV video_id,subject; subjects stay in one fold."),
    ] = None,
    folds: Annotated[int, typer.Option(min=2, help="For --search: number of folds.")] = 5,
    metric: Annotated[
        Literal["f1_mean", "f1_macro", "top1"],
        typer.Option(help="For --search: metric to maximise."),
    ] = "f1_mean",
    seed: Annotated[int, typer.Option(min=0, help="For --search: seed of the folds.")] = 0,
    labels: LabelsOption = None,
) -> None:
    """Fuse the scores of recognisers by weighted mean, or detections by Soft-NMS."""
    if config is not None and (files or weights is not None or average is not None or search):
        raise PredictionError(
            f"--config {config} says which files, weights and average; leave out FILES, --weights, "
            "--average and --search"
        )
    if config is not None:
        described = read_ensemble(config)
        files, average = described.files(source=config), described.average
        given: list[float] | None = described.weights
    elif files is None or len(files) < 2:
        raise PredictionError(
            "an ensemble takes two files of predictions or more, or --config with a list of them"
        )
    else:
        given = parse_weights(weights, files=files)
    if not search and (annotations or subjects):
        raise PredictionError("--annotations and --subjects are for --search; pass --search too")
    if search and weights is not None:
        raise PredictionError("--search finds weights; leave out --weights")
    average = average or "probability"
    if search and average != "probability":
        raise PredictionError("--search is of means of probabilities; leave out --average")
    if hold_scores(files):
        targets = outputs(files, out, suffixes=(".npz", ".csv"))
        classes = common_labels_of_clips(files, labels)
        members = [read_scores(path, labels=classes) for path in files]
        if search:
            gain = search_gain(
                members,
                files,
                annotations,
                subjects,
                labels=classes,
                folds=folds,
                metric=metric,
                seed=seed,
            )
            print_gain(gain, files)
            given = gain.weights.tolist()
        fuse_recognition(members, files, given, targets, labels=classes, average=average)
        return
    if average != "probability":
        raise PredictionError("--average is for scores of recognisers; leave it out")
    if search:
        raise PredictionError(
            "--search is for scores of recognisers: for detections equal weights are known to "
            "help; leave out --search, or pass --weights"
        )
    targets = outputs(files, out, suffixes=(".csv", ".json"))
    fuse_detection(files, given, targets, labels=common_labels_of_clips(files, labels))


def parse_weights(text: str | None, *, files: Sequence[Path]) -> list[float] | None:
    """The numbers of ``--weights``, one for each file; None without the option.

    Raises: PredictionError unless there are as many numbers as files.
    """
    if text is None:
        return None
    try:
        weights = [float(part) for part in text.split(",")]
    except ValueError:
        raise PredictionError(
            f"--weights {text}: expected numbers separated by commas, such as 0.6,0.4"
        ) from None
    if len(weights) != len(files):
        raise PredictionError(
            f"--weights {text}: expected one for each of the {len(files)} files, "
            f"found {len(weights)}"
        )
    return weights


def outputs(files: Sequence[Path], out: Path, *, suffixes: tuple[str, str]) -> tuple[Path, Path]:
    """The two files to write, ``out`` and one beside it, in the order of ``suffixes``.

    Raises: PredictionError if ``out`` ends otherwise; OutputError if one of the two is an input.
    """
    if out.suffix.lower() not in suffixes:
        raise PredictionError(f"--out {out}: expected a name that ends in {' or '.join(suffixes)}")
    targets = [
        out if out.suffix.lower() == suffix else out.with_suffix(suffix) for suffix in suffixes
    ]
    refuse_inputs(targets, files)
    return targets[0], targets[1]


def search_gain(
    members: Sequence[RecognitionScores],
    files: Sequence[Path],
    annotations: Sequence[Path] | None,
    subjects: Path | None,
    *,
    labels: LabelMap,
    folds: int,
    metric: str,
    seed: int,
) -> EnsembleGain:
    """The searched weights and their gain, scored on lists of clips.

    Raises: PredictionError if no list is given or the files do not fit; AnnotationError if a list
    cannot be read.
    """
    if not annotations:
        raise PredictionError(
            "--search needs ground truth; pass --annotations LIST, a file with lines "
            "'name.mp4 label'"
        )
    return nested_gain(
        members,
        labelled_clips(annotations, labels=labels),
        labels=labels,
        metric=metric,
        folds=folds,
        seed=seed,
        groups=None if subjects is None else read_subjects(subjects),
        names=[str(path) for path in files],
    )


def print_gain(gain: EnsembleGain, files: Sequence[Path]) -> None:
    """Print the searched weights and their gain."""
    console = Console(width=120)
    console.print(gain_table(gain, files))
    console.print(gain_text(gain), highlight=False)
    typer.echo("for other clips: --weights " + ",".join(f"{one:.4f}" for one in gain.weights))


def fuse_recognition(
    members: Sequence[RecognitionScores],
    files: Sequence[Path],
    weights: Sequence[float] | None,
    targets: tuple[Path, Path],
    *,
    labels: LabelMap,
    average: Average,
) -> None:
    """Write the fused scores, and the challenge's CSV of them."""
    names = [str(path) for path in files]
    fused = fuse_scores(members, weights, labels=labels, names=names, average=average)
    rule = common_rule(members, labels=labels)
    write_scores(targets[0], fused, labels=labels)
    answers = to_recognitions(fused, mapped_by=labels if rule == "mapping" else None)
    write_recognitions(targets[1], answers)
    typer.echo(
        f"{targets[0]} (scores) and {targets[1]} (for the challenge): written, "
        f"{count(len(fused), 'clip')} from {len(files)} files"
        + (f"; {_RULES[rule]}" if labels.has_parents else "")
    )


def fuse_detection(
    files: Sequence[Path],
    weights: Sequence[float] | None,
    targets: tuple[Path, Path],
    *,
    labels: LabelMap,
) -> None:
    """Write the fused detections as CSV and as JSON.

    Raises: PredictionError if a file cannot be read or written.
    """
    members = [read_predictions(path, labels=labels) for path in files]
    fused = fuse_detections(members, weights=weights)
    for path, member in zip(files, members, strict=True):
        if odd := member.odd_rows_text():
            typer.echo(f"note: {path}: {odd}")
        missing = [name for name in fused if name not in member]
        if missing:
            typer.echo(
                f"note: {path} has no detections of {len(missing)} of {len(fused)} videos, such as "
                f"{missing[0]}"
            )
    try:
        write_predictions_csv(targets[0], fused)
        write_predictions_json(targets[1], fused, labels)
    except OSError as error:
        raise PredictionError(f"{targets[0]}: cannot be written ({error.strerror})") from None
    detections = count(sum(map(len, fused.values())), "detection")
    typer.echo(
        f"{targets[0]} and {targets[1]}: written, {detections} of {count(len(fused), 'video')} "
        f"from {len(files)} files"
    )
