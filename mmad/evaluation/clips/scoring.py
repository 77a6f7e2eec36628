"""Files of predictions of clips, scored against lists of clips."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmad.evaluation.clips.recognition import (
    RecognitionReport,
    evaluate_recognition,
    read_recognitions,
    with_suffix,
)
from mmad.evaluation.clips.summed_scores import (
    CoefficientSweep,
    read_summed_scores,
    sweep_coefficients,
)
from mmad.evaluation.run_files import annotated_clips, subset_of
from mmad.labels import LabelMap
from mmad.structures import ClipRecord


@dataclass(frozen=True)
class RecognitionOptions:
    """How predictions of clips are scored.

    Attributes:
        annotations: Lists of the clips; None for those of each file's run.
        subset: Their subset; None for that of each file.
        labels: Value of ``--labels``.
        f1: Rule of macro F1.
        only_predicted: Leave out clips without a prediction.
    """

    annotations: Sequence[Path] | None
    subset: str | None
    labels: str | None
    f1: str
    only_predicted: bool


def report_of(
    predictions: Path, options: RecognitionOptions, *, labels: LabelMap
) -> tuple[RecognitionReport, int]:
    """The report of a file, and the number of clips left out without a prediction.

    Raises: PredictionError if no list is given or the two do not fit.
    """
    guesses = read_recognitions(predictions, labels=labels)
    scored, num_left_out = _scored_clips(predictions, guesses.clip_ids, options, labels=labels)
    return evaluate_recognition(guesses, scored, labels=labels, f1=options.f1), num_left_out


def _scored_clips(
    predictions: Path, clip_ids: Sequence[str], options: RecognitionOptions, *, labels: LabelMap
) -> tuple[list[ClipRecord], int]:
    """The clips that predictions of ``clip_ids`` are scored on, and how many are left out."""
    subset = options.subset or subset_of(predictions)
    clips = annotated_clips(predictions, options.annotations, subset=subset, labels=labels)
    if not options.only_predicted:
        return list(clips), 0
    scored = [clip for clip in clips if with_suffix(clip.clip_id) in set(clip_ids)]
    return scored, len(clips) - len(scored)


def left_out_text(report: RecognitionReport, num_left_out: int) -> str:
    """How many clips are not scored; "" if none is left out."""
    if not num_left_out:
        return ""
    return (
        f"{num_left_out} of {report.num_clips + num_left_out} annotated clips have no prediction "
        "and are left out (--only-predicted)"
    )


def sweep_of(
    files: Sequence[Path], options: RecognitionOptions, *, labels: LabelMap
) -> CoefficientSweep:
    """The figures of files at each weight of local features.

    Raises: PredictionError if the two parts of the scores are not beside a file of predictions, or
        the two do not fit.
    """
    members = [read_summed_scores(path.with_suffix(".npz"), labels=labels) for path in files]
    clips = [
        _scored_clips(path, member.clip_ids, options, labels=labels)[0]
        for path, member in zip(files, members, strict=True)
    ]
    return sweep_coefficients(members, clips, labels=labels, f1=options.f1)
