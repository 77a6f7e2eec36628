"""What ``mmad predict`` and ``mmad recognize`` do with a run on emotions."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mmad.annotations.emotions.lists import read_emotion_lists
from mmad.cli._next_command import annotations_flags, tell_next
from mmad.cli._notices import tell_notices
from mmad.config.base import changed
from mmad.config.emotion import EmotionConfig
from mmad.config.reading import with_max_missing
from mmad.data.samples import raise_failures
from mmad.engine.distributed import start_processes
from mmad.engine.emotion import videos_of, with_files
from mmad.engine.emotion_inference import recognize_emotions
from mmad.engine.runs.changes import require_same_model
from mmad.engine.runs.folder import RunFolder
from mmad.engine.runs.load import load_emotion
from mmad.errors import CheckpointError, VideoError
from mmad.evaluation.emotions.metrics import ACTION_THRESHOLD
from mmad.evaluation.emotions.predictions import (
    EmotionPredictions,
    check_emotion_path,
    write_emotion_predictions,
)
from mmad.files import check_output_file
from mmad.labels import EMOTIONS, LabelMap
from mmad.progress import Progress
from mmad.structures import EmotionRecord
from mmad.video.faces.copies import face_videos
from mmad.video.faces.search import FaceSearch
from mmad.video.find import video_id_of
from mmad.wording import count


@dataclass(frozen=True)
class FaceChoice:
    """Where the faces of videos are from; at most one is set.

    Attributes:
        copies: Folder that ``mmad data faces`` has written.
        model: File of YuNet.
        boxes: File or folder of boxes.
    """

    copies: Path | None
    model: Path | None
    boxes: Path | None

    def check(self) -> None:
        """Raise VideoError if several are set."""
        given = [one for one in (self.copies, self.model, self.boxes) if one is not None]
        if len(given) > 1:
            raise VideoError("pass one of --faces DIR, --face-model FILE and --face-boxes FILE")

    def __bool__(self) -> bool:
        return any(one is not None for one in (self.copies, self.model, self.boxes))


def predict_emotions(
    checkpoint: Path,
    wanted: EmotionConfig,
    *,
    labels: LabelMap,
    subset: str,
    out: Path | None,
    device: str,
) -> None:
    """Write the predictions of the videos of a subset.

    Raises: CheckpointError if settings of the model were changed; as `videos_of`.
    """
    path = out or RunFolder(checkpoint).predictions(subset, ".csv")
    check_emotion_path(path)
    videos = videos_of(wanted, read_emotion_lists(wanted.data.annotations, labels=labels), [subset])
    model, config, _ = load_emotion(checkpoint)
    require_same_model(checkpoint, config, wanted, ("backbone", "network"))
    if config.data.without_parts != wanted.data.without_parts:
        raise CheckpointError(f"{checkpoint}: data.without_parts changes the model; train another")
    processor = start_processes(device).device
    with Progress("predict", total=len(videos), unit="videos") as progress:
        answers = recognize_emotions(
            model.to(processor),
            videos,
            wanted,
            labels=labels,
            subset="test",
            device=processor,
            progress=progress.update,
        )
    write_emotion_predictions(path, answers.predictions, labels=labels)
    tell_notices(answers.notices)
    typer.echo(f"{path}: {count(len(answers.predictions), 'video')}")
    if all(one.record.emotion is not None for one in videos):
        flags = annotations_flags(wanted.data.annotations)
        tell_next("eval", path, "--subset", subset, *flags)
    raise_failures(answers.failures)


def recognize_videos(
    videos: Sequence[Path],
    checkpoint: Path,
    *,
    faces: FaceChoice,
    top: int,
    max_missing: float | None,
    out: Path | None,
    device: str,
) -> None:
    """Print the emotion and the actions of each video.

    Raises: VideoError if the network reads faces and it is not said where they are, or videos or
    copies cannot be read; CheckpointError as `load_emotion`.
    """
    faces.check()
    if out is not None:
        check_emotion_path(out)
        check_output_file(out)
    model, config, labels = load_emotion(checkpoint)
    if config.network.reads_faces and not faces:
        raise VideoError(
            f"{checkpoint}: reads faces, too; pass --face-model FILE (YuNet, see mmad data faces "
            "--help), --face-boxes FILE, or --faces DIR with copies of mmad data faces"
        )
    config = with_max_missing(config, max_missing)
    names = [video_id_of(path) for path in videos]
    if len(set(names)) < len(names):
        raise VideoError("two videos have the same name; recognise them in separate calls")
    processor = start_processes(device).device
    with _copies(faces if config.network.reads_faces else None, videos) as folder:
        config = changed(config, data=changed(config.data, faces=folder))
        records = [
            EmotionRecord(name, None, (), "test", path=path)
            for name, path in zip(names, videos, strict=True)
        ]
        with Progress("recognize", total=len(videos), unit="videos") as progress:
            answers = recognize_emotions(
                model.to(processor),
                with_files(config, records),
                config,
                labels=labels,
                subset="test",
                device=processor,
                progress=progress.update,
            )
    console = Console(width=110)
    for row in range(len(answers.predictions)):
        console.print(_table(answers.predictions, row, labels=labels, top=top))
    if out is not None:
        write_emotion_predictions(out, answers.predictions, labels=labels)
        typer.echo(f"written to {out}")
    tell_notices(answers.notices)
    raise_failures(answers.failures)


@contextmanager
def _copies(faces: FaceChoice | None, videos: Sequence[Path]) -> Iterator[str | None]:
    """The folder of the face copies of the videos, which are made if they are not there yet."""
    if faces is None or faces.copies is not None:
        yield None if faces is None else str(faces.copies)
        return
    with tempfile.TemporaryDirectory() as folder:
        with Progress("faces", total=len(videos), unit="videos") as progress:
            made = face_videos(
                videos,
                Path(folder),
                model=faces.model,
                boxes=faces.boxes,
                on_done=lambda _: progress.update(),
                search=FaceSearch(),
            )
        for copy in made.written:
            tell_notices(copy.notices)
        if made.failed:
            raise VideoError("\n".join(made.failed.values()))
        yield folder


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
