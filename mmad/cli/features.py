"""``mmad features``: inspect stored features, convert them from and to folders of arrays."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from pydantic import TypeAdapter

from mmad.cli._next_command import tell_next
from mmad.config.base import validated
from mmad.config.features import StoredGrid
from mmad.data.features.conversion import summary, write_file, write_folder
from mmad.data.features.files import FeatureSource
from mmad.data.features.windows import open_features
from mmad.errors import FeatureError
from mmad.files import check_writable, replaced_folder, require_new
from mmad.wording import count

app = typer.Typer(add_completion=False)
_GRID = TypeAdapter(StoredGrid)

Source = Annotated[Path, typer.Argument(help="File of features, or a folder of arrays.")]
StrideFrames = Annotated[
    float | None, typer.Option(help="For a folder: frames from one step to the next.")
]
OffsetFrames = Annotated[
    float, typer.Option(help="For a folder: frame of step 0; half a window for windows.")
]
Fps = Annotated[
    float | None, typer.Option(help="For a folder: rate of all videos; without it, their own.")
]
FileName = Annotated[
    str, typer.Option(help="For a folder: names of its files, without their ending.")
]
ChannelsFirst = Annotated[
    bool, typer.Option("--channels-first", help="For a folder: arrays are (channels, steps).")
]


def _open(
    source: Path,
    stride_frames: float | None,
    offset_frames: float,
    fps: float | None,
    file_name: str,
    channels_first: bool,
) -> FeatureSource:
    if "{video_id}" not in file_name:
        raise FeatureError(f"--file-name {file_name}: expected {{video_id}} in it")
    grid = None
    if stride_frames is not None:
        content = {"stride_frames": stride_frames, "offset_frames": offset_frames, "fps": fps}
        names = "--stride-frames, --offset-frames, --fps"
        grid = validated(_GRID, content, source=names, error=FeatureError)
    return open_features(source, grid=grid, file_name=file_name, channels_first=channels_first)


@app.command()
def inspect(
    source: Source,
    stride_frames: StrideFrames = None,
    offset_frames: OffsetFrames = 0.0,
    fps: Fps = None,
    file_name: FileName = "{video_id}",
    channels_first: ChannelsFirst = False,
    videos: Annotated[bool, typer.Option("--videos", help="List every video.")] = False,
) -> None:
    """Describe stored features and their videos."""
    found = _open(source, stride_frames, offset_frames, fps, file_name, channels_first)
    typer.echo(summary(found))
    for line in found.manifest.to_json().splitlines()[1:-1]:
        typer.echo(f" {line}")
    if videos:
        for name in found.video_ids():
            video = found.video(name)
            rate = "?" if video.fps is None else f"{video.fps:.3f}"
            typer.echo(
                f"  {name}: {count(video.num_steps, 'step')}, every {video.stride_frames:g} frames "
                f"from {video.offset_frames:g} on, at {rate} frames/s"
            )


@app.command()
def convert(
    source: Source,
    out: Annotated[Path, typer.Argument(help="A .h5 file, or a new folder for arrays.")],
    suffix: Annotated[
        Literal["npy", "npz", "pt", "csv", "pkl"],
        typer.Option("--format", help="File format of the arrays."),
    ] = "npy",
    stride_frames: StrideFrames = None,
    offset_frames: OffsetFrames = 0.0,
    fps: Fps = None,
    file_name: FileName = "{video_id}",
    channels_first: ChannelsFirst = False,
) -> None:
    """Write features as a folder of arrays (steps, channels), or a folder as one file."""
    found = _open(source, stride_frames, offset_frames, fps, file_name, channels_first)
    require_new(out)
    check_writable(out.parent)
    if out.suffix in (".h5", ".hdf5"):
        write_file(found, out)
    else:
        with replaced_folder(out) as folder:
            write_folder(found, folder, suffix=f".{suffix}")
    typer.echo(f"{out}: features of {count(len(found.video_ids()), 'video')}")
    if out.is_file():
        tell_next("features", "inspect", out)
