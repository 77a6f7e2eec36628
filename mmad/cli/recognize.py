"""``mmad recognize``: name the action of short clips."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mmad.cli._copies import existing_videos
from mmad.cli._emotion_runs import recognize_videos
from mmad.cli._notices import tell_notices
from mmad.cli._options import DeviceOption, MaxMissingOption
from mmad.cli._saliency import best_saliency
from mmad.config.recognition import RecognitionConfig
from mmad.engine.clip_inference import raise_failed_clips, write_recognized
from mmad.engine.runs.hub import local_run
from mmad.engine.saliency import require_class_maps
from mmad.engine.trained.emotion import FaceChoice, TrainedEmotion
from mmad.engine.trained.opening import open_trained, require_recogniser
from mmad.errors import MmadError
from mmad.evaluation.clips.scores import RecognitionScores
from mmad.export.reading import is_exported
from mmad.files import check_output_file, make_folder
from mmad.labels import LabelMap
from mmad.models.recognisers.whole import Recogniser
from mmad.report.axes import PAGE_INCHES
from mmad.report.figures import save_figure
from mmad.report.recogniser_figures.saliency import draw_saliency
from mmad.structures import ClipRecord
from mmad.video.records import clip_records
from mmad.wording import count

app = typer.Typer(add_completion=False)

_DPI = 220


@app.command()
def recognize(
    videos: Annotated[
        list[Path],
        typer.Argument(
            help="Video files, each of one action, or any for emotions; or folders of them."
        ),
    ],
    checkpoint: Annotated[
        Path, typer.Option(help="Run folder or hub id of a trained recogniser, or its ONNX file.")
    ],
    top: Annotated[int, typer.Option(min=1, help="Predictions to show.")] = 5,
    max_missing: MaxMissingOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Also write the challenge's CSV, and all scores as .npz; of emotions a CSV, JSON "
            "or .npz."
        ),
    ] = None,
    saliency: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Also draw what the best action of each clip is seen in."
        ),
    ] = None,
    faces: Annotated[
        Path | None, typer.Option(help="For emotions: folder of copies of mmad data faces; or")
    ] = None,
    face_model: Annotated[
        Path | None, typer.Option(help="YuNet, which finds the faces (mmad data faces --help); or")
    ] = None,
    face_boxes: Annotated[
        Path | None, typer.Option(help="boxes of the faces, a CSV or a folder.")
    ] = None,
    device: DeviceOption = "auto",
) -> None:
    """Name the action of each clip and its body part, or emotion and actions of each video."""
    checkpoint = local_run(checkpoint)
    clips = existing_videos(videos)
    choice = FaceChoice(faces, face_model, face_boxes)
    trained = open_trained(checkpoint, device=device)
    if isinstance(trained, TrainedEmotion):
        if saliency is not None:
            raise MmadError("--saliency is for recognisers of clips, and this run is of emotion")
        recognize_videos(clips, trained, faces=choice, top=top, max_missing=max_missing, out=out)
        return
    trained = require_recogniser(trained)
    if choice:
        raise MmadError("--faces, --face-model and --face-boxes are for runs on emotions")
    records = clip_records(clips)
    if out is not None and out.suffix != ".csv":
        raise MmadError(f"--out {out}: expected a name that ends in .csv")
    if out is not None:
        check_output_file(out)
    if saliency is not None and is_exported(checkpoint):
        raise MmadError("--saliency needs the layers of the network; pass its run folder")
    if saliency is not None:
        make_folder(saliency)
    config, labels = trained.config, trained.labels
    if saliency is not None:
        require_class_maps(trained.network, config, device=trained.device, source=checkpoint)
    answers = trained.recognize(records, max_missing=max_missing)
    scores = answers.scores
    console = Console(width=110)
    for row in range(len(scores)):
        console.print(_table(scores, row, labels=labels, top=top))
    if out is not None and scores.clip_ids:
        write_recognized(out, scores, config=config, labels=labels, summed=answers.summed)
        typer.echo(f"written to {out}")
    if saliency is not None:
        of_name = {record.clip_id: record for record in records}
        _draw(
            *(saliency, trained.network, [of_name[name] for name in scores.clip_ids], config),
            scores=scores,
            labels=labels,
            device=trained.device,
        )
    tell_notices(answers.notices)
    raise_failed_clips(answers.failures)


def _table(scores: RecognitionScores, row: int, *, labels: LabelMap, top: int) -> Table:
    """The best actions of a clip, and beside them its best body parts."""
    table = Table(title=escape(scores.clip_ids[row]), title_justify="left")
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
    return table


def _draw(
    folder: Path,
    model: Recogniser,
    clips: Sequence[ClipRecord],
    config: RecognitionConfig,
    *,
    scores: RecognitionScores,
    labels: LabelMap,
    device: torch.device,
) -> None:
    """Write, for each clip, an image of where its best action is seen."""
    stems = [clip.path.stem for clip in clips if clip.path is not None]
    found = best_saliency(model, clips, config, scores=scores, labels=labels, device=device)
    for clip, stem, one in zip(clips, stems, found, strict=True):
        name = stem if stems.count(stem) == 1 else clip.clip_id
        drawn = draw_saliency([one], width_inches=PAGE_INCHES)
        save_figure(drawn.figure, folder / f"{name}.png", dpi=_DPI)
    typer.echo(f"{folder}: {count(len(clips), 'picture')}")
