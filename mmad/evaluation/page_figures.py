"""Figures of HTML reports that no other analysis needs.

Shapes: K classes, T steps of time, N clips.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmad.evaluation.beyond_detad import (
    Calibration,
    Confusion,
    Histogram,
    boundary_errors,
    boundary_histogram,
    calibration,
    co_occurrence,
    confusions,
    length_histogram,
    missed_by_co_occurrence,
    score_of_as_many,
)
from mmad.evaluation.clips.details import flatten
from mmad.evaluation.clips.recognition import RecognitionLevel
from mmad.evaluation.detection import DetectionReport, LevelReport
from mmad.evaluation.error_analysis import ErrorReport, LevelErrors
from mmad.structures import Floats, Ints

_NUM_CONFUSIONS = 15
_NUM_GUESSES = 5
_NUM_CURVES = 3


@dataclass(frozen=True)
class ClassFigures:
    """Figures of a class of a detector. Fractions.

    Attributes:
        num_annotations: Number of annotations of the class.
        num_detections: Number of detections of the class.
        average_precision: Mean over the thresholds; NaN without annotations.
        precision_at: Average precision at each threshold that is shown.
        missed: Share of missed annotations; NaN without annotations.
    """

    num_annotations: int
    num_detections: int
    average_precision: float
    precision_at: tuple[float, ...]
    missed: float


@dataclass(frozen=True, eq=False)
class LevelFigures:
    """Figures of a level of a detector.

    Attributes:
        confusions: Most frequent confusions.
        missed_by_co_occurrence: Share of missed annotations for each of `CO_OCCURRENCES`.
        starts, ends: Histograms of boundary errors.
        calibration: Calibration of the scores.
        classes: Figures of each label.
    """

    confusions: Sequence[Confusion]
    missed_by_co_occurrence: Sequence[float]
    starts: Histogram
    ends: Histogram
    calibration: Calibration
    classes: Sequence[ClassFigures]


@dataclass(frozen=True, eq=False)
class DetectorFigures:
    """Figures of a detector.

    Attributes:
        threshold: Score above which there are about as many detections as annotations.
        highest_score: Highest score of all detections, at least 1.
        lengths: Histogram of annotation lengths.
        levels: Figures of each level of the error report.
    """

    threshold: float
    highest_score: float
    lengths: Histogram
    levels: dict[str, LevelFigures]


def detector_figures(
    scores: DetectionReport, errors: ErrorReport, *, shown_tiou: Sequence[float]
) -> DetectorFigures:
    """Figures of a detector's page beside its scores and errors.

    Args:
        scores: The mAP of the detections.
        errors: Errors of the same detections.
        shown_tiou: Thresholds of ``scores`` at which each class is shown.
    """
    first = next(iter(errors.levels.values()))
    detections, annotations = first.matches.detections, first.matches.annotations
    return DetectorFigures(
        threshold=score_of_as_many(detections.scores, len(annotations)),
        highest_score=max(1.0, float(detections.scores.max(initial=0.0))),
        lengths=length_histogram(annotations),
        levels={
            name: _level_figures(scores.levels[name], item, shown_tiou)
            for name, item in errors.levels.items()
        },
    )


def _level_figures(
    level: LevelReport, errors: LevelErrors, shown_tiou: Sequence[float]
) -> LevelFigures:
    boundaries = boundary_errors(errors)
    kinds = co_occurrence(errors.matches.annotations, errors.labels)
    columns = [int(np.argmin(np.abs(level.tiou - tiou))) for tiou in shown_tiou]
    return LevelFigures(
        confusions=confusions(errors)[:_NUM_CONFUSIONS],
        missed_by_co_occurrence=missed_by_co_occurrence(errors, kinds),
        starts=boundary_histogram(boundaries.starts),
        ends=boundary_histogram(boundaries.ends),
        calibration=calibration(errors),
        classes=[
            ClassFigures(
                num_annotations=int(level.matches.num_annotations[label]),
                num_detections=len(level.matches.ranked[label]),
                average_precision=float(level.per_class[:, label].mean()),
                precision_at=tuple(level.per_class[columns, label].tolist()),
                missed=errors.missed(errors.matches.annotations.labels == label),
            )
            for label in range(len(level.labels))
        ],
    )


@dataclass(frozen=True)
class ClipClassFigures:
    """Figures of a class of a recogniser. Fractions.

    Attributes:
        num_clips: Number of clips of the class.
        num_guessed: Number of clips whose first prediction it is.
        recall, precision: None where there are no such clips.
        f1: NaN where there are neither.
        taken_for: Class that its clips are most often mistaken for, or None.
    """

    num_clips: int
    num_guessed: int
    recall: float | None
    precision: float | None
    f1: float
    taken_for: int | None


def clip_class_figures(level: RecognitionLevel) -> list[ClipClassFigures]:
    """Figures of each label of the level."""
    confusion = np.asarray(level.confusion)
    clips, guessed, right = level.num_clips_per_label, confusion.sum(axis=0), np.diag(confusion)
    wrong = confusion - np.diag(right)
    return [
        ClipClassFigures(
            num_clips=int(clips[label]),
            num_guessed=int(guessed[label]),
            recall=right[label] / clips[label] if clips[label] else None,
            precision=right[label] / guessed[label] if guessed[label] else None,
            f1=float(level.f1_per_class[label]),
            taken_for=int(wrong[label].argmax()) if wrong[label].any() else None,
        )
        for label in range(len(confusion))
    ]


def best_guesses(scores_K: Floats) -> Ints:
    """The actions with the highest scores, best first; ties in order of labels."""
    return np.argsort(-scores_K, kind="stable")[:_NUM_GUESSES]


def likeliest_at_some_time(curves_TK: NDArray[np.floating], annotated: int | None) -> list[int]:
    """The actions that are the likeliest at any step, and the annotated one."""
    best = np.argsort(-curves_TK.max(axis=0), kind="stable")[:_NUM_CURVES].tolist()
    if annotated is not None and annotated not in best:
        best.append(annotated)
    return best


def places_in_a_square(features_ND: NDArray[np.floating], *, seed: int) -> tuple[Floats, str]:
    """Places of clips in a plane, (N, 2) from 0 to 1, and a sentence on the method; see
    `flatten`.
    """
    plane, how = flatten(features_ND.astype(np.float64), seed=seed)
    low, high = plane.min(axis=0), plane.max(axis=0)
    return (plane - low) / np.maximum(high - low, 1e-12), how
