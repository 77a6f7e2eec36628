"""``mmad predict``: predictions for the videos or clips of a subset, annotated or not."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from mmad.annotations.clips.folds import ClipLists
from mmad.annotations.placeholders import find_placeholders
from mmad.cli._corpus import find_in_corpus
from mmad.cli._emotion_runs import predict_emotions
from mmad.cli._next_command import annotations_flags, tell_next
from mmad.cli._notices import tell_notices
from mmad.cli._options import (
    AnnotationsOption,
    DeviceOption,
    OverridesArgument,
    RunArgument,
    SubsetOption,
)
from mmad.cli._workers import OnOption, ShareOption, chosen_share, chosen_workers
from mmad.config.emotion import EmotionConfig
from mmad.config.reading import load_any_config
from mmad.config.recognition import RecognitionConfig
from mmad.config.run import DetectionRun, VideoRun
from mmad.data.samples import raise_failures
from mmad.engine.clip_inference import raise_failed_clips, write_recognized
from mmad.engine.inference import write_detected
from mmad.engine.jobs.detection import UsedRun, write_corpus
from mmad.engine.runs.changes import config_for, require_same_model
from mmad.engine.runs.folder import RunFolder
from mmad.engine.runs.hub import local_run
from mmad.engine.runs.load import labels_of
from mmad.engine.trained.detector import TrainedDetector, videos_to_predict
from mmad.engine.trained.emotion import TrainedEmotion
from mmad.engine.trained.opening import open_trained
from mmad.engine.trained.recogniser import TrainedRecogniser
from mmad.errors import ConfigError
from mmad.evaluation.predictions import check_predictions_path
from mmad.files import check_output_file
from mmad.labels import MA52, LabelMap
from mmad.shares import Share
from mmad.structures import Detections, VideoRecord
from mmad.wording import count
from mmad.workers import Workers

app = typer.Typer(add_completion=False)


@app.command()
def predict(
    checkpoint: RunArgument,
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
    checkpoint = local_run(checkpoint)
    mine, workers = chosen_share(share, on), chosen_workers(on, gpus=device != "cpu")
    folder = RunFolder(checkpoint)
    labels = labels_of(folder)
    wanted = config_for(
        folder,
        subset,
        annotations=annotations or (),
        videos=videos,
        faces=faces,
        features=features,
        overrides=overrides or (),
    )
    if out is not None and not isinstance(wanted, EmotionConfig):
        of_clips = isinstance(wanted, RecognitionConfig)
        check_predictions_path(out, suffixes=(".csv", ".zip") if of_clips else (".csv",))
    check_output_file(out or folder.predictions(subset, ".csv"))
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
    trained = open_trained(checkpoint, device=device)
    if isinstance(trained, TrainedRecogniser):
        assert isinstance(wanted, RecognitionConfig)
        predict_clips(trained, wanted, subset=subset, out=out, details=details)
    elif isinstance(trained, TrainedEmotion):
        assert isinstance(wanted, EmotionConfig)
        predict_emotions(trained, wanted, subset=subset, out=out)
    else:
        assert isinstance(wanted, DetectionRun)
        predict_videos(trained, wanted, subset=subset, out=out)


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
        write=partial(write_corpus, path, labels=labels),
        share=share,
        workers=workers,
        costs={name: record.duration_seconds for name, record in records.items()},
        records=records,
    )
    if whole is not None:
        tell_predicted(path, whole.detections, list(records.values()), wanted, subset)
    raise_failures(found.failures)


def predict_videos(
    trained: TrainedDetector, wanted: DetectionRun, *, subset: str, out: Path | None
) -> None:
    """Write the detections of the videos of a subset."""
    records, found = trained.predict(wanted, subset)
    path = out or trained.folder.predictions(subset, ".csv")
    tell_notices(found.notices())
    write_detected(path, found, labels=trained.labels)
    tell_predicted(path, found.detections, records, wanted, subset)
    raise_failures(found.failures)


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
    trained: TrainedRecogniser,
    wanted: RecognitionConfig,
    *,
    subset: str,
    out: Path | None,
    details: bool,
) -> None:
    """Write the predictions of the clips of a subset."""
    clips, answers = trained.predict(wanted, subset)
    path = out or trained.folder.predictions(subset, ".csv")
    write_recognized(
        path,
        answers.scores,
        config=wanted,
        labels=trained.labels,
        summed=answers.summed,
        details=answers.details if details else None,
    )
    tell_notices(answers.notices)
    num_clips = count(len(answers.scores.clip_ids), "clip")
    typer.echo(f"{path}: {num_clips}; all scores: {path.with_suffix('.npz')}")
    if all(clip.label is not None for clip in clips):
        lists = ClipLists.of(wanted.data.model_dump())
        flags = annotations_flags([lists.place(one) for one in lists.paths.get(subset, ())])
        tell_next("report", path, "--subset", subset, *flags)
    elif trained.labels == MA52:
        tell_next("submit", path, "--out", path.with_suffix(".zip"))
    raise_failed_clips(answers.failures)
