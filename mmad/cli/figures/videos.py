"""``mmad figures`` of videos: samples of a data set, temporal gradients."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from mmad.annotations.elan.choice import ElanChoice
from mmad.annotations.formats import AnnotationSet, read_annotations, read_clip_list
from mmad.cli._options import (
    LabelsOption,
    LanguageOption,
    OutOfVideoOption,
    TierOption,
    TierTypeOption,
)
from mmad.cli.data._options import (
    AnnotationPath,
    FormatOption,
    FpsOption,
    clip_files,
    kind_of,
    one_or_many,
)
from mmad.cli.figures._writing import (
    CsvOption,
    OutOption,
    Width,
    WidthOption,
    frames_of,
    inches_of,
    write_drawn,
)
from mmad.errors import AnnotationError, MmadError, VideoError
from mmad.evaluation.best_detections import richest_videos
from mmad.evaluation.file_labels import label_choice, labels_of_lists
from mmad.structures import ClipRecord, VideoRecord
from mmad.video.find import find_videos, video_id_of

if TYPE_CHECKING:
    from mmad.report.figures import Drawn

_NUM_SAMPLES = 4
_Item = TypeVar("_Item", VideoRecord, ClipRecord)

FramesOption = Annotated[
    int | None, typer.Option(min=1, help="Frames of each; default: 8, or 5 on a column.")
]


def samples(
    annotations: AnnotationPath,
    out: OutOption,
    videos: Annotated[Path | None, typer.Option(help="Folder of the videos or clips.")] = None,
    csv: CsvOption = None,
    width: WidthOption = "page",
    video: Annotated[
        list[str] | None,
        typer.Option(
            help="Video or clip to show; repeat it for several. Default: the four with the most "
            "labels, or the first clips of four actions."
        ),
    ] = None,
    frames: FramesOption = None,
    format: FormatOption = "auto",
    labels: LabelsOption = None,
    out_of_video: OutOfVideoOption = None,
    tier: TierOption = None,
    tier_type: TierTypeOption = None,
    language: LanguageOption = None,
    fps: FpsOption = None,
) -> None:
    """Draw frames of videos with their annotations, or of clips (MMA-52, Fig. 2; MA-52, Fig. 1)."""
    if videos is None:
        raise VideoError("samples shows frames; pass --videos FOLDER, the videos or clips")
    num_frames = frames or frames_of(width)
    if kind_of(annotations, format=format) == "clips":
        drawn = _clip_samples(
            annotations, videos, video, labels=labels, width=width, num_frames=num_frames
        )
    else:
        found = read_annotations(
            one_or_many(annotations),
            format=format,
            labels=label_choice(labels) or "auto",
            out_of_video=out_of_video or "error",
            elan=ElanChoice.of(tier, tier_type, language),
            fps=fps,
        )
        drawn = _video_samples(found, videos, video, width=width, num_frames=num_frames)
    write_drawn(drawn, out=out, csv=csv)


def _video_samples(
    found: AnnotationSet,
    folder: Path,
    wanted: Sequence[str] | None,
    *,
    width: Width,
    num_frames: int,
) -> "Drawn":
    """Frames and annotations of the wanted videos, or of those with the most labels.

    Raises: VideoError if the folder lacks them.
    """
    files = find_videos(folder)
    records = _chosen({one.video_id: one for one in found.records}, wanted)
    if not records:
        present = [record for record in found.records if record.video_id in files]
        records = richest_videos(present, {}, count=_NUM_SAMPLES)
    if not records:
        raise VideoError(f"--videos {folder}: holds none of {len(found.records)} annotated videos")
    for record in records:
        if record.video_id not in files:
            raise VideoError(f"--videos {folder}: there is no video {record.video_id} in it")
    from mmad.report.data_figures.samples import draw_video_samples
    from mmad.video.film_strip import film_strip

    strips = [film_strip(files[one.video_id], num_frames=num_frames) for one in records]
    return draw_video_samples(records, strips, labels=found.labels, width_inches=inches_of(width))


def _clip_samples(
    lists: Sequence[Path],
    folder: Path,
    wanted: Sequence[str] | None,
    *,
    labels: str | None,
    width: Width,
    num_frames: int,
) -> "Drawn":
    """Frames of the wanted clips, or of the first of each of the first actions."""
    classes = labels_of_lists(labels)
    listed = [clip for path in lists for clip in read_clip_list(path, labels=classes)]
    first: dict[int | None, ClipRecord] = {}
    for clip in listed:
        first.setdefault(clip.label, clip)
    chosen = _chosen({clip.clip_id: clip for clip in listed}, wanted)
    clips = clip_files(chosen or list(first.values())[:_NUM_SAMPLES], folder, option="--videos")
    from mmad.report.data_figures.samples import draw_clip_samples
    from mmad.video.film_strip import film_strip

    strips = [film_strip(clip.path, num_frames=num_frames) for clip in clips if clip.path]
    return draw_clip_samples(clips, strips, labels=classes, width_inches=inches_of(width))


def _chosen(by_name: Mapping[str, _Item], names: Sequence[str] | None) -> list[_Item]:
    """The items of these names; none without names.

    Raises: AnnotationError if there is no such item.
    """
    for name in names or ():
        if name not in by_name:
            raise AnnotationError(f"--video {name}: is none of {len(by_name)} annotated ones")
    return [by_name[name] for name in names or ()]


def temporal_gradient(
    videos: Annotated[list[Path] | None, typer.Argument(help="Video files.")] = None,
    *,
    out: OutOption,
    csv: CsvOption = None,
    width: WidthOption = "page",
    start: Annotated[float, typer.Option("--from", min=0, help="First second to show.")] = 0.0,
    end: Annotated[
        float | None, typer.Option("--to", help="Last second to show; default: the end.")
    ] = None,
    frames: FramesOption = None,
    gap: Annotated[
        int, typer.Option(min=1, help="Frames from a frame to the later one it is compared with.")
    ] = 1,
    title: Annotated[
        list[str] | None,
        typer.Option(help="Title of a video; repeat it for each. Default: their names."),
    ] = None,
) -> None:
    """Draw frames of videos and how much each pixel changes (MMA-52, Fig. 1)."""
    if not videos:
        raise VideoError("temporal-gradient shows videos; pass one video file or several")
    if title and len(title) != len(videos):
        raise MmadError(f"--title: expected {len(videos)}, one for each video; found {len(title)}")
    # Not at the top: the decoder and matplotlib are slow to import, and messages do without.
    from mmad.report.data_figures.temporal_gradient import draw_temporal_gradients
    from mmad.video.gradient import temporal_gradients

    found = [
        temporal_gradients(
            path,
            num_frames=frames or frames_of(width),
            gap=gap,
            start_seconds=start,
            end_seconds=end,
        )
        for path in videos
    ]
    drawn = draw_temporal_gradients(
        found,
        titles=title or [video_id_of(path) for path in videos],
        width_inches=inches_of(width),
    )
    write_drawn(drawn, out=out, csv=csv)
