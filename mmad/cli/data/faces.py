"""``mmad data faces``: copies of videos that show only the face."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from mmad.cli._copies import VideosArgument, WorkersOption, existing_videos, tell_copies
from mmad.cli._options import JsonOption, OverwriteOption
from mmad.cli.data._options import write_numbers
from mmad.errors import VideoError, raise_problems
from mmad.progress import Progress
from mmad.video.faces.search import FaceSearch
from mmad.wording import count

_NAMED = 5
_USUAL = FaceSearch()


def faces(
    videos: VideosArgument,
    out: Annotated[Path, typer.Option(help="Folder of the copies and their boxes.")],
    model: Annotated[
        Path | None, typer.Option(help="YuNet, the face detector of OpenCV, an .onnx file.")
    ] = None,
    boxes: Annotated[
        Path | None,
        typer.Option(help="Boxes instead: CSV with video_id, frame, x, y, w, h, or a folder."),
    ] = None,
    min_score: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Score from which on the model finds a face.")
    ] = _USUAL.min_score,
    every: Annotated[
        int, typer.Option(min=1, help="The model sees one frame of so many.")
    ] = _USUAL.every,
    max_gap: Annotated[
        float, typer.Option(min=0.0, help="Seconds without a box that are interpolated.")
    ] = _USUAL.max_gap_seconds,
    expand: Annotated[
        float, typer.Option(min=0.0, help="Share of the box added on each side.")
    ] = _USUAL.expand,
    size: Annotated[int, typer.Option(min=16, help="Pixels of the sides of a copy.")] = _USUAL.size,
    workers: WorkersOption = 1,
    overwrite: OverwriteOption = False,
    json_file: JsonOption = None,
) -> None:
    """Write copies of VIDEOS cut to the face: same frames, same times, and the boxes as CSV.

    Run it again after an interruption: finished copies are kept.
    """
    from mmad.video.faces.copies import face_videos, faces_found
    from mmad.video.faces.detector import HOW_TO_FETCH

    if model is None and boxes is None:
        raise VideoError(f"faces: pass --model FILE or --boxes FILE; for the model, {HOW_TO_FETCH}")
    if model is not None and boxes is not None:
        raise VideoError("faces: pass either --model FILE or --boxes FILE")
    files = existing_videos(videos, out=out)
    start = time.perf_counter()
    with Progress("faces", total=len(files), unit="videos") as progress:
        summary = face_videos(
            files,
            out,
            model=model,
            boxes=boxes,
            search=FaceSearch(
                min_score=min_score,
                every=every,
                max_gap_seconds=max_gap,
                expand=expand,
                size=size,
            ),
            num_workers=workers,
            overwrite=overwrite,
            on_done=lambda _: progress.update(),
        )
    tell_copies(out, summary, seconds=time.perf_counter() - start)
    found = faces_found(files, out)
    for what, names in (
        ("without a face", found.without),
        ("in which the face is away for a while", found.leaving),
        ("with another face", found.with_others),
    ):
        if names:
            dots = ", ..." if len(names) > _NAMED else ""
            typer.echo(f"{count(len(names), 'video')} {what}: {', '.join(names[:_NAMED])}{dots}")
    write_numbers(json_file, asdict(found))
    raise_problems(VideoError, source="faces", problems=list(summary.failed.values()))
