"""``mmad predict``: predictions for the videos or clips of a subset, annotated or not."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from mmad.annotations.clips.folds import ClipLists
from mmad.annotations.placeholders import find_placeholders
from mmad.cli._corpus import find_in_corpus
from mmad.cli._emotion_runs import predict_emotions
from mmad.cli._next_command import annotations_flags, tell_next
from mmad.cli._notices import tell_notices
from mmad.cli._options import AnnotationsOption, DeviceOption, OverridesArgument, SubsetOption
from mmad.cli._workers import OnOption, ShareOption, chosen_share, chosen_workers
from mmad.config.emotion import EmotionConfig
from mmad.config.reading import load_any_config
from mmad.config.recognition import RecognitionConfig
from mmad.config.run import DetectionRun, FeatureRun, VideoRun
from mmad.data.samples import raise_failures
from mmad.engine.clip_inference import raise_failed_clips, recognize_clips, write_recognized
from mmad.engine.detection import read_data, records_of, require_features, require_rate
from mmad.engine.distributed import start_processes
from mmad.engine.features.compatibility import require_features_of
from mmad.engine.inference import detect_videos, feature_reader, video_progress
from mmad.engine.jobs.detection import UsedRun
from mmad.engine.precision import choose_precision
from mmad.engine.recognition import read_clips
from mmad.engine.runs.changes import require_places, require_same_model
from mmad.engine.runs.folder import RunFolder
from mmad.engine.runs.load import labels_of, load_recogniser, load_run
from mmad.engine.runs.onto_videos import load_video_run
from mmad.errors import CheckpointError, ConfigError
from mmad.evaluation.predictions import write_predictions_csv, write_predictions_json
from mmad.files import check_output_file
from mmad.labels import MA52, LabelMap
from mmad.progress import Progress
from mmad.shares import Share
from mmad.structures import Detections, VideoRecord
from mmad.wording import count
from mmad.workers import Workers

app = typer.Typer(add_completion=False)


@app.command()
def predict(
    checkpoint: Annotated[Path, typer.Argument(help="Run folder of a trained model.")],
    overrides: OverridesArgument = None,
    annotations: AnnotationsOption = None,
    videos: Annotated[
        Path | None, typer.Option(help="Folder of videos or clips; default: that of the run.")
    ] = None,
    faces: Annotated[
        Path | None, typer.Option(help="Folder of face copies; default: that of the run.")
    ] = None,
    features: Annotated[
        Path | None, typer.Option(help="Stored features; default: those of the run.")
    ] = None,
    subset: SubsetOption = "test",
    out: Annotated[
        Path | None, typer.Option(help="CSV to write; default RUN/predictions/SUBSET.csv.")
    ] = None,
    details: Annotated[
        bool,
        typer.Option("--details", help="For clips: also features and probabilities over time."),
    ] = False,
    device: DeviceOption = "auto",
    share: ShareOption = None,
    on: OnOption = None,
) -> None:
    """Write detections of each video of a subset, or predictions of each clip or emotion."""
    mine, workers = chosen_share(share, on), chosen_workers(on, gpus=device != "cpu")
    folder = RunFolder(checkpoint)
    labels = labels_of(folder)
    check_output_file(out or folder.predictions(subset, ".csv"))
    of_clips = isinstance(load_any_config(folder.config), RecognitionConfig)
    moved = {
        subset if of_clips else "annotations": [str(path) for path in annotations or []],
        "clips" if of_clips else "videos": videos and str(videos),
        "faces": faces and str(faces),
        "features": features and str(features),
    }
    # Written as JSON, which is valid YAML for any characters of a path.
    changes = [f"data.{key}={json.dumps(place)}" for key, place in moved.items() if place]
    if of_clips and annotations:  # whole lists, not a fold of the training lists
        changes.append("data.folds=null")
    wanted = load_any_config(folder.config, overrides=[*changes, *(overrides or [])])
    require_places(checkpoint, wanted, subset=subset)
    if share is not None or on is not None:
        if not isinstance(wanted, VideoRun):
            raise ConfigError(
                f"{checkpoint}: --share and --on are for detection in videos; predict clips, "
                "emotions, and from stored features on one machine"
            )
        predict_corpus(
            *(checkpoint, wanted),
            labels=labels,
            subset=subset,
            path=out or folder.predictions(subset, ".csv"),
            device=device,
            share=mine,
            workers=workers,
        )
        return
    if isinstance(wanted, RecognitionConfig):
        predict_clips(
            *(checkpoint, wanted),
            labels=labels,
            subset=subset,
            out=out,
            details=details,
            device=device,
        )
    elif isinstance(wanted, EmotionConfig):
        predict_emotions(checkpoint, wanted, labels=labels, subset=subset, out=out, device=device)
    else:
        predict_videos(checkpoint, wanted, labels=labels, subset=subset, out=out, device=device)


def predict_corpus(
    checkpoint: Path,
    wanted: VideoRun,
    *,
    labels: LabelMap,
    subset: str,
    path: Path,
    device: str,
    share: Share,
    workers: Workers,
) -> None:
    """Detect in a share of the videos of a subset, or on a cluster; the last share writes all."""
    records = {record.video_id: record for record in videos_to_predict(wanted, labels, subset)}
    require_same_model(
        checkpoint,
        load_any_config(RunFolder(checkpoint).config),
        wanted,
        ("detector", "upsampling", "backbone"),
    )
    found, whole = find_in_corpus(
        "predict",
        UsedRun(checkpoint, wanted, device),
        {name: record.path or Path() for name, record in records.items()},
        path=path,
        labels=labels,
        share=share,
        workers=workers,
        costs={name: record.duration_seconds for name, record in records.items()},
        record_of=records.__getitem__,
    )
    if whole is not None:
        tell_predicted(path, whole.detections, list(records.values()), wanted, subset)
    raise_failures(found.failures)


def predict_videos(
    checkpoint: Path,
    wanted: DetectionRun,
    *,
    labels: LabelMap,
    subset: str,
    out: Path | None,
    device: str,
) -> None:
    """Write the detections of the videos of a subset."""
    folder = RunFolder(checkpoint)
    records = videos_to_predict(wanted, labels, subset)
    groups = ["detector", "upsampling"]
    fps = wanted.data.rate(usual=folder.training_fps())
    if isinstance(wanted, FeatureRun):
        reader = feature_reader(wanted)
        manifest = reader.source.manifest
        require_features(reader, records)
        require_rate(reader, records, fps=fps, tolerance=wanted.data.fps_tolerance)
        require_features_of(folder, manifest, source=wanted.data.features)
        model, config, _ = load_run(checkpoint, features=manifest)
    else:
        reader = None
        model, config, _ = load_video_run(checkpoint)
        groups.append("backbone")
    require_same_model(checkpoint, config, wanted, groups)
    processor = start_processes(device).device
    with video_progress("predict", records) as progress:
        found = detect_videos(
            model.to(processor),
            records,
            wanted,
            device=processor,
            precision=choose_precision(wanted.training.precision, processor),
            fps=fps,
            reader=reader,
            progress=progress.update,
        )
    path = out or folder.predictions(subset, ".csv")
    tell_notices(found.notices())
    detections = found.detections
    write_predictions_csv(path, detections)
    write_predictions_json(path.with_suffix(".json"), detections, labels, videos=found.to_json())
    tell_predicted(path, detections, records, wanted, subset)
    raise_failures(found.failures)


def videos_to_predict(wanted: DetectionRun, labels: LabelMap, subset: str) -> list[VideoRecord]:
    """The videos of a subset.

    Raises: CheckpointError if their classes are not those of the run; as `records_of`.
    """
    annotations, present = read_data(wanted)
    if present != labels:
        raise CheckpointError(
            f"{wanted.data.annotations}: has other classes ({len(present)}) than the run was "
            f"trained on ({len(labels)})"
        )
    return records_of(wanted, annotations, [subset])


def tell_predicted(
    path: Path,
    detections: Mapping[str, Detections],
    records: Sequence[VideoRecord],
    wanted: DetectionRun,
    subset: str,
) -> None:
    """Print what was written, and the command that judges or submits it."""
    num_detections = sum(map(len, detections.values()))
    typer.echo(f"{path}: {count(num_detections, 'detection')} of {count(len(detections), 'video')}")
    if any(len(record.annotations) for record in records) and not find_placeholders(records):
        flags = annotations_flags(wanted.data.annotations)
        if wanted.data.out_of_video != "error":
            flags += ["--out-of-video", wanted.data.out_of_video]
        tell_next("eval", path, "--subset", subset, *flags)
    else:
        tell_next("submit", path, "--out", path.with_suffix(".zip"))


def predict_clips(
    checkpoint: Path,
    wanted: RecognitionConfig,
    *,
    labels: LabelMap,
    subset: str,
    out: Path | None,
    details: bool,
    device: str,
) -> None:
    """Write the predictions of the clips of a subset."""
    lists = ClipLists.of(wanted.data.model_dump())
    if not lists.names(subset):
        raise CheckpointError(
            f"{checkpoint}: data.{subset} names no list of clips; pass --annotations LIST"
        )
    if out is not None and out.suffix.lower() not in (".csv", ".zip"):
        raise CheckpointError(f"--out {out}: expected a name that ends in .csv or .zip")
    clips = read_clips(wanted, subset, labels=labels)
    model, config, _ = load_recogniser(checkpoint)
    require_same_model(checkpoint, config, wanted, ("backbone", "heads"))
    for name, is_same in (
        ("flow", (config.data.flow is None) == (wanted.data.flow is None)),
        ("flow_only", config.data.flow_only == wanted.data.flow_only),
        ("flow_statistics", config.data.flow_statistics == wanted.data.flow_statistics),
    ):
        if not is_same:
            raise CheckpointError(f"{checkpoint}: data.{name} changes the model; train a new one")
    processor = start_processes(device).device
    with Progress("predict", total=len(clips), unit="clips") as progress:
        answers = recognize_clips(
            model.to(processor),
            clips,
            wanted,
            labels=labels,
            views=wanted.data.views("test"),
            device=processor,
            progress=progress.update,
        )
    path = out or RunFolder(checkpoint).predictions(subset, ".csv")
    write_recognized(
        path,
        answers.scores,
        config=wanted,
        labels=labels,
        summed=answers.summed,
        details=answers.details if details else None,
    )
    tell_notices(answers.notices)
    num_clips = count(len(answers.scores.clip_ids), "clip")
    typer.echo(f"{path}: {num_clips}; all scores: {path.with_suffix('.npz')}")
    if all(clip.label is not None for clip in clips):
        flags = annotations_flags([lists.place(one) for one in lists.paths.get(subset, ())])
        tell_next("report", path, "--subset", subset, *flags)
    elif labels == MA52:
        tell_next("submit", path, "--out", path.with_suffix(".zip"))
    raise_failed_clips(answers.failures)
