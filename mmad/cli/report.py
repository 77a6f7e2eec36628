"""``mmad report``: write an HTML report."""

from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from mmad.annotations.elan.choice import ElanChoice
from mmad.cli._emotion_scores import tell_left_out
from mmad.cli._options import (
    AnnotationsOption,
    LabelsOption,
    LanguageOption,
    OnlyPredictedOption,
    OutOfVideoOption,
    ProtocolOption,
    RunSubsetOption,
    StrictOption,
    TierOption,
    TierTypeOption,
)
from mmad.cli._pretraining_report import pretraining_of, report_pretraining
from mmad.cli._recogniser import clips_of, read_recogniser
from mmad.config.reading import load_any_config
from mmad.config.run import DetectionRun
from mmad.errors import ConfigError, PredictionError
from mmad.evaluation.clips.recognition import evaluate_recognition, with_suffix
from mmad.evaluation.clips.scores import to_recognitions
from mmad.evaluation.detection import evaluate_detections, levels_of, parse_tiou
from mmad.evaluation.emotions.metrics import evaluate_emotions
from mmad.evaluation.emotions.models import EmotionOptions, read_emotion_models
from mmad.evaluation.emotions.predictions import is_emotion_file
from mmad.evaluation.error_analysis import analyse_errors
from mmad.evaluation.file_labels import label_choice
from mmad.evaluation.run_files import (
    data_of_run,
    is_recognition,
    newest_predictions,
    read_judged,
    run_of,
    subset_of,
    trial_of,
)
from mmad.labels import MA52
from mmad.progress import tracked
from mmad.report.emotion_page import surest_mistakes_first, write_emotion_page
from mmad.report.recognition_page import write_recognition_page
from mmad.report.web_page import write_web_page
from mmad.video.find import find_videos
from mmad.wording import count

app = typer.Typer(add_completion=False)


@app.command()
def report(
    source: Annotated[Path, typer.Argument(help="Run folder, or a file of predictions.")],
    annotations: AnnotationsOption = None,
    out: Annotated[
        Path | None, typer.Option(help="HTML file; default: in the run, or beside the file.")
    ] = None,
    videos: Annotated[
        Path | None, typer.Option(help="Folder of the video files; default: that of the run.")
    ] = None,
    subset: RunSubsetOption = None,
    protocol: ProtocolOption = "mma52",
    tiou: Annotated[str, typer.Option(help="Thresholds of the error analysis.")] = "0.5",
    level: Annotated[
        Literal["action", "both"], typer.Option(help="Actions alone, or body parts too.")
    ] = "both",
    strict: StrictOption = False,
    only_predicted: OnlyPredictedOption = False,
    labels: LabelsOption = None,
    out_of_video: OutOfVideoOption = None,
    tier: TierOption = None,
    tier_type: TierTypeOption = None,
    language: LanguageOption = None,
) -> None:
    """Write an HTML report: the worst videos, figures, a table of classes.

    Of a pre-training: how its error falls, and what it paints. It opens by double click, needs no
    network, and plays the videos if they are not moved.
    """
    thresholds, levels = parse_tiou(tiou), levels_of(level)
    pretraining = pretraining_of(source) if source.is_dir() else None
    if pretraining is not None:
        report_pretraining(source, pretraining, out=out)
        return
    predictions = newest_predictions(source, subset=subset) if source.is_dir() else source
    subset = subset or subset_of(predictions)
    if videos is not None and not videos.is_dir():
        raise PredictionError(f"--videos {videos}: there is no such folder")
    if is_emotion_file(predictions):
        options = EmotionOptions(annotations, subset, labels, only_predicted, details=False)
        report_emotions(predictions, options, videos, subset=subset, out=out)
        return
    if is_recognition(predictions):
        report_recognition(
            predictions,
            annotations,
            videos,
            subset=subset,
            labels=labels,
            only_predicted=only_predicted,
            out=out,
        )
        return
    judged = read_judged(
        [predictions],
        annotations,
        subset=subset,
        strict=strict,
        only_predicted=only_predicted,
        labels=label_choice(labels),
        out_of_video=out_of_video,
        elan=ElanChoice.of(tier, tier_type, language),
    )
    annotated, detections = judged.annotations, judged.predictions[0]
    folder = videos or data_of_run(predictions).get("videos")
    out = out or default_out(predictions, subset=subset)
    task = "Micro-action detection" if annotated.labels == MA52 else "Action detection"
    files = find_videos(folder) if folder and Path(folder).is_dir() else {}
    write_web_page(
        out,
        title=title_of(predictions, task=task, subset=subset),
        facts=facts_of(predictions),
        records=annotated.records,
        labels=annotated.labels,
        scores=evaluate_detections(
            detections,
            annotated.records,
            labels=annotated.labels,
            tiou=parse_tiou("0.1:0.9"),
            protocol=protocol,
            levels=levels,
        ),
        errors=analyse_errors(
            detections, annotated.records, labels=annotated.labels, tiou=thresholds, levels=levels
        ),
        videos={
            record.video_id: files[record.video_id]
            for record in annotated.records
            if record.video_id in files
        },
    )
    for warning in judged.warnings:
        typer.echo(f"warning: {warning}")
    typer.echo(f"report: {out}")


def default_out(predictions: Path, *, subset: str) -> Path:
    """Default path of a report: in the run, or beside another file."""
    run = run_of(predictions)
    if run is not None:
        return run / f"report_{subset}.html"
    return predictions.parent / f"{predictions.stem}_report.html"


# Of 4 kB each; the others are played.
_MOST_PICTURES = 200
_SUBSETS = {"train": "training", "val": "validation", "test": "test"}


def title_of(predictions: Path, *, task: str, subset: str) -> str:
    """Title of a report: task, run or file, and subset."""
    run = run_of(predictions)
    name = predictions.name if run is None else run.name
    return f"{task}: {name}, {_SUBSETS.get(subset, subset)}"


def facts_of(predictions: Path) -> dict[str, str]:
    """Facts on predictions: their date, the model of their run, and whether it is a trial."""
    written = datetime.fromtimestamp(predictions.stat().st_mtime)
    facts = {"predictions": f"{predictions.name} of {written:%Y-%m-%d %H:%M}"}
    run = run_of(predictions)
    if run is None:
        return facts
    try:
        config = load_any_config(run / "config.yaml")
    except ConfigError:  # of another version, which does not prevent a report of the predictions
        return facts
    model: list[str] = [config.detector.name] if isinstance(config, DetectionRun) else []
    if config.backbone is None:
        model.append("stored features")
    else:
        model += config.backbone.summary()
    facts |= {
        "model": ", ".join(model),
        "training": f"{count(config.training.epochs, 'epoch')}, seed {config.seed}",
    }
    trial = trial_of(predictions)
    return facts if trial is None else facts | {"trial": trial}


def report_recognition(
    predictions: Path,
    annotations: list[Path] | None,
    videos: Path | None,
    *,
    subset: str,
    labels: str | None,
    only_predicted: bool,
    out: Path | None,
) -> None:
    """Write the report of a recogniser, from the scores beside its predictions.

    Raises: PredictionError if there are no scores, or no list of clips.
    """
    source = read_recogniser(predictions, labels=labels)
    annotated = clips_of(source, annotations, subset=subset, videos=videos)
    predicted = {with_suffix(name) for name in source.scores.clip_ids}
    clips = [
        clip for clip in annotated if not only_predicted or with_suffix(clip.clip_id) in predicted
    ]
    if len(clips) < len(annotated):
        typer.echo(
            f"warning: {len(annotated) - len(clips)} of {len(annotated)} annotated clips have no "
            "prediction and are left out (--only-predicted)"
        )
    path = out or default_out(predictions, subset=subset)
    task = "Micro-action recognition" if source.labels == MA52 else "Action recognition"
    write_recognition_page(
        path,
        title=title_of(predictions, task=task, subset=subset),
        facts=facts_of(predictions),
        clips=clips,
        labels=source.labels,
        report=evaluate_recognition(to_recognitions(source.scores), clips, labels=source.labels),
        scores=source.scores,
        details=source.details,
    )
    typer.echo(f"report: {path}")


def report_emotions(
    predictions: Path,
    options: EmotionOptions,
    videos: Path | None,
    *,
    subset: str,
    out: Path | None,
) -> None:
    """Write the report of predicted emotions.

    Raises: PredictionError if they do not fit the annotations, AnnotationError if these cannot be
    read.
    """
    from mmad.video.film_strip import strip_picture

    models = read_emotion_models([predictions], options)
    ((name, found),) = models.predictions.items()
    annotated, classes = models.videos, models.labels
    result = models.each(partial(evaluate_emotions, labels=classes))[name]
    folder = videos or data_of_run(predictions).get("videos")
    files = find_videos(folder) if folder and Path(folder).is_dir() else {}
    path = out or default_out(predictions, subset=subset)
    first = surest_mistakes_first(annotated, found)[:_MOST_PICTURES]
    shown = [video.video_id for video in first if video.video_id in files]
    write_emotion_page(
        path,
        title=title_of(predictions, task="Emotions", subset=subset),
        facts=facts_of(predictions),
        videos=[replace(video, path=files.get(video.video_id)) for video in annotated],
        labels=classes,
        predictions=found,
        report=result,
        pictures={
            name: strip_picture(files[name])
            for name in tracked(shown, "pictures", total=len(shown), unit="videos")
        },
    )
    tell_left_out(models)
    typer.echo(f"report: {path}")
