"""``mmad data crop``: crop videos to the person, or preview the crops."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from mmad.cli._copies import VideosArgument, WorkersOption, tell_copies, video_files
from mmad.cli._next_command import tell_next, train_words
from mmad.cli._options import OverwriteOption
from mmad.errors import MmadError, VideoError, raise_problems
from mmad.progress import Progress, tracked
from mmad.video.find import video_id_of

# Imported where they are used: `mmad data stats` does not need to open videos.
if TYPE_CHECKING:
    from mmad.video.crop import Crop
    from mmad.video.persons.search import PersonSearch


def crop(
    videos: VideosArgument,
    out: Annotated[Path | None, typer.Option(help="Folder of the cropped copies.")] = None,
    boxes: Annotated[
        Path | None,
        typer.Option(help="Person boxes: CSV, JSON or npz with left, top, right, bottom."),
    ] = None,
    motion: Annotated[
        bool, typer.Option("--motion", help="Crop to the region that moves (fixed cameras only).")
    ] = False,
    model: Annotated[
        Path | None, typer.Option(help="YOLOX, a person detector for OpenCV, an .onnx file.")
    ] = None,
    min_score: Annotated[
        float, typer.Option(min=0.01, max=1.0, help="Score from which on the model finds a person.")
    ] = 0.5,
    every: Annotated[int, typer.Option(min=1, help="The model sees one frame of so many.")] = 5,
    expand: Annotated[
        float, typer.Option(min=0.0, help="Share of the box added on each side.")
    ] = 0.06,
    preview: Annotated[
        Path | None, typer.Option(help="Write an image of up to 12 videos and their crops.")
    ] = None,
    short_side: Annotated[
        int | None, typer.Option(help="Pixels of the shorter side of a copy.")
    ] = None,
    workers: WorkersOption = 1,
    overwrite: OverwriteOption = False,
) -> None:
    """Write copies of VIDEOS cropped to the person: same frames, same times, less background.

    Run it again after an interruption: finished copies are kept.
    """
    from mmad.video.person_box import read_boxes

    if (boxes is not None) + (model is not None) + motion != 1:
        raise VideoError("crop: pass either --model FILE, --boxes FILE or --motion")
    if out is None and preview is None:
        raise VideoError("crop: pass --out DIR to write copies, --preview FILE to look, or both")
    if preview is not None:
        from mmad.video.crop_sheet import check_sheet_path

        check_sheet_path(preview)
    files = video_files(videos, out=out)
    of_videos = None if boxes is None else read_boxes(boxes)
    search = None
    if model is not None:
        from mmad.video.persons.search import PersonSearch

        search = PersonSearch(model, min_score, every)
    if of_videos is not None:
        _tell_without_boxes(files, of_videos)
    if out is None:
        crops, failed = _look(files, boxes=of_videos, search=search, expand=expand)
    else:
        from mmad.video.crop import crop_videos, read_crops

        start = time.perf_counter()
        with Progress("crop", total=len(files), unit="videos") as progress:
            summary = crop_videos(
                files,
                out,
                boxes=of_videos,
                search=search,
                expand=expand,
                short_side=short_side,
                num_workers=workers,
                overwrite=overwrite,
                on_done=lambda _: progress.update(),
            )
        tell_copies(out, summary, seconds=time.perf_counter() - start)
        failed = summary.failed
        crops = read_crops([video for video in files if video not in failed], out)
        tell_next(*train_words(out, originals=[path for path in videos if path.is_dir()]))
    if preview is not None and crops:
        _write_preview(preview, crops, num_videos=len(files))
    raise_problems(VideoError, source="crop", problems=list(failed.values()))


def _tell_without_boxes(files: Sequence[Path], boxes: Mapping[str, NDArray[np.float64]]) -> None:
    without = [name for name in map(video_id_of, files) if name not in boxes]
    if 0 < len(without) < len(files):
        names = ", ".join(without[:3]) + (", ..." if len(without) > 3 else "")
        typer.echo(
            f"notice: {len(without)} of {len(files)} videos without a row in the file of boxes: "
            f"{names}",
            err=True,
        )


def _look(
    files: Sequence[Path],
    *,
    boxes: Mapping[str, NDArray[np.float64]] | None,
    search: "PersonSearch | None",
    expand: float,
) -> tuple[dict[Path, "Crop"], dict[Path, str]]:
    """The crops of the videos of a preview, and the messages of those that failed."""
    from mmad.video.crop import check_crop, crop_settings, find_crop
    from mmad.video.crop_sheet import chosen_for_sheet
    from mmad.video.persons.search import search_persons

    if search is not None:
        search.digest()  # says at once if it is no detector
    problems = check_crop(files, boxes=boxes, expand=expand)
    raise_problems(VideoError, source="crop", problems=problems)
    crops: dict[Path, Crop] = {}
    failed: dict[Path, str] = {}
    shown = chosen_for_sheet(files)
    for video in tracked(shown, "preview", total=len(shown), unit="videos"):
        try:
            settings = crop_settings(video, boxes=boxes, expand=expand)
            persons = None if search is None else search_persons(video, search)
            crops[video] = find_crop(video, settings, persons=persons)
        except MmadError as error:
            failed[video] = str(error)
    return crops, failed


def _write_preview(preview: Path, crops: Mapping[Path, "Crop"], *, num_videos: int) -> None:
    from mmad.video.crop_sheet import chosen_for_sheet, draw_sheet, write_sheet

    shown = chosen_for_sheet(list(crops))
    write_sheet(preview, draw_sheet({video: crops[video] for video in shown}))
    typer.echo(f"{preview}: {len(shown)} of {num_videos} videos with their crops")
