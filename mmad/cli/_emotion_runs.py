"""What ``mmad predict`` and ``mmad recognize`` do with a run on emotions."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mmad.cli._next_command import annotations_flags, tell_next
from mmad.cli._notices import tell_notices
from mmad.config.emotion import EmotionConfig
from mmad.data.samples import raise_failures
from mmad.engine.trained.emotion import FaceChoice, TrainedEmotion
from mmad.evaluation.emotions.metrics import ACTION_THRESHOLD
from mmad.evaluation.emotions.predictions import (
    EmotionPredictions,
    check_emotion_path,
    write_emotion_predictions,
)
from mmad.files import check_output_file
from mmad.labels import EMOTIONS, LabelMap
from mmad.wording import count


def predict_emotions(
    trained: TrainedEmotion, wanted: EmotionConfig, *, subset: str, out: Path | None
) -> None:
    """Write the predictions of the videos of a subset.

    Raises: CheckpointError if settings of the model were changed; as `videos_of`.
    """
    path = out or trained.folder.predictions(subset, ".csv")
    check_emotion_path(path)
    videos, answers = trained.predict(wanted, subset)
    write_emotion_predictions(path, answers.predictions, labels=trained.labels)
    tell_notices(answers.notices)
    typer.echo(f"{path}: {count(len(answers.predictions), 'video')}")
    if all(one.emotion is not None for one in videos):
        flags = annotations_flags(wanted.data.annotations)
        tell_next("eval", path, "--subset", subset, *flags)
    raise_failures(answers.failures)


def recognize_videos(
    videos: Sequence[Path],
    trained: TrainedEmotion,
    *,
    faces: FaceChoice,
    top: int,
    max_missing: float | None,
    out: Path | None,
) -> None:
    """Print the emotion and the actions of each video.

    Raises: VideoError if the network reads faces and it is not said where they are, or videos or
    copies cannot be read; CheckpointError if the network cannot be read.
    """
    if out is not None:
        check_emotion_path(out)
        check_output_file(out)
    labels = trained.labels
    answers = trained.recognize(videos, faces=faces, max_missing=max_missing)
    console = Console(width=110)
    for row in range(len(answers.predictions)):
        console.print(_table(answers.predictions, row, labels=labels, top=top))
    if out is not None:
        write_emotion_predictions(out, answers.predictions, labels=labels)
        typer.echo(f"written to {out}")
    tell_notices(answers.notices)
    raise_failures(answers.failures)


def _table(predictions: EmotionPredictions, row: int, *, labels: LabelMap, top: int) -> Table:
    """The emotions of a video, and beside them its likeliest actions."""
    table = Table(title=escape(predictions.video_ids[row]), title_justify="left")
    has_actions = len(predictions.action_labels) > 0
    for column in ("emotion", "", *(("action", "") if has_actions else ())):
        table.add_column(column, justify="left" if column else "right")
    emotions, actions = predictions.emotion_scores[row], predictions.action_scores[row]
    best = np.argsort(-emotions, kind="stable").tolist()
    likely = np.argsort(-actions, kind="stable").tolist()
    num_shown = max(min(top, len(likely)), int((actions >= ACTION_THRESHOLD).sum()))
    for place in range(max(len(best), num_shown)):
        cells = ["", "", "", ""]
        if place < len(best):
            name = EMOTIONS.names[best[place]]
            cells[:2] = name, f"{100 * emotions[best[place]]:.1f} %"
        if place < num_shown:
            label = int(predictions.action_labels[likely[place]])
            title, score = escape(labels.title(label)), actions[likely[place]]
            is_found = score >= ACTION_THRESHOLD
            cells[2:] = f"[bold]{title}[/bold]" if is_found else title, f"{100 * score:.1f} %"
        table.add_row(*cells[: len(table.columns)])
    return table
