"""``mmad detect``: micro-actions in any video file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from mmad.annotations.elan.tiers import TIER_PREFIX
from mmad.annotations.formats import read_annotations
from mmad.cli._camera import detect_camera
from mmad.cli._corpus import find_in_corpus
from mmad.cli._detections import DetectionFiles, Pictures, checked_min_score, chosen_thresholds
from mmad.cli._next_command import judging_flags, tell_next
from mmad.cli._notices import tell_notices
from mmad.cli._options import DeviceOption, MaxMissingOption, OutOfVideoOption
from mmad.cli._workers import OnOption, ShareOption, chosen_share, chosen_workers
from mmad.config.reading import with_max_missing
from mmad.engine.jobs.detection import FoundInCorpus, UsedRun
from mmad.engine.runs.folder import RunFolder
from mmad.engine.runs.hub import local_run
from mmad.engine.runs.load import labels_of, run_config
from mmad.engine.runs.onto_videos import config_on_videos
from mmad.engine.runs.people import DRAWN_NOTE, saw_drawn_people_only
from mmad.engine.trained.opening import open_trained, require_detector
from mmad.errors import VideoError
from mmad.files import check_writable
from mmad.structures import VideoRecord
from mmad.video.find import identified_videos
from mmad.video.guarded.limits import DecoderLimits

app = typer.Typer(add_completion=False)


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
        str,
        typer.Option(
            metavar="<auto|0..1>",
            callback=checked_min_score,
            help="Lowest score in ELAN, timelines and table. auto: the run's own for each "
            "behaviour, else 0.1.",
        ),
    ] = "auto",
    annotations: Annotated[
        Path | None, typer.Option(help="Annotations to draw beside the detections.")
    ] = None,
    backbone: Annotated[
        str | None, typer.Option(help="For a run on features: current place of their backbone.")
    ] = None,
    pictures: Annotated[Pictures, typer.Option(help="Kind of the timelines.")] = "png",
    no_pictures: Annotated[
        bool, typer.Option("--no-pictures", help="Draw no timelines; --pictures none.")
    ] = False,
    no_codes: Annotated[
        bool, typer.Option("--no-codes", help="In timelines, name behaviours without codes.")
    ] = False,
    device: DeviceOption = "auto",
    out_of_video: OutOfVideoOption = None,
    max_missing: MaxMissingOption = None,
    decoder_limits: Annotated[
        str,
        typer.Option(
            metavar="<LIMITS|off>",
            help="Of the process that decodes: megapixels=70,memory_mib=4096,seconds=120; off: "
            "decode in this process.",
        ),
    ] = "seconds=120",
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
    """Find micro-actions: tables, JSON, and an ELAN file and a timeline for each video."""
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
            min_score=chosen_thresholds(min_score, detector.folder.path, detector.labels).overall,
            seconds=seconds,
            delay=delay,
            window_overlap=overlap,
        )
        return
    if not videos:
        raise VideoError("name video files or folders, or pass --camera 0 for a camera")
    if not (seconds is None and delay is None and overlap is None):
        raise VideoError("--seconds, --delay and --overlap are for --camera; leave them out")
    limits = DecoderLimits.parse(decoder_limits)
    mine, workers = chosen_share(share, on), chosen_workers(on, gpus=device != "cpu")
    files = identified_videos(videos)
    run = local_run(checkpoint)
    folder = RunFolder(run)
    labels = labels_of(folder)
    thresholds = chosen_thresholds(min_score, run, labels)
    # Read first, so that mistakes are reported before the long work.
    annotated: Sequence[VideoRecord] = (
        read_annotations(
            annotations,
            labels=labels,
            out_of_video=out_of_video or "error",
        ).records
        if annotations is not None
        else ()
    )
    config = with_max_missing(config_on_videos(run), max_missing)
    is_drawn = saw_drawn_people_only(folder, run_config(run))
    results = DetectionFiles(
        out,
        model=str(checkpoint),
        labels=labels,
        thresholds=thresholds,
        pictures="none" if no_pictures else pictures,
        codes=not no_codes,
        annotations={record.video_id: record.annotations for record in annotated},
        note=DRAWN_NOTE if is_drawn else "",
        limits=limits,
    )
    results.check(files, [annotations] if annotations is not None else [])
    tell_notices([DRAWN_NOTE] if is_drawn else [])
    found, whole = find_in_corpus(
        "detect",
        UsedRun(run, config, device, backbone, limits),
        files,
        path=results.csv,
        write=results.write_all,
        share=mine,
        workers=workers,
        # The number of frames would be better, and asking for it opens each file here.
        costs={name: _bytes_of(path) for name, path in files.items()},
        records={},
        shown=results.shown(),
    )
    if whole is not None and whole.detections:
        typer.echo(f"written to {out}")
        flags = []
        subsets = {record.video_id: record.subset for record in annotated}
        found_in = {subsets.get(name) for name in whole.detections}
        if annotations is not None and len(found_in) == 1 and None not in found_in:
            flags = judging_flags(
                [annotations],
                subset=found_in.pop(),
                out_of_video=out_of_video,
                only_predicted=True,
            )
        again = ["detect", *videos, "--checkpoint", checkpoint, "--out", out]
        _tell_next(whole, results, flags, again)
    problems = [failure.message for failure in found.failures] + results.problems
    if problems:
        raise VideoError("\n".join(problems))


def _tell_next(
    whole: FoundInCorpus, results: DetectionFiles, flags: Sequence[str], again: Sequence[object]
) -> None:
    """Print the next command: judge the detections, look at those of a video, or ask for more."""
    detections = whole.detections
    sure = [name for name, one in detections.items() if len(results.thresholds.sure(one))]
    surest = max((one.scores.max(initial=0.0) for one in detections.values()), default=0.0)
    if flags:
        tell_next("eval", results.csv, *flags)
    elif sure:
        tell_next("data", "stats", results.elan(sure[0]), "--tier", f"{TIER_PREFIX}*")
    elif surest > 0:
        tell_next(*again, "--min-score", f"{surest:.6f}"[:-3])  # rounded down


def _bytes_of(path: Path) -> float:
    try:
        return float(path.stat().st_size)
    except (OSError, ValueError):  # a file that is not there fails later, alone
        return 0.0
