"""``mmad data convert``: annotations or detections from any format to another."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mmad.annotations.exchange.convert import convert as convert_files
from mmad.annotations.exchange.writing import WRITERS
from mmad.cli._notices import tell_notices
from mmad.cli._options import LabelsOption, OutOfVideoOption
from mmad.cli.data._options import FormatOption, FpsOption
from mmad.evaluation.file_labels import label_choice
from mmad.wording import count

if TYPE_CHECKING:
    WrittenFormat = str
else:
    WrittenFormat = Literal[*WRITERS]


def convert(
    inputs: Annotated[
        list[Path],
        typer.Argument(metavar="IN...", help="Files in any format, or folders of them."),
    ],
    out: Annotated[
        Path,
        typer.Argument(
            metavar="OUT",
            help="File; or a folder, for formats with a file for each video. Events are added to "
            "an existing BORIS project.",
        ),
    ],
    to: Annotated[
        WrittenFormat,
        typer.Option("--to", metavar="<name>", help=f"Format: {', '.join(WRITERS)}."),
    ],
    labels: LabelsOption = None,
    videos: Annotated[
        Path | None,
        typer.Option(help="Folder of the videos; states their paths, lengths and frame rates."),
    ] = None,
    format: FormatOption = "auto",
    fps: FpsOption = None,
    out_of_video: OutOfVideoOption = None,
    min_score: Annotated[
        float, typer.Option(min=0, max=1, help="Lowest score of detections that are written.")
    ] = 0.0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace existing files; never an input.")
    ] = False,
) -> None:
    """Convert annotations or detections between formats, and say what is lost."""
    done = convert_files(
        inputs,
        out,
        format=to,
        labels=label_choice(labels) or "auto",
        videos=videos,
        read_as=format,
        fps=fps,
        out_of_video=out_of_video or "error",
        min_score=min_score,
        overwrite=overwrite,
    )
    tell_notices([*done.notices, *done.written.notices])
    paths = done.written.paths
    place = str(out) if len(paths) == 1 else f"{count(len(paths), 'file')} in {out}"
    formats = ", ".join(dict.fromkeys(done.formats))
    typer.echo(
        f"{count(done.num_events, 'event')} of {count(done.num_videos, 'video')} from {formats} "
        f"to {to}: {place}"
    )
