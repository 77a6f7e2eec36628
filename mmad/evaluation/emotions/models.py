"""Files of predictions of emotions with the annotated videos to score them on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mmad.annotations.emotions.lists import of_subset, read_emotion_lists
from mmad.errors import PredictionError
from mmad.evaluation.emotions.predictions import EmotionPredictions, read_emotion_predictions
from mmad.evaluation.file_labels import common_labels_of_clips
from mmad.evaluation.run_files import annotations_of_run, run_of, subset_of
from mmad.labels import LabelMap
from mmad.structures import EmotionRecord


@dataclass(frozen=True)
class EmotionOptions:
    """How predictions of emotions are scored.

    Attributes:
        annotations: Lists of the videos; None for those of the first file's run.
        subset: Their subset; None for that of the first file.
        labels: Value of ``--labels``.
        only_predicted: Leave out videos without a prediction in any of the files.
        details: Print more than the tables of the paper, and give the numbers of each video.
    """

    annotations: Sequence[Path] | None
    subset: str | None
    labels: str | None
    only_predicted: bool
    details: bool


_Found = TypeVar("_Found")


@dataclass(frozen=True, eq=False)
class EmotionModels:
    """Predictions of one or several models, and the annotated videos.

    Attributes:
        files: File of each model.
        predictions: Predictions by the name of the model, in the same order.
        videos: Videos to score.
        num_left_out: Number of annotated videos without a prediction, with ``only_predicted``.
        labels: Label set of the actions.
    """

    files: Sequence[Path]
    predictions: dict[str, EmotionPredictions]
    videos: list[EmotionRecord]
    num_left_out: int
    labels: LabelMap

    def left_out_text(self) -> str:
        """How many videos are not scored; "" if none is left out."""
        if not self.num_left_out:
            return ""
        return (
            f"{self.num_left_out} of {self.num_left_out + len(self.videos)} annotated videos have "
            "no prediction and are left out (--only-predicted)"
        )

    def each(
        self, make: Callable[[EmotionPredictions, Sequence[EmotionRecord]], _Found]
    ) -> dict[str, _Found]:
        """What ``make`` gives for the predictions of each model, by its name.

        Raises: PredictionError, with the file, if predictions do not fit the videos.
        """
        found = {}
        for (name, predictions), path in zip(self.predictions.items(), self.files, strict=True):
            try:
                found[name] = make(predictions, self.videos)
            except PredictionError as error:
                raise PredictionError(f"{path}: {error}") from None
        return found


def read_emotion_models(files: Sequence[Path], options: EmotionOptions) -> EmotionModels:
    """The predictions in ``files`` with the annotated videos.

    Raises: PredictionError if a file occurs twice or cannot be read, AnnotationError if the
    annotations cannot be read.
    """
    if repeated := sorted({str(path) for path in files if files.count(path) > 1}):
        raise PredictionError(f"{', '.join(repeated)}: passed twice; expected a file a method")
    labels = common_labels_of_clips(files, options.labels)
    videos = annotated_videos(files[0], options.annotations, subset=options.subset, labels=labels)
    found = {
        name: read_emotion_predictions(path, labels=labels)
        for name, path in zip(_names(files), files, strict=True)
    }
    scored = _predicted(videos, found) if options.only_predicted else videos
    return EmotionModels(files, found, scored, len(videos) - len(scored), labels)


def _names(files: Sequence[Path]) -> list[str]:
    """The name of the run of each file, or of the file; the paths if they are not different."""
    runs = [run_of(path) for path in files]
    names = [path.stem if run is None else run.name for path, run in zip(files, runs, strict=True)]
    return names if len(set(names)) == len(names) else list(map(str, files))


def annotated_videos(
    first: Path, annotations: Sequence[Path] | None, *, subset: str | None, labels: LabelMap
) -> list[EmotionRecord]:
    """The annotated videos of a subset, by default those of the run that ``first`` is from.

    Raises: AnnotationError if a list cannot be read, or a video is in two of them.
    """
    lists = [str(path) for path in annotations or annotations_of_run(first)]
    subset = subset or subset_of(first)
    videos = read_emotion_lists(lists, labels=labels)
    return of_subset(videos, subset, source=", ".join(lists))


def _predicted(
    videos: Sequence[EmotionRecord], found: dict[str, EmotionPredictions]
) -> list[EmotionRecord]:
    kept = set.intersection(*(set(one.video_ids) for one in found.values()))
    scored = [video for video in videos if video.video_id in kept]
    if not scored:
        raise PredictionError("no annotated video of the subset has a prediction")
    return scored
