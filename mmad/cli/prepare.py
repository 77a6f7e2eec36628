"""``mmad prepare``: write small copies of videos, for fast training."""

import time
from pathlib import Path
from typing import Annotated

import typer

from mmad.cli._copies import VideosArgument, WorkersOption, tell_copies, video_files
from mmad.cli._next_command import tell_next, train_words
from mmad.cli._options import OverwriteOption
from mmad.cli._workers import OnOption, ShareOption, chosen_share, chosen_workers
from mmad.errors import VideoError, raise_problems
from mmad.progress import Progress
from mmad.video.prepare import prepare_videos

app = typer.Typer(add_completion=False)


@app.command()
def prepare(
    videos: VideosArgument,
    out: Annotated[Path, typer.Option(help="Folder of the copies.")],
    short_side: Annotated[int, typer.Option(help="Pixels of the shorter side.")] = 182,
    workers: WorkersOption = 1,
    crf: Annotated[int, typer.Option(help="Quality of x264, 0 to 51; lower is better.")] = 18,
    gop_frames: Annotated[
        int, typer.Option(help="Maximum number of frames between keyframes.")
    ] = 16,
    overwrite: OverwriteOption = False,
    share: ShareOption = None,
    on: OnOption = None,
) -> None:
    """Write copies of VIDEOS with smaller images, the same frames and the same times.

    Run it again after an interruption: finished copies are kept.
    """
    mine, where = chosen_share(share, on), chosen_workers(on, count=workers)
    files = video_files(videos, out=out)
    start = time.perf_counter()
    total = -(-len(files) // mine.count)
    with Progress("prepare", total=total, unit="videos") as progress:
        summary = prepare_videos(
            files,
            out,
            short_side=short_side,
            workers=where,
            share=mine,
            crf=crf,
            gop_frames=gop_frames,
            overwrite=overwrite,
            on_done=lambda _: progress.update(),
        )
    tell_copies(out, summary, seconds=time.perf_counter() - start, what="copy")
    tell_next(*train_words(out, originals=[path for path in videos if path.is_dir()]))
    raise_problems(VideoError, source="prepare", problems=list(summary.failed.values()))
