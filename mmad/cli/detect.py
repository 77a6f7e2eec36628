"""``mmad detect``: micro-actions in any video file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from mmad import __version__
from mmad.annotations.elan.tiers import TIER_PREFIX
from mmad.annotations.elan.writing import write_elan
from mmad.annotations.formats import read_annotations
from mmad.cli._camera import detect_camera
from mmad.cli._copies import video_files
from mmad.cli._corpus import find_in_corpus
from mmad.cli._next_command import judging_flags, tell_next
from mmad.cli._notices import tell_notices
from mmad.cli._options import DeviceOption, MaxMissingOption, OutOfVideoOption
from mmad.cli._workers import OnOption, ShareOption, chosen_share, chosen_workers
from mmad.config.reading import with_max_missing
from mmad.data.samples import raise_failures
from mmad.engine.inference import DetectedVideos, write_detected
from mmad.engine.jobs.detection import UsedRun
from mmad.engine.runs.folder import RunFolder
from mmad.engine.runs.hub import local_run
from mmad.engine.runs.load import labels_of
from mmad.engine.runs.onto_videos import config_on_videos
from mmad.engine.trained.opening import open_trained, require_detector
from mmad.errors import VideoError
from mmad.files import check_writable
from mmad.labels import LabelMap
from mmad.names import safe_name
from mmad.progress import tracked
from mmad.report.timeline import draw_timeline
from mmad.structures import Annotations, Detections, VideoRecord
from mmad.video.film_strip import film_strip
from mmad.video.find import video_id_of
from mmad.video.index import announced_frames
from mmad.video.records import record_of, records_of_files, require_different_names
from mmad.wording import count

app = typer.Typer(add_completion=False)


def collect(paths: list[Path]) -> list[Path]:
    """The video files among ``paths``, and those in its folders.

    Raises: VideoError if there are none, or two would have the same id.
    """
    files = video_files(paths)
    require_different_names(files)
    return files


@app.command()
def detect(
    checkpoint: Annotated[
        Path, typer.Option(help="Run folder or hub id of a trained model, or its ONNX file.")
    ],
    videos: Annotated[
        list[Path] | None, typer.Argument(help="Video files, or folders of them.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("detections"),
    min_score: Annotated[
        float,
        typer.Option(min=0, max=1, help="Lowest score in ELAN and timelines; files keep all."),
    ] = 0.1,
    annotations: Annotated[
        Path | None, typer.Option(help="Annotations to draw beside the detections.")
    ] = None,
    backbone: Annotated[
        str | None, typer.Option(help="For a run on features: current place of their backbone.")
    ] = None,
    no_pictures: Annotated[bool, typer.Option("--no-pictures", help="Draw no timelines.")] = False,
    device: DeviceOption = "auto",
    out_of_video: OutOfVideoOption = None,
    max_missing: MaxMissingOption = None,
    share: ShareOption = None,
    on: OnOption = None,
    camera: Annotated[
        str | None,
        typer.Option(
            metavar="<N|ADDRESS>",
            help="Detect in camera N, 0 the first, or in rtsp://..., until Ctrl-C.",
        ),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0.1, help="Of a camera: stop after so many.")
    ] = None,
    delay: Annotated[
        float | None,
        typer.Option(
            help="Of a camera: longest time in seconds from the end of an event to its line; "
            "default: two windows."
        ),
    ] = None,
    overlap: Annotated[
        float | None,
        typer.Option(
            min=0, max=0.95, help="Of a camera: overlap of windows as a share; default: the run's."
        ),
    ] = None,
) -> None:
    """Find micro-actions: CSV, JSON, and an ELAN file and a timeline for each video."""
    check_writable(out)
    if camera is not None:
        if videos or annotations is not None or share is not None or on is not None:
            raise VideoError(
                "pass either videos or --camera; --annotations, --share and --on are for videos"
            )
        detector = require_detector(open_trained(checkpoint, device=device, backbone=backbone))
        detect_camera(
            detector,
            camera,
            out=out,
            min_score=min_score,
            seconds=seconds,
            delay=delay,
            window_overlap=overlap,
        )
        return
    if not videos:
        raise VideoError("name video files or folders, or pass --camera 0 for a camera")
    if not (seconds is None and delay is None and overlap is None):
        raise VideoError("--seconds, --delay and --overlap are for --camera; leave them out")
    checkpoint = local_run(checkpoint)
    mine, workers = chosen_share(share, on), chosen_workers(on, gpus=device != "cpu")
    files = collect(videos)
    # Read first, so that mistakes are reported before the long work.
    annotated = (
        read_annotations(
            annotations,
            labels=labels_of(RunFolder(checkpoint)),
            out_of_video=out_of_video or "error",
        ).records
        if annotations is not None
        else ()
    )
    annotations_by_video = {record.video_id: record.annotations for record in annotated}
    subsets = {record.video_id: record.subset for record in annotated}
    if share is not None or on is not None:
        config, labels = config_on_videos(checkpoint), labels_of(RunFolder(checkpoint))
        named = {video_id_of(file): file for file in files}
        found, _ = find_in_corpus(
            "detect",
            UsedRun(checkpoint, with_max_missing(config, max_missing), device, backbone),
            named,
            path=out / "detections.csv",
            labels=labels,
            share=mine,
            workers=workers,
            costs={name: float(announced_frames(file)) for name, file in named.items()},
            record_of=lambda name: record_of(named[name]),
            on_video=lambda record, detections: _write_video(
                out,
                record,
                detections,
                labels,
                min_score,
                annotations_by_video.get(record.video_id),
                timeline=not no_pictures,
            ),
        )
        typer.echo(f"written to {out}")
        raise_failures(found.failures)
        return
    records, problems = records_of_files(tracked(files, "open", total=len(files), unit="videos"))
    if records:
        detector = require_detector(open_trained(checkpoint, device=device, backbone=backbone))
        labels = detector.labels
        found = detector.detect(records, max_missing=max_missing)
        tell_notices(found.notices())
        problems += [failure.message for failure in found.failures]
        _write(out, records, found, labels, min_score, annotations_by_video, not no_pictures)
        detections = found.detections
        found_in = {subsets.get(name) for name in detections}
        surest = max((each.scores.max(initial=0.0) for each in detections.values()), default=0.0)
        sure = [name for name, each in detections.items() if (each.scores >= min_score).any()]
        if annotations is not None and len(found_in) == 1 and None not in found_in:
            flags = judging_flags(
                [annotations],
                subset=found_in.pop(),
                out_of_video=out_of_video,
                only_predicted=True,
            )
            tell_next("eval", out / "detections.csv", *flags)
        elif sure:
            first = out / f"{safe_name(sure[0])}.eaf"
            tell_next("data", "stats", first, "--tier", f"{TIER_PREFIX}*")
        elif surest > 0:
            score = f"{surest:.6f}"[:-3]  # rounded down
            tell_next(
                *("detect", *videos, "--checkpoint", checkpoint, "--out", out),
                *("--min-score", score),
            )
    if problems:
        raise VideoError("\n".join(problems))


def _write(
    out: Path,
    records: list[VideoRecord],
    videos: DetectedVideos,
    labels: LabelMap,
    min_score: float,
    annotations_by_video: Mapping[str, Annotations],
    timelines: bool,
) -> None:
    detections = videos.detections
    write_detected(out / "detections.csv", videos, labels=labels)
    for record in records:
        if record.video_id not in detections or record.path is None:
            continue
        _write_video(
            out,
            record,
            detections[record.video_id],
            labels,
            min_score,
            annotations_by_video.get(record.video_id),
            timeline=timelines,
        )
    typer.echo(f"written to {out}")


def _write_video(
    out: Path,
    record: VideoRecord,
    found: Detections,
    labels: LabelMap,
    min_score: float,
    annotations: Annotations | None,
    *,
    timeline: bool,
) -> None:
    """Write the ELAN file and the timeline of a video."""
    assert record.path is not None
    notices = write_elan(
        out / f"{safe_name(record.video_id)}.eaf",
        video=record.path,
        detections=found,
        labels=labels,
        min_score=min_score,
        author=f"mmad {__version__}",
        video_id=record.video_id,
    )
    for notice in notices:
        typer.echo(f"note: {notice}")
    if timeline:
        draw_timeline(
            out / f"{safe_name(record.video_id)}.png",
            video_id=record.video_id,
            duration_seconds=record.duration_seconds,
            detections=found,
            labels=labels,
            annotations=annotations,
            min_score=min_score,
            frames=film_strip(record.path),
        )
    sure = int((found.scores >= min_score).sum())
    typer.echo(
        f"{record.path.name}: {count(sure, 'detection')} with a score of at least {min_score:g}"
    )
