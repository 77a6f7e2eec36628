"""``mmad features``: looks into stored features, converts them from and to folders of arrays."""

import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer
from pydantic import TypeAdapter

from mmad.cli._next_command import tell_next
from mmad.config.base import validated
from mmad.config.features import StoredGrid
from mmad.data.features.files import FeatureFile, FeatureSource, PartWriter, merge_parts
from mmad.data.features.folders import FOLDER_MANIFEST, FOLDER_VIDEOS, write_array
from mmad.data.features.windows import open_features
from mmad.errors import FeatureError
from mmad.files import check_writable, make_folder, replaced_folder, write_json, write_text
from mmad.names import safe_name
from mmad.progress import tracked
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
    if out.exists() and (out.is_file() or any(out.iterdir())):
        raise FeatureError(f"{out}: is there already; choose another name")
    check_writable(out.parent)
    if out.suffix in (".h5", ".hdf5"):
        _to_file(found, out)
    else:
        with replaced_folder(out) as folder:
            _to_folder(found, folder, suffix=f".{suffix}")
    typer.echo(f"{out}: features of {count(len(found.video_ids()), 'video')}")
    if out.is_file():
        tell_next("features", "inspect", out)


def _tracked(found: FeatureSource) -> Iterator[str]:
    names = found.video_ids()
    return tracked(names, "convert", total=len(names), unit="videos")


def _to_folder(found: FeatureSource, out: Path, *, suffix: str) -> None:
    """Only steps that belong to their video are written; what is known of it goes beside them."""
    known = {}
    for name in _tracked(found):
        video = found.video(name)
        rows = found.read(name, 0, video.num_steps)
        write_array(out / f"{safe_name(name)}{suffix}", np.ascontiguousarray(rows))
        known[name] = asdict(video)
    flat = found.manifest.model_copy(update={"step_shape": [found.manifest.channels]})
    write_json(out / FOLDER_VIDEOS, known)
    write_text(out / FOLDER_MANIFEST, flat.to_json() + "\n")


def _to_file(found: FeatureSource, out: Path) -> None:
    parts: dict[str, Path] = {}
    stored = found.manifest.extraction
    make_folder(out.parent)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as folder:
        for number, name in enumerate(_tracked(found)):
            video = found.video(name)
            parts[name] = Path(folder) / f"{number}.h5"
            writer = PartWriter(
                parts[name],
                manifest=found.manifest,
                video_id=name,
                video=video,
                dtype="float32" if stored is None else stored.dtype,
            )
            with closing(writer):
                rows = found.read(name, 0, video.num_rows)
                writer.write(rows.reshape(len(rows), *found.manifest.step_shape))
                writer.publish(notices=video.notices)
        merge_parts(parts, out, manifest=found.manifest)


def summary(found: FeatureSource) -> str:
    """One line about stored features."""
    names = found.video_ids()
    steps = sum(found.video(name).num_steps for name in names)
    shape = " x ".join(map(str, found.manifest.step_shape))
    return f"{found.path}: {len(names)} videos, {steps} steps of {shape}"


def describe_file(path: Path) -> str:
    """One line about a file of features, with its size."""
    return f"{summary(FeatureFile(path))}, {path.stat().st_size / 2**20:.1f} MiB"
