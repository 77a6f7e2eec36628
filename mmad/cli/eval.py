"""``mmad eval``: scores of detections and of recognition."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from mmad.annotations.elan.choice import ElanChoice
from mmad.cli._emotion_scores import EmotionOptions, score_emotions
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
)
from mmad.cli._scores import (
    print_comparison,
    print_scores,
    score_coefficients,
    score_folds,
    score_recognition,
)
from mmad.config.labels import read_label_map
from mmad.errors import CheckpointError, PredictionError
from mmad.evaluation.clips.scoring import RecognitionOptions
from mmad.evaluation.detection import detection_json, evaluate_detections, levels_of, parse_tiou
from mmad.evaluation.emotions.predictions import is_emotion_file
from mmad.evaluation.file_labels import label_choice
from mmad.evaluation.run_files import (
    Judged,
    is_recognition,
    newest_predictions,
    read_judged,
    subset_of,
)
from mmad.evaluation.thresholds import FILE_NAME, choose_thresholds, write_thresholds
from mmad.evaluation.ties import tie_range, ties_json
from mmad.files import write_json
from mmad.wording import count

app = typer.Typer(add_completion=False)

DEFAULT_RESAMPLES = 1000


def _chosen(
    files: list[Path], compare: tuple[Path, Path] | None, *, runs: Path, subset: str | None
) -> list[Path]:
    """The files to score: those passed, those of a run, or of the newest run, which is printed.

    Raises: PredictionError if files are also named by --compare, or a run has no predictions.
    """
    if compare is not None:
        if files:
            raise PredictionError(f"--compare A B scores these two; leave out {files[0]}")
        return list(compare)
    chosen = []
    for path in files or [runs]:
        is_run = path.is_dir() or not files
        chosen.append(newest_predictions(path, subset=subset) if is_run else path)
        if is_run:
            typer.echo(f"predictions: {chosen[-1]}")
    return chosen


def _write(json_file: Path | None, content: dict[str, object]) -> None:
    if json_file is not None:
        write_json(json_file, content)


def _keep_thresholds(run: Path, judged: Judged, *, subset: str) -> None:
    """Choose thresholds on scored detections, and write them to a run folder.

    Raises: CheckpointError if it is no run, or of other labels; PredictionError if no annotation
        was found; OutputError if they cannot be written.
    """
    annotated = judged.annotations
    present = run / "labels.json"
    if not present.is_file():
        raise CheckpointError(f"--thresholds {run}: is not a run folder (no labels.json in it)")
    if read_label_map(present, error=CheckpointError).names != annotated.labels.names:
        raise CheckpointError(f"--thresholds {run}: has other classes than the annotations")
    chosen = choose_thresholds(
        judged.predictions[0], annotated.records, labels=annotated.labels, subset=subset
    )
    if chosen is None:
        raise PredictionError(
            f"--thresholds {run}: no annotation of subset {subset} is found at a tIoU of 0.5, so "
            "no score is better than another"
        )
    write_thresholds(run / FILE_NAME, chosen)
    own = sum(one.f1 is not None for one in chosen.classes)
    typer.echo(
        f"{run / FILE_NAME}: {count(own, 'class')} with a threshold of their own, the others "
        f"{chosen.overall.threshold:.3f} (all together, F1 {chosen.overall.f1:.2f})"
    )


@app.command(name="eval")
def evaluate(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[PREDICTIONS]...",
            help="CSV (also .gz, .zip) or JSON, or a run; default: the newest run. Several: folds, "
            "or methods that predict emotions.",
        ),
    ] = None,
    annotations: AnnotationsOption = None,
    tiou: TiouOption = "0.1:0.9",
    level: LevelOption = "both",
    subset: RunSubsetOption = None,
    protocol: ProtocolOption = "mma52",
    runs: Annotated[Path, typer.Option(help="Where to look for the newest run.")] = Path("runs"),
    details: Annotated[
        bool,
        typer.Option(
            "--details", help="Each class, recall at k, rare classes; each video's emotion."
        ),
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
    coefficients: Annotated[
        bool,
        typer.Option(
            "--coefficients", help="Of heads.name=mlfe: accuracy at each weight of local features."
        ),
    ] = False,
    strict: StrictOption = False,
    only_predicted: OnlyPredictedOption = False,
    labels: LabelsOption = None,
    out_of_video: OutOfVideoOption = None,
    tier: TierOption = None,
    tier_type: TierTypeOption = None,
    language: LanguageOption = None,
    thresholds_of: Annotated[
        Path | None,
        typer.Option(
            "--thresholds",
            metavar="RUN",
            help="Also choose the score of each class with the best F1 here, and keep them in this "
            "run for mmad detect.",
        ),
    ] = None,
    json_file: JsonOption = None,
) -> None:
    """Score detections (mAP), a recogniser's predictions (F1) or emotions (accuracy, F1, mAP)."""
    thresholds, levels = parse_tiou(tiou), levels_of(level)
    console = Console(width=120)
    given = _chosen(files or [], compare, runs=runs, subset=subset)
    predictions = given[0]
    if thresholds_of is not None and (compare is not None or len(given) > 1):
        raise PredictionError("--thresholds takes the detections of one file")
    if any(map(is_emotion_file, given)):
        if compare is not None or bootstrap:
            raise PredictionError(
                f"{predictions}: predictions of emotions; --compare and --bootstrap are for "
                "detections; several files give a table with a row for each"
            )
        how = EmotionOptions(annotations, subset, labels, only_predicted, details)
        _write(json_file, score_emotions(given, how, console=console))
        return
    if any(map(is_recognition, given)):
        if compare is not None or details or bootstrap:
            raise PredictionError(
                f"{predictions}: predictions of clips; --compare, --details and --bootstrap are "
                "for detections (mmad ensemble --search compares recognisers)"
            )
        options = RecognitionOptions(annotations, subset, labels, f1, only_predicted)
        if len(given) == 1:
            numbers = score_recognition(predictions, options, console=console)
        else:
            numbers = score_folds(given, options, console=console)
        if coefficients:
            numbers |= score_coefficients(given, options, console=console)
        _write(json_file, numbers)
        return
    if coefficients:
        raise PredictionError(
            f"{predictions}: detections; --coefficients is for the clips of a recogniser"
        )
    if compare is None and len(given) > 1:
        raise PredictionError(
            f"{given[1]}: several files are the folds of a recogniser; to compare two detectors "
            "pass --compare A B"
        )
    judged = read_judged(
        given,
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
            judged.annotations.records,
            labels=judged.annotations.labels,
            tiou=thresholds,
            protocol=protocol,
            levels=levels,
        )
        for found in judged.predictions
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
    if thresholds_of is not None:
        _keep_thresholds(thresholds_of, judged, subset=subset or subset_of(predictions))
    _write(json_file, content)
    flags = judging_flags(
        annotations,
        subset=subset,
        labels=labels,
        out_of_video=out_of_video,
        only_predicted=only_predicted,
    )
    if compare is None:
        tell_next("error-analysis", predictions, *flags)
