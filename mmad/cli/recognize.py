"""``mmad recognize``: name the action of short clips."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mmad.cli._copies import video_files
from mmad.cli._notices import tell_notices
from mmad.cli._options import DeviceOption, MaxMissingOption
from mmad.config.reading import with_max_missing
from mmad.engine.clip_inference import raise_failed_clips, recognize_clips, write_recognized
from mmad.engine.distributed import start_processes
from mmad.engine.runs.load import load_recogniser
from mmad.errors import MmadError, VideoError
from mmad.files import check_output_file
from mmad.progress import Progress
from mmad.structures import ClipRecord
from mmad.video.find import as_text

app = typer.Typer(add_completion=False)


@app.command()
def recognize(
    videos: Annotated[
        list[Path], typer.Argument(help="Video files, each of one action, or folders of them.")
    ],
    checkpoint: Annotated[Path, typer.Option(help="Run folder of a trained recogniser.")],
    top: Annotated[int, typer.Option(min=1, help="Predictions to show.")] = 5,
    max_missing: MaxMissingOption = None,
    out: Annotated[
        Path | None, typer.Option(help="Also write the challenge's CSV, and all scores as .npz.")
    ] = None,
    device: DeviceOption = "auto",
) -> None:
    """Name the action of each clip, and its body part, with probabilities."""
    clips = video_files(videos)
    missing = [str(path) for path in clips if not path.is_file()]
    if missing:
        raise VideoError(f"there is no such video: {', '.join(missing)}")
    if out is not None and out.suffix != ".csv":
        raise MmadError(f"--out {out}: expected a name that ends in .csv")
    if out is not None:
        check_output_file(out)
    names = [as_text(path.name) for path in clips]
    if len(set(names)) < len(names):
        raise VideoError("two clips have the same name; recognise them in separate calls")
    model, config, labels = load_recogniser(checkpoint)
    config = with_max_missing(config, max_missing)
    processor = start_processes(device).device
    with Progress("recognize", total=len(clips), unit="clips") as progress:
        answers = recognize_clips(
            model.to(processor),
            [ClipRecord(name, None, "test", path) for name, path in zip(names, clips, strict=True)],
            config,
            labels=labels,
            views=config.data.views("test"),
            device=processor,
            progress=progress.update,
        )
    scores = answers.scores
    console = Console(width=110)
    for row, name in enumerate(scores.clip_ids):
        table = Table(title=escape(name), title_justify="left")
        columns = ("action", "", "body part", "") if labels.has_parents else ("action", "")
        for column in columns:
            table.add_column(column, justify="left" if column else "right")
        actions, parts = scores.action_scores[row], scores.body_scores[row]
        best = np.argsort(-actions, kind="stable")[:top].tolist()
        best_parts = np.argsort(-parts, kind="stable").tolist()
        for place, label in enumerate(best):
            part = best_parts[place] if place < len(best_parts) else None
            cells = [escape(labels.title(label)), f"{100 * actions[label]:.1f} %"]
            if part is not None:
                cells += [escape(labels.parent_names[part]), f"{100 * parts[part]:.1f} %"]
            table.add_row(*cells)
        console.print(table)
    if out is not None and scores.clip_ids:
        write_recognized(out, scores, config=config, labels=labels)
        typer.echo(f"written to {out}")
    tell_notices(answers.notices)
    raise_failed_clips(answers.failures)
