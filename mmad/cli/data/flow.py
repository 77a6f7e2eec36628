"""``mmad data flow``: compute the optical flow of videos, as video files."""

import time
from pathlib import Path
from typing import Annotated, Literal

import typer

from mmad.cli._copies import VideosArgument, WorkersOption, tell_copies, video_files
from mmad.cli._next_command import tell_next
from mmad.errors import VideoError, raise_problems
from mmad.progress import Progress


def flow(
    videos: VideosArgument,
    out: Annotated[Path, typer.Option(help="Folder of the flow videos.")],
    code: Annotated[
        Literal["colours", "xy"],
        typer.Option(help="Colours of direction and speed; or x and y, for backbone.flow_stack."),
    ] = "colours",
    scale: Annotated[
        Literal["fixed", "per-frame"],
        typer.Option(help="Full brightness: one speed for all, or each frame's fastest pixel."),
    ] = "fixed",
    max_pixels: Annotated[
        float | None,
        typer.Option(
            help="Brightest speed, pixels per frame; default: 2.5 % of the short side, of xy 20."
        ),
    ] = None,
    short_side: Annotated[
        int | None, typer.Option(help="Pixels of the shorter side; default: that of the video.")
    ] = None,
    workers: WorkersOption = 1,
) -> None:
    """Write the optical flow of VIDEOS as videos: as many frames, at the same times.

    Run it again after an interruption: finished videos are kept.
    """
    from mmad.video.flow import flow_statistics, flow_videos

    files = video_files(videos, out=out)
    start = time.perf_counter()
    with Progress("flow", total=len(files), unit="videos") as progress:
        summary = flow_videos(
            files,
            out,
            code=code,
            scale=scale,
            max_pixels=max_pixels,
            short_side=short_side,
            num_workers=workers,
            on_done=lambda _: progress.update(),
        )
    tell_copies(out, summary, seconds=time.perf_counter() - start)
    measured = flow_statistics([one for one in files if one not in summary.failed], out)
    if measured is not None:
        mean, std = (", ".join(f"{value:g}" for value in values) for values in measured)
        typer.echo(f"data.flow_statistics={{mean: [{mean}], std: [{std}]}}")
    settings = (f"data.flow={out}", "--show-config")
    config = "tsm_flow_r50" if code == "xy" else "dsta_videomae_b"
    tell_next("train", f"configs/recognition/{config}.yaml", *settings)
    raise_problems(VideoError, source="flow", problems=list(summary.failed.values()))
