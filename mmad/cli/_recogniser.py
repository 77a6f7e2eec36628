"""A recogniser's predictions and what lies beside them, for its report and figures."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mmad.cli._inputs import annotated_clips, data_of_run, run_of, trial_of
from mmad.cli._labels import common_labels_of_clips, labels_of_clips
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


def draw_recognisers(
    folder: Path,
    source: RecogniserFiles,
    clips: Sequence[ClipRecord],
    *,
    compare: Path | None,
    examples: Sequence[str],
    labels: str | None,
) -> None:
    """Write the figures of one recogniser or two.

    Args:
        folder: Folder of the figures.
        source: Predictions and what lies beside them.
        clips: Annotated clips.
        compare: Predictions of another recogniser, drawn beside the first.
        examples: Clips whose probabilities are shown; none: chosen by `choose_examples`.
        labels: Value of ``--labels``.

    Raises: PredictionError if clips or labels differ, features are missing, or an example is none
        of the clips.
    """
    sources = [source]
    if compare is not None:
        common_labels_of_clips([source.path, compare], labels)
        sources.append(read_recogniser(compare, labels=labels))
    names = _different_names(sources)
    for other, name in zip(sources[1:], names[1:], strict=True):
        check_same_clips(source.scores, other.scores, names=(names[0], name))
    judged = [
        _judged(one, name, clips, source.labels) for one, name in zip(sources, names, strict=True)
    ]
    if examples:
        rows = [_row_of(name, clips) for name in examples]
    else:
        rows = choose_examples(judged, clips, count=_NUM_EXAMPLES)
    # Not at the top: matplotlib is slow to import, and only figures need it.
    from mmad.report.recogniser_figures.files import write_recogniser_figures

    write_recogniser_figures(folder, judged, clips, labels=source.labels, examples=rows)


def _judged(
    source: RecogniserFiles, name: str, clips: Sequence[ClipRecord], labels: LabelMap
) -> JudgedRecogniser:
    if source.details is None:
        where = run_of(source.path) or "RUN"
        raise PredictionError(
            f"{details_path(source.path)}: the figures need the features of the clips; run "
            f"mmad predict {where} --subset {source.path.stem} --details"
        )
    return judge_recogniser(name, source.scores, source.details, clips, labels=labels)


def _different_names(sources: Sequence[RecogniserFiles]) -> list[str]:
    """Names of the recognisers, or paths if names repeat."""
    names = [source.name for source in sources]
    return names if len(set(names)) == len(names) else [str(source.path) for source in sources]


def _row_of(name: str, clips: Sequence[ClipRecord]) -> int:
    names = [with_suffix(clip.clip_id) for clip in clips]
    if with_suffix(name) not in names:
        raise PredictionError(f"--clip {name}: is none of the {len(names)} annotated clips")
    return names.index(with_suffix(name))
