"""A recogniser's predictions and what lies beside them, for its report and figures."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mmad.errors import PredictionError
from mmad.evaluation.clips.details import RecognitionDetails, details_path, read_details
from mmad.evaluation.clips.judged import (
    JudgedRecogniser,
    check_same_clips,
    choose_examples,
    judge_recogniser,
)
from mmad.evaluation.clips.recognition import with_suffix
from mmad.evaluation.clips.scores import RecognitionScores, read_scores
from mmad.evaluation.file_labels import common_labels_of_clips, labels_of_clips
from mmad.evaluation.run_files import annotated_clips, data_of_run, run_of, trial_of
from mmad.labels import LabelMap
from mmad.structures import ClipRecord

_NUM_EXAMPLES = 6


@dataclass(frozen=True, eq=False)
class RecogniserFiles:
    """What is known of a recogniser's predictions.

    Attributes:
        path: File of the predictions.
        name: Name of its run, or of the file outside of a run; with "(trial)", if it is one.
        labels: Labels of the clips.
        scores: Scores of the clips.
        details: Features and probabilities over time, if written.
    """

    path: Path
    name: str
    labels: LabelMap
    scores: RecognitionScores
    details: RecognitionDetails | None


def read_recogniser(predictions: Path, *, labels: str | None) -> RecogniserFiles:
    """The scores and details beside ``predictions``.

    Raises: PredictionError if there are no scores, or a file cannot be read.
    """
    classes = labels_of_clips(predictions, labels)
    scores_file = predictions.with_suffix(".npz")
    if not scores_file.is_file():
        raise PredictionError(
            f"{scores_file}: the scores of all actions are not beside {predictions.name}; "
            "mmad predict writes both"
        )
    details = details_path(predictions)
    run = run_of(predictions)
    name = predictions.stem if run is None else run.name
    return RecogniserFiles(
        path=predictions,
        name=name if trial_of(predictions) is None else f"{name} (trial)",
        labels=classes,
        scores=read_scores(scores_file, labels=classes),
        details=read_details(details) if details.is_file() else None,
    )


def clips_of(
    source: RecogniserFiles,
    annotations: Sequence[Path] | None,
    *,
    subset: str,
    videos: Path | None,
) -> list[ClipRecord]:
    """The annotated clips; those whose file is in ``videos``, or the run's folder, have its path.

    Raises: PredictionError if there is no list of clips; AnnotationError if one cannot be read.
    """
    clips = annotated_clips(source.path, annotations, subset=subset, labels=source.labels)
    settings = data_of_run(source.path)
    folder = videos or (Path(settings["clips"]) if "clips" in settings else None)
    if folder is None:
        return clips
    return [
        replace(clip, path=folder / clip.clip_id) if (folder / clip.clip_id).is_file() else clip
        for clip in clips
    ]


@dataclass(frozen=True, eq=False)
class JudgedRecognisers:
    """One recogniser or two, and the annotated clips that both have predicted.

    Attributes:
        recognisers: The recognisers, with rows in the order of the clips.
        clips: Annotated clips.
        labels: Labels of the clips.
    """

    recognisers: list[JudgedRecogniser]
    clips: list[ClipRecord]
    labels: LabelMap

    def rows_of(self, names: Sequence[str]) -> list[int]:
        """Rows of the clips ``names``; without any, of the most telling ones.

        Raises: PredictionError if one is none of the clips.
        """
        if not names:
            return choose_examples(self.recognisers, self.clips, count=_NUM_EXAMPLES)
        return [_row_of(name, self.clips) for name in names]


def judge_recognisers(
    predictions: Sequence[Path],
    annotations: Sequence[Path] | None,
    *,
    subset: str,
    labels: str | None,
    needs_features: bool = False,
) -> JudgedRecognisers:
    """The recognisers of these files, judged on the annotated clips of the first.

    Raises: PredictionError if clips or labels differ, or features are needed and missing.
    """
    common_labels_of_clips(predictions, labels)
    sources = [read_recogniser(path, labels=labels) for path in predictions]
    first = sources[0]
    names = _different_names(sources)
    for other, name in zip(sources[1:], names[1:], strict=True):
        check_same_clips(first.scores, other.scores, names=(names[0], name))
    clips = clips_of(first, annotations, subset=subset, videos=None)
    found = []
    for source, name in zip(sources, names, strict=True):
        if needs_features and source.details is None:
            where = run_of(source.path) or "RUN"
            raise PredictionError(
                f"{details_path(source.path)}: the figure needs the features of the clips; run "
                f"mmad predict {where} --subset {source.path.stem} --details"
            )
        details = source.details if needs_features else None
        found.append(judge_recogniser(name, source.scores, details, clips, labels=first.labels))
    return JudgedRecognisers(found, clips, first.labels)


def _different_names(sources: Sequence[RecogniserFiles]) -> list[str]:
    """Names of the recognisers, or paths if names repeat."""
    names = [source.name for source in sources]
    return names if len(set(names)) == len(names) else [str(source.path) for source in sources]


def _row_of(name: str, clips: Sequence[ClipRecord]) -> int:
    names = [with_suffix(clip.clip_id) for clip in clips]
    if with_suffix(name) not in names:
        raise PredictionError(f"--clip {name}: is none of the {len(names)} annotated clips")
    return names.index(with_suffix(name))
