"""``mmad figures`` of emotions: their probabilities in videos, confusion, shares of body parts."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mmad.annotations.emotions.lists import read_emotion_lists
from mmad.annotations.emotions.statistics import describe_emotions
from mmad.cli._options import AnnotationsOption, LabelsOption, RunSubsetOption
from mmad.cli.data._options import kind_of
from mmad.cli.figures._predictions import prediction_files
from mmad.cli.figures._writing import (
    CsvOption,
    OutOption,
    WidthAsNeeded,
    WidthOption,
    frames_of,
    inches_of,
    write_drawn,
)
from mmad.errors import AnnotationError, PredictionError, VideoError
from mmad.evaluation.emotions.metrics import choose_videos, predicted_videos
from mmad.evaluation.emotions.models import EmotionOptions, read_emotion_models
from mmad.evaluation.file_labels import labels_of_lists
from mmad.report.colours import MODEL_COLOURS
from mmad.structures import EmotionRecord
from mmad.video.find import find_videos

if TYPE_CHECKING:
    from mmad.report.blocks import FilmStrip

_NUM_VIDEOS = 4


def emotions(
    models: Annotated[
        list[Path] | None,
        typer.Argument(help="Run folders or predictions of emotions, one for each model."),
    ] = None,
    *,
    out: OutOption,
    csv: CsvOption = None,
    width: WidthOption = "page",
    video: Annotated[
        list[str] | None,
        typer.Option(help="Video to show; repeat it for several. Default: four telling ones."),
    ] = None,
    videos: Annotated[
        Path | None, typer.Option(help="Folder of the videos, to show their frames.")
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option(min=1, help="Frames of each video; default: 8, or 5 on a column."),
    ] = None,
    annotations: AnnotationsOption = None,
    subset: RunSubsetOption = None,
    labels: LabelsOption = None,
) -> None:
    """Draw the probabilities of the emotions of videos, and their actions (MA-52, Figs. 8, 9)."""
    files = prediction_files(models, kind="emotions", of="emotions", subset=subset)
    if len(files) > len(MODEL_COLOURS):
        raise PredictionError(f"expected at most {len(MODEL_COLOURS)} models, found {len(files)}")
    options = EmotionOptions(annotations, subset, labels, only_predicted=True, details=False)
    read = read_emotion_models(files, options)
    found = read.each(predicted_videos)
    places = _places(read.videos, video) or choose_videos(list(found.values()), count=_NUM_VIDEOS)
    strips = _strips([read.videos[place] for place in places], videos, frames or frames_of(width))
    # Not at the top: matplotlib is slow to import, and messages do without.
    from mmad.report.emotion_figures.histograms import draw_emotions

    drawn = draw_emotions(
        {name: [of_videos[place] for place in places] for name, of_videos in found.items()},
        strips,
        labels=read.labels,
        width_inches=inches_of(width),
    )
    write_drawn(drawn, out=out, csv=csv)


def emotion_confusion(
    model: Annotated[
        Path | None, typer.Argument(help="Run folder or predictions of emotions.")
    ] = None,
    *,
    out: OutOption,
    csv: CsvOption = None,
    width: WidthAsNeeded = None,
    level: Annotated[
        Literal["action", "body", "emotion"],
        typer.Option(help="Actions, or body parts, in the same videos; or emotions."),
    ] = "action",
    annotations: AnnotationsOption = None,
    subset: RunSubsetOption = None,
    labels: LabelsOption = None,
) -> None:
    """Draw the confusion of actions, body parts or emotions of videos (MA-52, Fig. 10)."""
    given = None if model is None else [model]
    files = prediction_files(given, kind="emotion-confusion", of="emotions", subset=subset)
    options = EmotionOptions(annotations, subset, labels, only_predicted=True, details=False)
    read = read_emotion_models(files, options)
    ((name, found),) = read.each(predicted_videos).items()
    if level != "emotion" and not len(read.predictions[name].action_labels):
        raise PredictionError(f"{files[0]}: has no scores of actions; pass --level emotion")
    if level == "body" and not read.labels.has_parents:
        raise PredictionError("--level body: the labels have no body parts; pass --level action")
    from mmad.report.recogniser_figures.confusion import draw_video_confusion

    drawn = draw_video_confusion(
        name, found, labels=read.labels, level=level, width_inches=width and inches_of(width)
    )
    write_drawn(drawn, out=out, csv=csv)


def _places(videos: Sequence[EmotionRecord], names: Sequence[str] | None) -> list[int]:
    """The places of the wanted videos.

    Raises: PredictionError if one is not among them.
    """
    place_of = {video.video_id: place for place, video in enumerate(videos)}
    for name in names or ():
        if name not in place_of:
            raise PredictionError(
                f"--video {name}: is none of {len(videos)} annotated and predicted videos"
            )
    return [place_of[name] for name in names or ()]


def _strips(
    chosen: Sequence[EmotionRecord], folder: Path | None, num_frames: int
) -> list["FilmStrip"]:
    """Frames of the videos; none without a folder.

    Raises: VideoError if the folder lacks one.
    """
    if folder is None:
        return [[] for _ in chosen]
    files = find_videos(folder)
    for one in chosen:
        if one.video_id not in files:
            raise VideoError(f"--videos {folder}: there is no video {one.video_id} in it")
    # Not at the top: the decoder is slow to import.
    from mmad.video.film_strip import film_strip

    return [film_strip(files[one.video_id], num_frames=num_frames) for one in chosen]


def emotion_shares(
    lists: Annotated[list[Path], typer.Argument(help="Lists of videos with emotions.")],
    out: OutOption,
    csv: CsvOption = None,
    width: WidthOption = "page",
    subset: Annotated[
        str | None, typer.Option(help="Only this subset. Default: all together.")
    ] = None,
    labels: LabelsOption = None,
) -> None:
    """Draw the share of each body part in the actions of each emotion (MA-52, Fig. 11)."""
    if kind_of(lists, format="auto") != "emotions":
        raise AnnotationError(
            f"{lists[0]}: holds no emotions; expected a list with the columns video_id, emotion, "
            "actions"
        )
    classes = labels_of_lists(labels)
    if not classes.has_parents:
        raise AnnotationError("the labels have no body parts to show the shares of")
    described = describe_emotions(read_emotion_lists(lists, labels=classes), labels=classes)
    by_name = {one.name: one for one in described}
    if subset is not None and subset not in by_name:
        raise AnnotationError(
            f"--subset {subset}: {lists[0]} has no such subset; found {', '.join(by_name)}"
        )
    shown = described[-1] if subset is None else by_name[subset]
    if not shown.num_action_labels:
        raise AnnotationError(f"{lists[0]}: there are no actions to draw the shares of")
    from mmad.report.emotion_figures.shares import draw_part_shares

    drawn = draw_part_shares(shown, labels=classes, width_inches=inches_of(width))
    write_drawn(drawn, out=out, csv=csv)
