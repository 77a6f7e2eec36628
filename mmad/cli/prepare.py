"""``mmad prepare``: small copies of videos, for fast training."""

import time
from pathlib import Path
from typing import Annotated

import typer
from tqdm import tqdm

from mmad.errors import VideoError, raise_problems
from mmad.video.find import find_videos
from mmad.video.prepare import prepare_videos

app = typer.Typer(
    help="Write small copies of videos, for fast training.",
    context_settings={"help_option_names": ["-h", "--help"]},
    add_completion=False,
)


@app.command()
def prepare(
    videos: Annotated[
        list[Path], typer.Argument(help="Video files, or folders that are searched for them.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the copies.")],
    short_side: Annotated[int, typer.Option(help="Pixels of the shorter side.")] = 182,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    crf: Annotated[int, typer.Option(help="Quality of x264, 0 to 51; lower is better.")] = 18,
    gop_frames: Annotated[int, typer.Option(help="Most frames between keyframes.")] = 16,
    overwrite: Annotated[bool, typer.Option(help="Make finished copies again.")] = False,
) -> None:
    """Write copies of VIDEOS with a small picture, the same frames and the same times.

    Run it again after an interruption: finished copies are left alone.
    """
    files: list[Path] = []
    for given in videos:
        files += find_videos(given).values() if given.is_dir() else [given]
    if not files:
        raise VideoError(f"no video file in {', '.join(map(str, videos))}")
    start = time.perf_counter()
    with tqdm(total=len(files), unit="video", desc="prepare", disable=None) as progress:
        summary = prepare_videos(
            files,
            out,
            short_side=short_side,
            num_workers=workers,
            crf=crf,
            gop_frames=gop_frames,
            overwrite=overwrite,
            on_done=lambda _: progress.update(),
        )
    seconds = time.perf_counter() - start
    for copy in summary.written:
        for notice in copy.notices:
            typer.echo(f"notice: {notice}", err=True)
    typer.echo(
        f"{out}: {len(summary.written)} copies written ({summary.num_frames} frames in "
        f"{seconds:.1f} s), {len(summary.skipped)} already there, {len(summary.failed)} failed"
    )
    raise_problems(VideoError, source="prepare", problems=list(summary.failed.values()))
