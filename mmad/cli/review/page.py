"""The page of ``mmad review``, and the project that it is about."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from mmad.cli._notices import tell_notices
from mmad.cli._options import DeviceOption
from mmad.errors import MmadError, ProjectError
from mmad.process_lock import held
from mmad.progress import Progress
from mmad.projects.project import Project, new_project
from mmad.projects.schema import FILE_NAME
from mmad.video.find import find_videos, video_id_of


def review(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR|VIDEO",
            help="Folder of a project; or with --checkpoint a video, or a folder of videos.",
        ),
    ],
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="Run folder or hub id of a detector: makes a project on the fly."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of that project; default: beside the videos, NAME.review."),
    ] = None,
    annotator: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who decides; default: the page asks.")
    ] = None,
    show_others: Annotated[
        bool,
        typer.Option(
            "--show-others", help="Show people the decisions of the others; default: blind."
        ),
    ] = False,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of this machine; 0: a free one.")
    ] = 0,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Only print the address of the page.")
    ] = False,
    copies: Annotated[
        bool,
        typer.Option(
            "--copies", help="Play small copies of all videos, for a browser that plays few."
        ),
    ] = False,
    device: DeviceOption = "auto",
) -> None:
    """Open a page on which a person accepts, corrects and draws detections; Ctrl-C ends it."""
    if any(find_spec(name) is None for name in ("starlette", "uvicorn")):
        raise MmadError("mmad review: its page needs two packages; pip install 'mmad[review]'")
    if annotator is not None:
        annotator = _checked_name(annotator)
    if checkpoint is not None:
        folder = _project_of(folder, checkpoint, out=out, device=device)
    elif out is not None:
        raise ProjectError("--out is for --checkpoint; name the folder of the project alone")
    with Project.open(folder) as project, held(folder):
        _serve(
            project,
            annotator=annotator,
            shows_others=show_others,
            port=port,
            opens_browser=not no_browser,
            with_copies=copies,
        )


def _serve(
    project: Project,
    *,
    annotator: str | None,
    shows_others: bool,
    port: int,
    opens_browser: bool,
    with_copies: bool,
) -> None:
    from mmad.review.media import media_of
    from mmad.review.serving import serve

    bars: list[Progress] = []
    tell_notices(project.catalogue.problems_of_videos().values())
    media, failed = media_of(
        project,
        with_copies=with_copies,
        on_start=lambda total: bars.append(Progress("copy", total=total, unit="videos")),
        on_done=lambda: bars[0].update(),
    )
    for bar in bars:
        bar.__exit__(None, None, None)
    tell_notices(failed)
    serve(
        project,
        media,
        annotator=annotator,
        shows_others=shows_others,
        port=port,
        opens_browser=opens_browser,
        tell=lambda address: typer.echo(f"{project.folder}: {address}\nCtrl-C ends it"),
    )
    typer.echo("\nended; every decision is on disk")


def _checked_name(annotator: str) -> str:
    from mmad.review.requests import plain_name

    try:
        return plain_name(annotator)
    except ValueError as error:
        raise ProjectError(f"--annotator: {error}") from None


def _project_of(videos: Path, checkpoint: Path, *, out: Path | None, device: str) -> Path:
    """The folder of the project of a video or of a folder of them, made if it is missing."""
    if (videos / FILE_NAME).is_file():
        raise ProjectError(
            f"{videos}: is a project; add a run to it with mmad project add {videos} --checkpoint "
            f"{checkpoint}"
        )
    from mmad.cli._project import add_detections
    from mmad.engine.trained.opening import open_trained, require_detector

    files = find_videos(videos) if videos.is_dir() else {video_id_of(videos): videos}
    if not files:
        raise ProjectError(f"{videos}: has no video files")
    labels = require_detector(open_trained(checkpoint, device=device)).labels
    folder = out or videos.resolve().parent / f"{videos.resolve().stem}.review"
    is_old = (folder / FILE_NAME).is_file()
    with Project.open(folder) if is_old else new_project(folder, labels=labels) as project:
        project.catalogue.add_videos(files)
        add_detections(project, checkpoint, min_score=0.05, device=device)
    return folder
