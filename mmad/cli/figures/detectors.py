"""``mmad figures`` of detectors: best detections of videos, false positives and negatives."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmad.annotations.elan.choice import ElanChoice
from mmad.annotations.validation import OutOfVideo
from mmad.cli._options import (
    AnnotationsOption,
    LabelsOption,
    LanguageOption,
    LevelOption,
    OutOfVideoOption,
    RunSubsetOption,
    TierOption,
    TierTypeOption,
    TiouOption,
)
from mmad.cli.figures._predictions import prediction_files
from mmad.cli.figures._writing import (
    CsvOption,
    OutOption,
    WidthOption,
    frames_of,
    inches_of,
    write_drawn,
)
from mmad.errors import PredictionError
from mmad.evaluation.best_detections import best_detections, richest_videos
from mmad.evaluation.detection import levels_of, parse_tiou
from mmad.evaluation.error_analysis import analyse_errors
from mmad.evaluation.file_labels import label_choice
from mmad.evaluation.run_files import Judged, data_of_run, read_judged
from mmad.structures import Detections, VideoRecord
from mmad.video.find import find_videos

if TYPE_CHECKING:
    from mmad.report.blocks import FilmStrip

PredictionsArgument = Annotated[
    Path | None, typer.Argument(help="Run folder or predictions of a detector.")
]
_NUM_VIDEOS = 2


def detections(
    predictions: PredictionsArgument = None,
    *,
    out: OutOption,
    csv: CsvOption = None,
    width: WidthOption = "page",
    video: Annotated[
        list[str] | None,
        typer.Option(
            help="Video to show; repeat it for several. Default: the two with the most labels."
        ),
    ] = None,
    best: Annotated[int, typer.Option(min=1, help="Detections of each video.")] = 10,
    videos: Annotated[
        Path | None,
        typer.Option(help="Folder of the videos, for their frames; default: that of the run."),
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option(min=0, help="Frames above each video; default: 8, or 5 on a column."),
    ] = None,
    annotations: AnnotationsOption = None,
    subset: RunSubsetOption = None,
    labels: LabelsOption = None,
    out_of_video: OutOfVideoOption = None,
    tier: TierOption = None,
    tier_type: TierTypeOption = None,
    language: LanguageOption = None,
) -> None:
    """Draw the best detections of videos, coloured by tIoU, and annotations (MMA-52, Fig. 8)."""
    path, judged = _judge(
        predictions,
        annotations,
        kind="detections",
        subset=subset,
        labels=labels,
        out_of_video=out_of_video,
        elan=ElanChoice.of(tier, tier_type, language),
    )
    found = judged.predictions[0]
    records = judged.annotations.records
    if video:
        by_name = {record.video_id: record for record in records}
        for name in video:
            if name not in by_name:
                raise PredictionError(f"--video {name}: is none of {len(by_name)} annotated videos")
        chosen = [by_name[name] for name in video]
    else:
        chosen = richest_videos(records, found, count=_NUM_VIDEOS)
    shown = [
        best_detections(record, found.get(record.video_id, Detections()), count=best)
        for record in chosen
    ]
    num_frames = frames_of(width) if frames is None else frames
    strips = [_strip(record, path, videos, num_frames=num_frames) for record in chosen]
    from mmad.report.detector_figures.best_detections import draw_best_detections

    drawn = draw_best_detections(
        shown, strips, labels=judged.annotations.labels, width_inches=inches_of(width)
    )
    write_drawn(drawn, out=out, csv=csv)


def _strip(
    record: VideoRecord, predictions: Path, folder: Path | None, *, num_frames: int
) -> "FilmStrip":
    """Frames of a video; none if no folder is named and that of the run lacks it.

    Raises: PredictionError if ``folder`` lacks the video.
    """
    place = folder or data_of_run(predictions).get("videos")
    if place is None or not num_frames or (folder is None and not Path(place).is_dir()):
        return []
    files = find_videos(place)
    if record.video_id in files:
        # Not at the top: the decoder is slow to import.
        from mmad.video.film_strip import film_strip

        return film_strip(files[record.video_id], num_frames=num_frames)
    if folder is not None:
        raise PredictionError(f"--videos {folder}: there is no video {record.video_id} in it")
    return []


def _profile(kind: str, told: str) -> Callable[..., None]:
    """The command of a profile of errors; the three differ in their figure alone."""

    def command(
        predictions: PredictionsArgument = None,
        *,
        out: OutOption,
        csv: CsvOption = None,
        width: WidthOption = "page",
        tiou: TiouOption = "0.5",
        level: LevelOption = "both",
        annotations: AnnotationsOption = None,
        subset: RunSubsetOption = None,
        labels: LabelsOption = None,
        out_of_video: OutOfVideoOption = None,
        tier: TierOption = None,
        tier_type: TierTypeOption = None,
        language: LanguageOption = None,
    ) -> None:
        thresholds, levels = parse_tiou(tiou), levels_of(level)
        _, judged = _judge(
            predictions,
            annotations,
            kind=kind.replace("_", "-"),
            subset=subset,
            labels=labels,
            out_of_video=out_of_video,
            elan=ElanChoice.of(tier, tier_type, language),
        )
        report = analyse_errors(
            judged.predictions[0],
            judged.annotations.records,
            labels=judged.annotations.labels,
            tiou=thresholds,
            levels=levels,
        )
        # Not at the top: matplotlib is slow to import, and messages do without.
        from mmad.report.detector_figures.error_figures import PROFILES

        drawn = PROFILES[kind](report.levels, width_inches=inches_of(width))
        write_drawn(drawn, out=out, csv=csv)

    command.__name__, command.__doc__ = kind, told
    return command


false_positives = _profile(
    "false_positives",
    "Draw what the best detections are, and what fixing each error would gain (MMA-52, Fig. 6).",
)
false_negatives = _profile(
    "false_negatives",
    "Draw the share of missed annotations by coverage, length and number (MMA-52, Fig. 7).",
)
sensitivity = _profile(
    "sensitivity", "Draw the normalised mAP by coverage, length and number of annotations."
)


def _judge(
    predictions: Path | None,
    annotations: list[Path] | None,
    *,
    kind: str,
    subset: str | None,
    labels: str | None,
    out_of_video: OutOfVideo | None,
    elan: ElanChoice,
) -> tuple[Path, Judged]:
    """The file of predictions, and its content with the annotations.

    Raises: PredictionError if there is none, or it is not of a detector.
    """
    given = None if predictions is None else [predictions]
    (path,) = prediction_files(given, kind=kind, of="detections", subset=subset)
    judged = read_judged(
        [path],
        annotations,
        subset=subset,
        strict=False,
        only_predicted=False,
        labels=label_choice(labels),
        out_of_video=out_of_video,
        elan=elan,
    )
    for warning in judged.warnings:
        typer.echo(f"warning: {warning}")
    return path, judged
